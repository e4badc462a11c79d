"""Wake-ups between worker processes: a watched file on one host, Redis pub/sub across hosts, or both.

They carry no truth and may lose messages; a poll of the store heals. No wake-up ever waits long or raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from neuronode_router import private_files
from neuronode_router.control.notify import WRITES, DirectoryEvents
from neuronode_router.redis.channel import RedisChannel
from neuronode_router.threads import in_thread

logger = logging.getLogger(__name__)

CHANNEL = "neuronode:wake"


class Wake(Protocol):
    """Tells workers that there is something to read. It carries no truth and may lose messages: a poll heals."""

    @property
    def mode(self) -> str:
        """What is in force, for the status page: "inotify", "redis", "poll" and the like."""
        ...

    async def start(self, on_wake: Callable[[], None]) -> None:
        """Begin to listen; `on_wake` is called from any thread. Never raises when the channel is down."""
        ...

    def signal(self, revision: int) -> None:
        """Wake everybody who listens, from any thread. Never raises, never waits."""
        ...

    async def stop(self) -> None:
        """Stop listening and free what was taken."""
        ...


class FileWake:
    """Wakes every process of this host that watches the file `path`.

    The file should lie in a directory of its own, because every write in that directory wakes everybody.
    """

    def __init__(self, path: Path, *, events: DirectoryEvents | None = None) -> None:
        self._path = path
        self._events = events or DirectoryEvents(path.parent, kinds=WRITES)
        self._on_wake: Callable[[], None] = _nobody

    @property
    def mode(self) -> str:
        """How the file is watched: "inotify", "poll", "off"."""
        return self._events.mode

    async def start(self, on_wake: Callable[[], None]) -> None:
        """Begin to listen. Never raises."""
        self._on_wake = on_wake
        try:
            private_files.make_directory(self._path.parent)
        except OSError as error:
            logger.warning("The wake-up file's directory cannot be made: %s", error)
        self._events.start(on_wake)

    def signal(self, revision: int) -> None:
        """Write `revision` into the file: 21 bytes into the page cache. Never raises."""
        try:
            self._write(revision)
        except OSError as error:
            logger.warning("The wake-up file cannot be written, workers will poll: %s", error)
        self._on_wake()  # the others first: our own worker takes the interpreter from this thread

    async def stop(self) -> None:
        """Stop listening."""
        await in_thread(self._events.stop)

    def _write(self, revision: int) -> None:
        # In place, with one write: one event, and the watched file stays the same.
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, private_files.FILE_MODE)
        try:
            os.pwrite(handle, b"%-20d\n" % revision, 0)
        finally:
            os.close(handle)


class RedisWake:
    """Wakes every process that listens on `CHANNEL` of the Redis at `url`."""

    def __init__(self, url: str) -> None:
        self._channel = RedisChannel(url, CHANNEL)
        self._on_wake: Callable[[], None] = _nobody
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sending: set[asyncio.Task[bool]] = set()

    @property
    def mode(self) -> str:
        """Return "redis", or "redis (down)" while there is no subscription."""
        return "redis" if self._channel.connected else "redis (down)"

    async def start(self, on_wake: Callable[[], None]) -> None:
        """Begin to listen in the background. Never raises, never waits for Redis."""
        self._on_wake = on_wake
        self._loop = asyncio.get_running_loop()
        self._channel.start(lambda _: on_wake())

    def signal(self, revision: int) -> None:
        """Have the event loop publish `revision`. Never raises, never waits."""
        self._on_wake()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(self._publish, revision)

    async def stop(self) -> None:
        """Stop listening and close the connections, once what was to be published is."""
        await asyncio.gather(*self._sending)
        await self._channel.stop()

    def _publish(self, revision: int) -> None:
        task = asyncio.ensure_future(self._channel.publish(str(revision).encode()))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)


class WakeGroup:
    """Several wake-ups as one: signals go to all of them at the same time."""

    def __init__(self, wakes: Sequence[Wake]) -> None:
        self._wakes = tuple(wakes)

    @property
    def mode(self) -> str:
        """The modes of all, e.g. "inotify+redis"."""
        return "+".join(wake.mode for wake in self._wakes) or "poll"

    async def start(self, on_wake: Callable[[], None]) -> None:
        """Begin to listen on all."""
        for wake in self._wakes:
            await wake.start(on_wake)

    def signal(self, revision: int) -> None:
        """Signal on all."""
        for wake in self._wakes:
            wake.signal(revision)

    async def stop(self) -> None:
        """Stop all."""
        for wake in self._wakes:
            await wake.stop()


def _nobody() -> None:
    """Stand for a listener before `start`."""
