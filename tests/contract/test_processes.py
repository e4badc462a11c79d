"""What real processes do to one control state: kill -9 at every step, and fifty switches at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from tests.contract.conftest import MakeStore
from tests.support.control import HOST, FileSource, make_profile, make_set

ROOT = Path(__file__).resolve().parents[2]
EDITED = make_set(balanced=make_profile("balanced", chat="chat_premium"))


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    """Where the profile file of all processes lies."""
    return tmp_path / "profiles.json"


@pytest.fixture
async def manager(store: ControlStore, profiles: Path) -> ProfileManager:
    """The manager of this process, after the first load: revision 1, profile balanced."""
    manager = ProfileManager(store=store, source=FileSource(profiles), host=lambda: HOST, wake=WakeGroup(()))
    await manager.reload(actor=FILES)
    return manager


def command(state_url: str, profiles: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.contract.change_process", state_url, str(profiles), *arguments]


@pytest.mark.parametrize(
    "step", ["locked", pytest.param("written", marks=pytest.mark.campaign), "published", "committed"]
)
@pytest.mark.parametrize("change", [pytest.param("switch", marks=pytest.mark.campaign), "edit"])
async def test_kill_9_at_every_step_leaves_one_revision_or_the_next(
    manager: ProfileManager, make_store: MakeStore, state_url: str, profiles: Path, change: str, step: str
) -> None:
    """A process that dies in a commit leaves N or N+1; the next start goes on from there, files and state agreeing."""
    child = subprocess.run(command(state_url, profiles, step, change), cwd=ROOT, timeout=60, check=False)
    assert child.returncode == -signal.SIGKILL

    store = make_store()
    state = store.read()
    assert state is not None
    committed = step == "committed"
    wanted = (2 if committed else 1, "premium" if committed and change == "switch" else "balanced")
    assert (state.revision, state.active) == wanted
    assert state.profiles == (EDITED if committed and change == "edit" else make_set())
    assert store.audit.verify() == state.revision

    # The next start: a reload. A file that was published and not committed is taken up as an edit of the files.
    receipt = await manager.reload(actor=FILES)
    again = await manager.reload(actor=FILES)

    taken_up = change == "edit" and step == "published"
    assert receipt.changed == taken_up
    assert not again.changed
    state = store.read()
    assert state is not None
    assert FileSource(profiles).read() == state.profiles
    assert store.audit.verify() == state.revision == (2 if committed or taken_up else 1)


async def test_of_fifty_switches_on_one_revision_exactly_one_wins(
    manager: ProfileManager, store: ControlStore, state_url: str, profiles: Path
) -> None:
    """Five processes with ten tasks each use the same If-Match: one winner, forty-nine are told the new revision."""
    children = [
        subprocess.Popen(
            command(state_url, profiles, "none", "race", "10"),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"

    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    outcomes = Counter(line for child in children for line in child.communicate(timeout=60)[0].splitlines())

    assert outcomes == {"won 2": 1, "conflict 2": 49}
    assert store.revision() == store.audit.verify() == 2
