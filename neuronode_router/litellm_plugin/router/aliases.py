"""LiteLLM's live `model_group_alias`: put our names into it, keep everybody else's, and put ours back on
drift.

It knows the router and nothing of profiles: a finished map of names comes in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

logger = logging.getLogger(__name__)

AliasTable = dict[str, Any]
"""LiteLLM's map: a target group, or `{"model": group, "hidden": bool}` where the operator wrote it so."""


class RouterAliases:
    """Our part of the live router's alias map.

    The map is always replaced by a new dict: LiteLLM compares old and new to drop its caches, so a change in
    place would leave stale model-group and zero-cost entries (which decide whether budgets are checked).
    """

    def __init__(self, router: Callable[[], Any | None]) -> None:
        self._router = router
        self._ours: dict[str, str] = {}
        self._seen: AliasTable | None = None
        self.drifts = 0

    def foreign(self) -> AliasTable:
        """Return the operator's own aliases: the live map without our names."""
        return {name: target for name, target in self._live().items() if name not in self._ours}

    def replace(self, ours: Mapping[str, str]) -> None:
        """Make the live map say `ours`, dropping names we owned before and no longer do. Never raises."""
        stale = self._ours.keys() - ours.keys()
        self._ours = dict(ours)
        self._write({name: target for name, target in self._live().items() if name not in stale})

    def heal(self) -> bool:
        """Put our names back if something else changed them; return whether it had to. Never raises."""
        live = self._live()
        if live is self._seen or all(live.get(name) == target for name, target in self._ours.items()):
            self._seen = live
            return False
        self.drifts += 1
        lost = sorted(name for name, target in self._ours.items() if live.get(name) != target)
        logger.warning(
            "neuronode: something replaced %d of our aliases (%s); put back", len(lost), ", ".join(lost[:5])
        )
        self._write(live)
        return True

    def _live(self) -> AliasTable:
        live = getattr(self._router(), "model_group_alias", None)
        return live if isinstance(live, dict) else {}

    def _write(self, kept: AliasTable) -> None:
        router = self._router()
        if router is None:
            return
        merged = {**kept, **self._ours}
        try:
            router.update_settings(model_group_alias=merged)
            # Not covered by update_settings: listings by access group would keep the old target.
            getattr(router, "_invalidate_access_groups_cache", _nothing)()
        except Exception as error:  # noqa: BLE001 - LiteLLM's code; a swap must not fail, and the guard tries again
            self._seen = None
            logger.warning("neuronode: LiteLLM did not take the alias map, trying again: %r", error)
        else:
            self._seen = merged


def _nothing() -> None:
    """Stand for a method that this LiteLLM does not have."""
