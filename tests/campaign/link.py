"""A TCP link that a campaign cuts, freezes and slows: between one proxy and one server.

It must not know what is said over it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Self

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]

SLOW_SECONDS = 0.2
"""What a slow link adds to each piece."""


class LinkState(StrEnum):
    """What becomes of a piece of data."""

    OPEN = "open"
    CUT = "cut"
    """Connections are reset, and new ones too."""
    HALF_OPEN = "half-open"
    """Connections stay, and nothing passes."""
    SLOW = "slow"


class Link:
    """Listens on a port of its own and passes on, in a thread of its own. A context manager."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._state = LinkState.OPEN
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def be(self, state: LinkState) -> None:
        """Change what becomes of data; a cut ends every connection at once."""
        self._state = state
        if state is LinkState.CUT:
            self._loop.call_soon_threadsafe(self._reset)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _end(self) -> None:
        self._server.close()
        self._state = LinkState.CUT
        self._reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._state is LinkState.CUT:
            writer.transport.abort()
            return
        try:
            there, back = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        self._open -= {writer, back}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                while self._state is LinkState.HALF_OPEN:
                    await asyncio.sleep(0.05)
                if self._state is LinkState.SLOW:
                    await asyncio.sleep(SLOW_SECONDS)
                writer.write(data)
                await writer.drain()
        writer.close()

    def _reset(self) -> None:
        for writer in self._open:
            writer.transport.abort()
