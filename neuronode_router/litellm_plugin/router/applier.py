"""How a proxy worker takes up a new control state: prepare a Snapshot, swap it in, and have LiteLLM's map follow on the
event loop.

It knows what LiteLLM offers and nothing of where states come from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from neuronode_router.domain.profiles import HostFacts
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.router.aliases import RouterAliases
from neuronode_router.routing.snapshot import Snapshot, build_snapshot


class SnapshotApplier:
    """Implements `control.worker.Applier` for a proxy worker."""

    def __init__(
        self,
        *,
        current: CurrentSnapshot,
        aliases: RouterAliases,
        facts: Callable[[], HostFacts],
        applied: Callable[[ControlState], None],
        refresh: Callable[[], Coroutine[Any, Any, None]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._current = current
        self._aliases = aliases
        self._facts = facts
        self._applied = applied
        self._refresh = refresh
        self._around: HostFacts | None = None
        self._looked_for = 0
        self._looking: asyncio.Task[None] | None = None
        self._loop = loop

    def prepare(self, state: ControlState) -> Snapshot:
        """Return the state as this worker's Snapshot: whatever groups the host has, it serves what it can."""
        return build_snapshot(state, self._around or self._facts())

    def surroundings(self) -> object:
        """Return what a Snapshot is made from beside the state: the model groups that LiteLLM has now."""
        self._around = self._facts()
        return self._around

    def swap(self, prepared: Snapshot) -> None:
        """Admit requests under `prepared` from now on: one assignment. LiteLLM's alias map follows on its own loop."""
        self._current.take(prepared)
        self._loop.call_soon_threadsafe(self._mirror, prepared)

    def _mirror(self, snapshot: Snapshot) -> None:
        if snapshot is self._current.snapshot:
            self._aliases.replace(snapshot.aliases)
            self._applied(snapshot.state)
            if snapshot.dead and snapshot.revision != self._looked_for:
                self._looked_for = snapshot.revision
                # Once a revision: another worker may have stored a moment ago what it names.
                self._looking = self._loop.create_task(self._refresh())
