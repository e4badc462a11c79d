"""What a rollout would do and one host refuses: its files are old, or cannot be written. Another host does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.rollouts import REFUSED_SECONDS, Rollouts
from neuronode_router.control.wake import WakeGroup
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.profiles import HostFacts, ProfileEdit
from neuronode_router.errors import ProfilesReadOnly, StoreUnavailable
from neuronode_router.rollouts.course import Act, OnDone, RolloutPlan
from neuronode_router.rollouts.facts import ArmFacts, BothArms
from neuronode_router.rollouts.guards import Guard, Metric
from neuronode_router.storage.lease import Lease
from tests.support.control import FileSource, MemoryEdit
from tests.support.policy_host import FileHost

ANNA = Actor("anna")
EDIT = ProfileEdit({"chat": "chat_premium"})
PLAN = RolloutPlan(
    "",
    steps=(500,),
    hold_seconds=0,
    guards=(Guard(Metric.ERROR_RATE, worse_by=0.02),),
    least=10,
    on_done=OnDone.PROMOTE,
    edit=EDIT,
)
ENOUGH = ArmFacts(requests=2000, decided=2000)


class ReadOnlySource(FileSource):
    """Profile files that cannot be written."""

    def stage_edit(self, name: str, edit: ProfileEdit, host: HostFacts) -> MemoryEdit:
        raise ProfilesReadOnly("They lie in a ConfigMap.")


def rolling(host: FileHost, name: str, manager: ProfileManager) -> Rollouts:
    """Return the rollouts of a worker."""
    return Rollouts(
        manager=manager,
        store=host.store.rollouts,
        facts=lambda _: {"chat": BothArms(ENOUGH, ENOUGH)},
        lease=Lease(host.store.database, "rollouts", holder=name, ttl=10, clock=host.clock),
        clock=host.clock,
        rest=0,
    )


def elsewhere(host: FileHost, source: FileSource) -> Rollouts:
    """Return the rollouts of a worker of another host, with files of its own."""
    source.write(host.manager._source.read())  # type: ignore[attr-defined]  # FileSource
    manager = ProfileManager(
        store=host.store, source=source, host=lambda: host.host, wake=WakeGroup(()), clock=host.clock
    )
    return rolling(host, "elsewhere", manager)


@pytest.fixture
async def here(host: FileHost) -> Rollouts:
    """The rollouts of a host whose files are right and can be written."""
    return rolling(host, "here", host.manager)


async def begin(host: FileHost, here: Rollouts) -> None:
    """Begin a rollout that is ready to be promoted, after an edit of other things on this host alone."""
    await host.manager.edit_task("premium", "chat", "chat_balanced", actor=ANNA, wait="none")
    await here.start(PLAN, actor=ANNA, wait="none")


@pytest.mark.parametrize(
    ("kind", "file", "says"),
    [(FileSource, "other.json", "revision 1 said"), (ReadOnlySource, "profiles.json", "ConfigMap")],
)
async def test_another_host_promotes_what_the_leader_cannot(
    host: FileHost, here: Rollouts, kind: Callable[[Path], FileSource], file: str, says: str
) -> None:
    """The leader gives the lease back at once, and says why."""
    other = elsewhere(host, kind(host.path.with_name(file)))
    await begin(host, here)

    assert await other.turn() is None
    (problem,) = other.problems()
    assert problem.code == "rollout_refused"
    assert says in problem.message
    receipt = await here.turn()

    assert receipt is not None
    assert host.state().profiles.profiles["balanced"].tasks["chat"] == "chat_premium"
    await other.turn()
    host.clock.now += REFUSED_SECONDS
    await other.turn()
    assert (here.problems(), other.problems()) == ((), ())


async def test_who_is_alone_tries_again_and_goes_on_watching(
    host: FileHost, here: Rollouts, tmp_path: Path
) -> None:
    """After a pause for others: what it can do, it does, and tells no refusal any more."""
    source = FileSource(tmp_path / "other.json")
    other = elsewhere(host, source)
    await begin(host, here)
    await other.turn()
    before = host.store.rollouts.running()
    host.clock.now += 1
    assert await other.turn() is None
    assert host.store.rollouts.running() == before

    host.clock.now += REFUSED_SECONDS
    assert await other.turn() is None
    assert host.store.rollouts.running() != before
    assert len(other.problems()) == 1
    source.write(host.state().profiles)
    host.clock.now += REFUSED_SECONDS

    assert await other.turn() is not None
    assert other.problems() == ()


async def test_a_refusal_is_told_while_it_is_wanted(host: FileHost, here: Rollouts, tmp_path: Path) -> None:
    """Once a person has paused the rollout nobody wants it."""
    other = elsewhere(host, FileSource(tmp_path / "other.json"))
    await begin(host, here)
    await other.turn()
    await here.act(Act.PAUSE, actor=ANNA, wait="none")
    host.clock.now += REFUSED_SECONDS
    await other.turn()

    assert other.problems() == ()


async def test_a_store_that_is_gone_is_no_refusal(
    host: FileHost, here: Rollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is raised, and tried at the next look."""
    await begin(host, here)

    def gone(*_: object, **__: object) -> None:
        raise StoreUnavailable("It is gone.")

    with monkeypatch.context() as broken:
        broken.setattr(host.store, "commit", gone)
        with pytest.raises(StoreUnavailable):
            await here.turn()
    assert here.problems() == ()
    assert await here.turn() is not None
