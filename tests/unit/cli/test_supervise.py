"""Child processes: stopped politely, killed with everything they started, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from neuronode_router.cli.serve.supervise import TAIL_BYTES, Child, Relay

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(grandchild.pid, flush=True)
time.sleep(60)
"""
PARENT = """
import asyncio, sys
from neuronode_router.cli.serve.supervise import Child
async def run():
    child = await Child.start([sys.executable, "-c", sys.argv[1]], environ={}, captured=True)
    print((await child.process.stdout.readline()).decode(), flush=True)
    await child.wait()
asyncio.run(run())
"""


async def test_a_polite_child_ends_by_itself() -> None:
    """SIGTERM is enough, and its exit is reported."""
    child = await started("import time; time.sleep(60)")

    assert await child.stop(grace=10) is True
    assert child.process.returncode == -signal.SIGTERM


async def test_a_stubborn_child_is_killed_with_its_own_children() -> None:
    """After the grace the whole group goes, workers of a stuck supervisor included."""
    child = await started(STUBBORN)
    assert child.process.stdout is not None
    grandchild = int(await child.process.stdout.readline())

    ended = await child.stop(grace=0.2)

    assert ended is False
    assert child.process.returncode == -signal.SIGKILL
    await gone(grandchild)


async def test_a_dead_child_is_stopped_without_complaint() -> None:
    """Stopping is what happens after a crash too."""
    child = await started("pass")
    await child.wait()
    await child.write(b"too late\n")

    assert await child.stop(grace=1) is True


async def test_kill_9_of_the_parent_takes_the_whole_family_along() -> None:
    """Neither the child nor what it started outlives a parent that could not clean up."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, STUBBORN, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert parent.stdout is not None
    grandchild = int(await parent.stdout.readline())

    parent.kill()
    await parent.wait()

    await gone(grandchild)


async def test_the_relay_keeps_the_end_until_it_is_opened() -> None:
    """What LiteLLM prints while it starts is shown only if the start fails; after that everything passes."""
    shown: list[bytes] = []
    relay = Relay(shown.append)
    child = await started(f"print('x' * {2 * TAIL_BYTES} + 'end')")

    await relay.run(child)
    await child.stop(grace=5)

    assert shown == []
    assert len(relay.tail) == TAIL_BYTES
    assert relay.tail.endswith(b"end\n")

    relay.open = True
    child = await started("print('hello')")
    await relay.run(child)
    await child.stop(grace=5)
    assert b"".join(shown) == b"hello\n"


async def test_the_relay_reads_on_when_nobody_listens() -> None:
    """`neuronode serve | head` must not stop the proxy once `head` has ended."""

    def closed(_: bytes) -> None:
        raise BrokenPipeError

    relay = Relay(closed, open=True)
    child = await started("print('x' * 300_000)")

    async with asyncio.timeout(10):
        await relay.run(child)

    assert await child.stop(grace=5) is True


async def started(program: str) -> Child:
    """Run a Python program as a captured child."""
    return await Child.start([sys.executable, "-c", program], environ={}, captured=True)


async def gone(pid: int) -> None:
    """Wait, ten seconds at most, until the process has ended (a zombie has)."""
    async with asyncio.timeout(10):
        while _runs(pid):
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
