"""Keeps `litellm_config.yaml` saying what is active: after the receipt, off the critical path, once per host.

It decides when to render; how is `profiles.render`'s business.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from neuronode_router.domain import ControlState, alias_map
from neuronode_router.errors import NeuronodeError
from neuronode_router.profiles.render import render_config

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
"""How long the other workers of a host leave the rendering to the one that answered the switch."""


class Renderer:
    """Renders the newest state this worker knows. A file that cannot be written is a warning, not an error.

    `patience` is how many seconds the other workers of a host leave it to the one that answered the switch.
    """

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
        if self._task is not None:
            self._task.cancel()
        await self.idle()

    async def _work(self) -> None:
        while (state := self._wanted) is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    await self._hurry.wait()
            self._hurry.clear()
            if self._wanted is state:
                await asyncio.to_thread(self._render, state)
            if self._wanted is state:
                self._wanted = None

    def _render(self, state: ControlState) -> None:
        aliases = alias_map(state.profiles, state.active)
        mark = _Mark.read(self._mark)
        managed = mark.managed | aliases.keys()
        try:
            if mark.revision >= state.revision and mark.file == _signature(self._config):
                return
            render_config(self._config, aliases=aliases, managed=managed, profile=state.active)
            _Mark(state.revision, _signature(self._config), frozenset(aliases)).write(self._mark)
            self.warning = None
        except (NeuronodeError, OSError) as error:
            self.warning = f"{self._config.name} was not rendered: {error}"
            logger.warning("neuronode: %s", self.warning)


@dataclass(frozen=True, slots=True)
class _Mark:
    """What this host rendered last: lets its other workers, and the next start, skip parsing the file."""

    revision: int = 0
    file: str = ""
    managed: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path) -> _Mark:
        try:
            content = json.loads(path.read_text())
            return cls(int(content["revision"]), str(content["file"]), frozenset(content["managed"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, path: Path) -> None:
        content = {"revision": self.revision, "file": self.file, "managed": sorted(self.managed)}
        path.write_text(json.dumps(content))


def _signature(path: Path) -> str:
    info = path.stat()
    return f"{info.st_ino}:{info.st_mtime_ns}:{info.st_size}"
