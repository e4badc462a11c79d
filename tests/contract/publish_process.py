"""A process that rolls back several profile files and sends itself a signal at a named moment of that.

Usage: python -m tests.contract.publish_process STATE_URL PROFILES_DIRECTORY SIGNAL MOMENT
MOMENT is a step of the commit, or a number N: just before the file system's N-th rename or removal in the directory.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import Wake, WakeGroup
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.profiles.files import ProfileFiles, Standstill
from neuronode_router.profiles.memory import FilesMemory
from tests.support.place import GROUPS, TIERS

HOST = HostFacts(
    frozenset(g for tasks in GROUPS.values() for g in tasks.values()) | {f"tier_{t}" for t in TIERS}
)


def make_manager(
    store: ControlStore,
    directory: Path,
    *,
    standstill: Standstill | None = None,
    wake: Wake | None = None,
    memory: FilesMemory | None = None,
) -> ProfileManager:
    """Return a manager over real profile files."""
    source = ProfileFiles(directory, standstill=standstill or store.standstill, memory=memory)
    return ProfileManager(store=store, source=source, host=lambda: HOST, wake=wake or WakeGroup(()))


def count_file_steps(directory: str, reached: Callable[[str], None]) -> None:
    """Call `reached` with "1", "2" and so on before each rename and removal in `directory`."""
    count = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in ("os.rename", "os.remove") and str(arguments[0]).startswith(directory):
            count += 1
            reached(str(count))

    sys.addaudithook(watch)


async def roll_back(url: str, directory: str, number: str, moment: str) -> None:
    """Roll back to the revision before, with the signal at `moment`."""

    def reached(name: str) -> None:
        if (
            name == moment
        ):  # to this thread: sent to the process, another one stops, and this one goes on until then
            signal.pthread_kill(threading.get_ident(), signal.Signals(int(number)))

    store = ControlStore(url, fault=reached)
    count_file_steps(directory, reached)
    await make_manager(store, Path(directory)).rollback(actor=Actor("child"))
    store.close()


if __name__ == "__main__":
    asyncio.run(roll_back(*sys.argv[1:]))
