"""Waiting for a server to accept requests, and what LiteLLM is started with; the rest is in tests/e2e."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from neuronode_router.cli.serve.prepare import Listen
from neuronode_router.cli.serve.run import litellm_command, until_ok, worker_failed
from neuronode_router.errors import HostError


async def test_it_waits_through_refusals_and_errors() -> None:
    """Nobody listens, then 503, then 200."""
    answers = iter([b"503 Busy", b"200 OK"])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % next(answers))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    waiting = asyncio.create_task(until_ok(f"http://127.0.0.1:{port}/", seconds=30))
    await asyncio.wait({waiting}, timeout=0.3)
    assert not waiting.done()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        await waiting

    assert next(answers, None) is None


async def test_it_gives_up_as_soon_as_there_is_no_hope() -> None:
    """A worker that cannot start is reported at once, not after the time-out."""

    def hopeless() -> None:
        raise HostError("A worker cannot start.")

    with pytest.raises(HostError):
        await until_ok("http://127.0.0.1:9/", unless=hopeless)


async def test_it_is_bounded() -> None:
    """Nothing waits forever."""
    with pytest.raises(TimeoutError):
        await until_ok("http://127.0.0.1:9/", seconds=0.1)


def test_several_workers_get_time_to_import() -> None:
    """uvicorn's own health check would kill a worker that is still importing LiteLLM."""
    one = litellm_command(Path("/c.yaml"), Listen("127.0.0.1", 4000, 1))
    two = litellm_command(Path("/c.yaml"), Listen("127.0.0.1", 4000, 2))

    assert "--timeout_worker_healthcheck" not in one
    assert two[two.index("--timeout_worker_healthcheck") + 1] == "120"
    assert two[two.index("--num_workers") + 1] == "2"


IMPORTING = """Traceback (most recent call last):
  File "<string>", line 1, in <module>
  File "/usr/lib/python3.13/multiprocessing/spawn.py", line 122, in spawn_main
    exitcode = _main(fd, parent_sentinel)
ImportError: cannot import name 'config' from 'h2'
"""
RUNNING = """Process SpawnProcess-1:
Traceback (most recent call last):
  File "/usr/lib/python3.11/multiprocessing/process.py", line 314, in _bootstrap
    self.run()
OSError: [Errno 28] No space left on device
"""
CAUGHT = """Traceback (most recent call last):
  File "/venv/lib/python3.11/site-packages/litellm/main.py", line 1, in completion
ValueError: told, and gone on
"""


@pytest.mark.parametrize(
    ("output", "failed"),
    [
        (IMPORTING, True),
        (RUNNING, True),
        ("ERROR:    Application startup failed. Exiting.\n", True),
        (CAUGHT, False),
        ("INFO:     Started parent process [1]\n", False),
        ("", False),
    ],
)
def test_a_worker_that_died_is_no_worker_that_is_slow(output: str, failed: bool) -> None:
    """uvicorn waits for the first word of a worker for minutes, also of one that is dead."""
    assert worker_failed(output.encode()) is failed
