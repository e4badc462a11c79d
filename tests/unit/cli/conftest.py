"""The command line in this process, and a proxy worker without LiteLLM behind a real socket for it to talk to."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner

from neuronode_router.cli.http import KEY_VARIABLE
from neuronode_router.cli.main import main
from tests.admin_api.world import World, running_world
from tests.support.web import serving

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Remote:
    """A world that is served from a thread of its own."""

    world: World
    url: str
    loop: asyncio.AbstractEventLoop

    def use(self, monkeypatch: pytest.MonkeyPatch, caller: str = "admin") -> None:
        """Let the environment name this proxy and a caller's key."""
        monkeypatch.setenv("LITELLM_BASE_URL", self.url)
        monkeypatch.setenv(KEY_VARIABLE, self.world.keys[caller])

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the world lives."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)


Terminal = Callable[..., Outcome]


@pytest.fixture
def neuronode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    """Run `neuronode` with arguments; `typed` is what somebody at a terminal answers, `piped` what no terminal says."""
    monkeypatch.chdir(tmp_path)
    for name in (KEY_VARIABLE, "LITELLM_BASE_URL", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object, typed: str | None = None, piped: str | None = None) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["neuronode", *map(str, arguments)])
        with CliRunner().isolation(input=piped if typed is None else typed) as (out, err, _):
            if typed is not None:
                monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
            with pytest.raises(SystemExit) as ended:
                main()
            code = ended.value.code
            return Outcome(
                code if isinstance(code, int) else 0, out.getvalue().decode(), err.getvalue().decode()
            )

    return run


@contextmanager
def remote_world(directory: Path, *, committed: bool = True) -> Iterator[Remote]:
    """Serve a world on a loopback port, on an event loop of its own: the command line blocks this thread."""
    ready, found = threading.Event(), dict[str, Any]()

    async def live() -> None:
        stop = asyncio.Event()
        async with running_world(directory, committed=committed) as world, serving(world.app) as (url, _):
            found.update(remote=Remote(world, url, asyncio.get_running_loop()), stop=stop)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    try:
        assert ready.wait(20)
        yield found["remote"]
    finally:
        found["remote"].loop.call_soon_threadsafe(found["stop"].set)
        thread.join(20)


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, neuronode: Terminal) -> Iterator[Remote]:
    """A proxy worker at revision 1 with `premium` active; the environment names it and an administrator's key."""
    directory = tmp_path / "proxy"
    directory.mkdir()
    with remote_world(directory) as running:
        running.use(monkeypatch)
        yield running
