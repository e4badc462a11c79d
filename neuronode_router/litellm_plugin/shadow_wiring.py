"""Shadow comparisons in one worker: hooks that choose, the background that asks again, and what is shared and ended.

It decides nothing itself. While no comparison runs it reads two attributes every second, and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from neuronode_router.background import Failures
from neuronode_router.control.manager import ProfileManager
from neuronode_router.domain.shadows import Shadow
from neuronode_router.errors import NeuronodeError
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks.mirroring import MirrorHooks
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.router.judging import JudgedGroups
from neuronode_router.litellm_plugin.router.mirroring import MirroredGroups
from neuronode_router.routing.inventory import Inventory
from neuronode_router.shadows.acts import SPENT, TIME_OVER, Shadows
from neuronode_router.shadows.mirror import Mirror, Told
from neuronode_router.shadows.store import ShadowStore
from neuronode_router.storage.database import Database

SHARE_SECONDS = 1.0
"""How often what was found out is shared, and whether a comparison is over is looked at."""


class ShadowWiring:
    """The parts, wired. `worker` names this process, never the same again; `told` hears of each chosen request."""

    def __init__(  # noqa: PLR0913  one argument per collaborator, all by keyword
        self,
        *,
        manager: ProfileManager,
        database: Database,
        worker: str,
        current: CurrentSnapshot,
        bridge: RouterBridge,
        inventory: Callable[[], Inventory],
        told: Told,
        failures: Failures,
    ) -> None:
        self._current = current
        store = ShadowStore(database)
        self.shadows = Shadows(manager=manager, store=store)
        self._mirror = Mirror(
            asks=MirroredGroups(
                bridge, hooks=lambda: self.hooks, inventory=inventory, judges=JudgedGroups(bridge)
            ),
            store=store,
            worker=worker,
            told=told,
            failures=failures,
        )
        self.hooks = MirrorHooks(self._mirror)

    async def look(self) -> None:
        """Share what was found out, and end what is over. Raises `StoreUnavailable`."""
        shadow = self._shadow
        self.hooks.sweep()
        if self._mirror.busy:
            await self._mirror.flush()
        if shadow is None:
            return
        if await self._mirror.is_spent(shadow):
            await self.shadows.end(shadow.id, SPENT)
        elif await self.shadows.is_over(shadow):
            await self.shadows.end(shadow.id, TIME_OVER)

    async def stop(self) -> None:
        """End what runs, and share what was found out. Never raises for a dead store."""
        self.hooks.sweep(last=True)
        await self._mirror.stop()
        with contextlib.suppress(NeuronodeError):
            await self._mirror.flush()

    def report(self) -> Mapping[str, int]:
        """Return what a heartbeat tells of it."""
        return {**self._mirror.status(), "shadow_failures": self.hooks.failures.total}

    @property
    def _shadow(self) -> Shadow | None:
        snapshot = self._current.snapshot
        return None if snapshot is None else snapshot.state.shadow
