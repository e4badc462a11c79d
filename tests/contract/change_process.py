"""A process that makes one change to a control state; it can kill itself (SIGKILL) at a named step of the commit.

Usage: python -m tests.contract.change_process STATE_URL PROFILES_FILE STEP CHANGE
CHANGE is `switch`, `edit`, or `race N`: N switches on the current revision at once, one line for each outcome.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.domain.audit import Actor
from neuronode_router.errors import RevisionConflict
from tests.support.control import HOST, FileSource


async def race(manager: ProfileManager, count: int) -> None:
    """Wait for the starting line on standard input, then let `count` tasks switch on revision 1."""
    print("ready", flush=True)
    sys.stdin.readline()

    async def compete() -> str:
        try:
            receipt = await manager.switch("premium", actor=Actor(f"{os.getpid()}"), if_match=1, wait="none")
        except RevisionConflict as conflict:
            return f"conflict {conflict.actual}"
        return f"won {receipt.revision}"

    for outcome in await asyncio.gather(*(compete() for _ in range(count))):
        print(outcome)


async def change(url: str, profiles: str, step: str, *what: str) -> None:
    """Make the change; never returns when `step` is one of the commit's."""

    def fault(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    store = ControlStore(url, fault=fault)
    manager = ProfileManager(
        store=store, source=FileSource(Path(profiles)), host=lambda: HOST, wake=WakeGroup(())
    )
    if what[0] == "switch":
        await manager.switch("premium", actor=Actor("child"))
    elif what[0] == "edit":
        await manager.edit_task("balanced", "chat", "chat_premium", actor=Actor("child"))
    else:
        await race(manager, int(what[1]))
    store.close()


if __name__ == "__main__":
    asyncio.run(change(*sys.argv[1:]))
