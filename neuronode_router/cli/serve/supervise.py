"""Starts, watches and stops child processes, and leaves none behind however this process ends.

It must not know what the children are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

TAIL_BYTES = 32768
"""Holds the traceback of an import, many frames deep, as a whole."""
LEASH = """trap '' HUP INT TERM; read -r _; kill -9 "-$1" 2>/dev/null"""
"""A shell that waits for the end of its standard input, which is the end of this process, and kills a group."""


@dataclass(slots=True)
class Child:
    """A child process in a group of its own, so that the terminal's Ctrl-C reaches only its parent.

    The kernel could tie it to its parent too, but not what it starts itself, and only on Linux: so a shell holds
    the leash, and kills the whole group when this process is gone.
    """

    process: asyncio.subprocess.Process
    leash: asyncio.subprocess.Process

    @classmethod
    async def start(cls, argv: Sequence[str], *, environ: Mapping[str, str], captured: bool = False) -> Child:
        """Start `argv`. Its standard input is a pipe; its output too when `captured`, else it is ours."""
        output = asyncio.subprocess.PIPE if captured else None
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=environ,
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT if captured else None,
            start_new_session=True,
        )
        leash = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            LEASH,
            "leash",
            str(process.pid),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return cls(process, leash)

    async def write(self, line: bytes) -> None:
        """Hand over a line on standard input. Never raises: a child that died is seen by `wait`."""
        assert self.process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self.process.stdin.write(line)
            await self.process.stdin.drain()

    async def wait(self) -> int:
        """Return the exit code once the process has ended; negative for the signal that killed it."""
        return await self.process.wait()

    async def stop(self, *, grace: float) -> bool:
        """Ask it to end, wait `grace` seconds at most, then kill what is left of its group. Never raises.

        Returns whether it ended by itself.
        """
        ended = True
        try:
            if self.process.returncode is None:
                self.process.terminate()
            async with asyncio.timeout(grace):
                await self.process.wait()
        except TimeoutError:
            ended = False
        except ProcessLookupError:
            pass
        finally:
            # Also after a clean end: a supervisor that crashed leaves its workers behind in the group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            await self.release()
        await self.process.wait()
        return ended

    async def release(self) -> None:
        """Take the leash off a child that has ended. Never raises."""
        with contextlib.suppress(ProcessLookupError):
            self.leash.kill()
        await self.leash.wait()


@dataclass(slots=True)
class Relay:
    """Passes a captured child's output on once `open` is set; before that it keeps the last 32 kB."""

    emit: Callable[[bytes], None]
    open: bool = False
    tail: bytes = field(default=b"", repr=False)

    async def run(self, child: Child) -> None:
        """Relay until the output ends."""
        assert child.process.stdout is not None
        while chunk := await child.process.stdout.read(65536):
            self.tail = (self.tail + chunk)[-TAIL_BYTES:]
            if self.open:
                # Reading goes on when nobody listens any more: a full pipe would stop the child.
                with contextlib.suppress(OSError):
                    self.emit(chunk)
