"""LiteLLM's live `model_group_alias`: put our names into it, keep everybody else's, and put ours back on
drift.

It knows the router and nothing of profiles: a finished map of names comes in.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from neuronode_router.litellm_plugin.router.bridge import AliasTable, RouterBridge, group_in

logger = logging.getLogger(__name__)


class RouterAliases:
    """Our part of the live router's alias map: in every map that LiteLLM writes, and put back where one came otherwise.

    The map is always replaced by a new dict, never edited: LiteLLM keeps caches beside it that a change in place
    would leave stale, and from 1.110 on routes by another copy. Where it `mirrors` nothing the map stays the
    operator's.
    """

    def __init__(self, bridge: RouterBridge, *, mirrors: bool = True) -> None:
        self._bridge = bridge
        self._mirrors = mirrors
        self._ours: dict[str, str] = {}
        self._seen: AliasTable | None = None
        self.drifts = 0

    def foreign(self) -> AliasTable:
        """Return the operator's own aliases: the live map without our names."""
        return {name: target for name, target in self._bridge.aliases().items() if name not in self._ours}

    def replace(self, ours: Mapping[str, str]) -> None:
        """Make the live map say `ours`, dropping names we owned before and no longer do. Never raises."""
        if not self._mirrors:
            return
        stale = self._ours.keys() - ours.keys()
        self._ours = dict(ours)
        self._write({name: target for name, target in self._bridge.aliases().items() if name not in stale})

    def heal(self) -> bool:
        """Put our names back if something else took them away; return whether it had to. Never raises.

        What LiteLLM writes itself has them already: left are a new router, and whoever goes past its settings.
        """
        live = self._bridge.aliases()
        if live is self._seen:
            return False
        lost = sorted(name for name, group in self._ours.items() if group_in(live.get(name)) != group)
        if not lost:
            self._seen = live
            return False
        self.drifts += 1
        logger.warning(
            "neuronode: something replaced %d of our aliases (%s); put back", len(lost), ", ".join(lost[:5])
        )
        self._write(live)
        return True

    def release(self) -> None:
        """Let LiteLLM write its map as it comes."""
        self._bridge.release_aliases()

    def _merged(self, table: AliasTable) -> AliasTable:
        return {**table, **{name: _led(table.get(name), group) for name, group in self._ours.items()}}

    def _write(self, kept: AliasTable) -> None:
        try:
            self._bridge.hold_aliases(self._merged)  # the first time, and where LiteLLM has a new router
            self._bridge.write_aliases(self._merged(kept))
        except Exception as error:  # noqa: BLE001 - LiteLLM's code; a swap must not fail, and the guard tries again
            self._seen = None
            logger.warning("neuronode: LiteLLM did not take the alias map, trying again: %r", error)
        else:
            self._seen = self._bridge.aliases()


def _led(found: object, group: str) -> object:
    """A `{model:, hidden:}` entry keeps its form: whether the name is listed is the operator's choice."""
    return {**found, "model": group} if isinstance(found, Mapping) else group
