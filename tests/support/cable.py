"""A cable to a server that can be cut: as a proxy that ends, or comes back, looks to who talks to it.

It must not know what is said on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, Self

CHUNK = 65_536


class Cable:
    """Passes on what arrives at `url` while it is open. All its connections end when it is cut."""

    def __init__(self, target: int) -> None:
        """Take `target`, a port of this machine; nothing listens yet."""
        self._target = target
        self._port = 0
        self._server: asyncio.Server | None = None
        self._meetings: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        """Open it."""
        self._thread.start()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        """Cut it for good."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """Where it listens; the same after each cut."""
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        """Listen."""
        self._do(self._listen())

    def cut(self) -> None:
        """Listen no longer, and drop everybody."""
        self._do(self._drop())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _drop(self) -> None:
        if self._server is not None:
            self._server.close()
        ending = list(self._meetings)
        for meeting in ending:
            meeting.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meeting = asyncio.current_task()
        assert meeting is not None
        self._meetings.add(meeting)
        meeting.add_done_callback(self._meetings.discard)
        # That it was cut is no news to asyncio, which would log it.
        with contextlib.suppress(asyncio.CancelledError), _ended(writer):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            with _ended(far_writer):
                await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))


@contextlib.contextmanager
def _ended(writer: asyncio.StreamWriter) -> Iterator[None]:
    """End a connection at once when its meeting is, or cannot take place."""
    try:
        yield
    except BaseException:
        writer.transport.abort()
        raise


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()
