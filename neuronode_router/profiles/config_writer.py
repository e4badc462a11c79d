"""Keeps `litellm_config.yaml` saying what is active: after the receipt, off the critical path, once per host.

It decides when to render; how is `profiles.render`'s business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from neuronode_router.background import cancel
from neuronode_router.domain.profiles import alias_map
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import RenderFailed
from neuronode_router.profiles.render import Moment, render_revision
from neuronode_router.threads import in_thread

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
"""How long the other workers of a host leave the rendering to the one that answered the switch."""


class Renderer:
    """Renders the newest state this worker knows. A file that cannot be written is a warning, not an error."""

    def __init__(
        self,
        *,
        config: Path,
        mark: Path,
        enabled: Callable[[], bool],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._config = config
        self._mark = mark
        self._enabled = enabled
        self._patience = patience
        self._wanted: ControlState | None = None
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.warning: str | None = None

    def schedule(self, state: ControlState) -> None:
        """Render `state` soon, unless this host's file says it by then. Never raises, never waits."""
        if not self._enabled():
            return
        self._wanted = state
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work(), name="neuronode-render")

    def hurry(self) -> None:
        """Render what is scheduled without patience: this worker answered the switch."""
        self._hurry.set()

    async def idle(self) -> None:
        """Return when nothing is scheduled any more."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def stop(self) -> None:
        """Cancel what is scheduled. The next start of a worker renders what was left out."""
        await cancel(self._task)

    async def _work(self) -> None:
        while (state := self._wanted) is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    await self._hurry.wait()
            self._hurry.clear()
            if self._wanted is state:
                await in_thread(self._render, state)
            if self._wanted is state:
                self._wanted = None

    def _render(self, state: ControlState) -> None:
        aliases = alias_map(state.profiles, state.active)
        aliases |= {task: group for task, group in state.steering.moved.items() if task in aliases}
        try:
            moment = Moment(state.revision, state.committed_at)
            render_revision(self._config, self._mark, aliases=aliases, profile=state.active, moment=moment)
            self.warning = None
        except RenderFailed as error:
            self.warning = str(error)
            logger.warning("neuronode: %s", self.warning)
