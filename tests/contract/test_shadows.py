"""Shadow comparisons over SQLite and real PostgreSQL: one at a time, one budget, every batch once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.domain.audit import Actor
from neuronode_router.errors import ShadowRefused, UnknownProfile, UnknownShadow, UnknownTask
from neuronode_router.shadows.acts import SPENT, ShadowPlan, Shadows
from neuronode_router.shadows.pairs import AnswerFacts, Pair, PairSums, Skip
from neuronode_router.shadows.store import KEPT, SAMPLES, SetAside, ShadowBatch, ShadowStore, to_nano
from tests.contract.conftest import MakeStore
from tests.support.clock import Clock
from tests.support.control import HOST, MemorySource
from tests.support.servers import wait_until

ROOT = Path(__file__).parents[2]
ANNA = Actor("anna")
PLAN = ShadowPlan(profile="cost_effective", share=500, seconds=3600, budget_usd=1.0, concurrency=2)
KEY = ("balanced", "chat")


class ShadowDesk:
    """One worker's manager and comparisons over a store."""

    def __init__(self, store: ControlStore, *, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.books = ShadowStore(store.database)
        self.manager = ProfileManager(
            store=store, source=MemorySource(), host=lambda: HOST, wake=WakeGroup(())
        )
        self.shadows = Shadows(manager=self.manager, store=self.books, clock=clock)

    async def start(self, **changed: Any) -> str:
        """Begin a comparison and return its id."""
        receipt = await self.shadows.start(replace(PLAN, **changed), actor=ANNA)
        name = await self.shadows.of(receipt.revision)
        assert name is not None
        return name

    def spent(self, name: str) -> float:
        """Return what it has cost."""
        return self.books.read(name).spent_usd


@pytest.fixture
async def desk(store: ControlStore) -> ShadowDesk:
    """A worker at revision 1, with which nothing is compared."""
    found = ShadowDesk(store)
    await found.manager.reload(actor=FILES)
    return found


def answered(number: int = 1) -> PairSums:
    """Return the sums of so many answered requests."""
    sums = PairSums()
    for _ in range(number):
        sums.add(Pair(AnswerFacts(cost_usd=0.002), AnswerFacts(cost_usd=0.001)))
    return sums


async def test_a_comparison_is_learned_with_its_revision(desk: ShadowDesk, make_store: MakeStore) -> None:
    """Whoever reads the state has it; a switch, a rollback and an edit leave it as it is; its end is a revision too."""
    name = await desk.start(tasks=("chat",), judge="chat_premium")
    other = make_store()
    begun = other.read()
    await desk.manager.switch("premium", actor=ANNA)
    await desk.manager.rollback(actor=ANNA)
    kept = other.read()
    stopped = await desk.shadows.stop(name, actor=ANNA, reason="seen enough")

    assert begun is not None
    assert kept is not None
    assert begun.shadow == kept.shadow is not None
    assert (begun.shadow.id, begun.shadow.share, begun.shadow.tasks) == (name, 500, ("chat",))
    over = other.read()
    assert over is not None
    assert (over.shadow, over.active, stopped.action) == (None, "balanced", "shadow")
    rows = [(row.action, row.actor.name, row.reason) for row in await desk.manager.audit(limit=10)]
    assert rows[0] == ("shadow", "anna", f"shadow {name} ends; seen enough")
    assert rows[3][2].startswith(f"shadow {name}: cost_effective answers 50 % once more until 2")
    assert "for at most 1 USD, judged by chat_premium" in rows[3][2]
    assert other.audit.verify() == stopped.revision
    report = await desk.shadows.read(name)
    assert (report.standing.why, report.standing.actor) == ("seen enough", "anna")


async def test_what_cannot_begin_or_end(desk: ShadowDesk) -> None:
    """One at a time, another profile than the active one, of tasks that there are; what is over is over."""
    for plan, error in (
        (replace(PLAN, profile="nobody"), UnknownProfile),
        (replace(PLAN, profile="balanced"), ShadowRefused),
        (replace(PLAN, tasks=("nothing",)), UnknownTask),
    ):
        with pytest.raises(error):
            await desk.shadows.start(plan, actor=ANNA)
    with pytest.raises(UnknownShadow):
        await desk.shadows.stop("s-none", actor=ANNA)
    name = await desk.start()
    with pytest.raises(ShadowRefused):
        await desk.shadows.start(PLAN, actor=ANNA)
    ended = await desk.shadows.end(name, SPENT)
    assert ended is not None
    assert not ended.awaited
    with pytest.raises(ShadowRefused):
        await desk.shadows.stop(name, actor=ANNA)

    assert await desk.shadows.end(name, SPENT) is None
    assert await desk.shadows.running() is None
    assert desk.books.set_aside(name, 1) is SetAside.OVER, "nothing is spent on what is over"


async def test_a_dry_run_begins_nothing(desk: ShadowDesk) -> None:
    """It says that it would."""
    receipt = await desk.shadows.start(PLAN, actor=ANNA, dry_run=True)

    assert (receipt.changed, await desk.shadows.running()) == (True, None)


async def test_a_batch_counts_once(desk: ShadowDesk) -> None:
    """Sent again it changes nothing, neither sums nor money; another worker's has numbers of its own."""
    name = await desk.start()
    assert desk.books.set_aside(name, to_nano(0.5)) is SetAside.DONE
    first = ShadowBatch(name, 1, {KEY: answered(2)}, to_nano(0.3))

    added = [
        desk.books.add(*each) for each in (("a", first), ("a", first), ("b", replace(first, sequence=1)))
    ]

    assert added == [True, False, True]
    assert desk.books.sums(name)[KEY].counts["answered"] == 4
    assert desk.spent(name) == pytest.approx(-0.1)  # the second worker's test money was never set aside
    assert not desk.books.add("a", ShadowBatch("s-forgotten", 9, {KEY: answered()}))


async def test_what_came_late_counts_for_the_one_that_is_over(desk: ShadowDesk) -> None:
    """A worker may have had requests under way when it ended."""
    name = await desk.start()
    await desk.shadows.end(name, SPENT)
    sums = PairSums()
    sums.skip(Skip.QUEUE)

    assert desk.books.add("a", ShadowBatch(name, 1, {KEY: sums, ("balanced", "auto"): answered()}))
    report = await desk.shadows.read(name)

    assert [(one.task, one.sampled) for one in report.findings] == [("", 2), ("auto", 1), ("chat", 1)]
    assert report.against == ("balanced",)


_TRY = st.tuples(st.sampled_from([0, 1]), st.integers(0, 600_000_000), st.floats(0, 1), st.booleans())


@settings(
    max_examples=settings().max_examples * 3 // 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(tries=st.lists(_TRY, min_size=1, max_size=8))
async def test_workers_together_never_spend_more_than_the_budget(
    desk: ShadowDesk, make_store: MakeStore, tries: list[tuple[int, int, float, bool]]
) -> None:
    """Whatever is set aside, given back, and in whichever order: the sum is what was taken, within the budget."""
    name = await desk.start()
    workers = [desk.books, ShadowStore(make_store().database)]
    running: list[tuple[int, int, int]] = []
    spent, numbers = 0, [0, 0]
    for worker, nano, share, ends in tries:
        if workers[worker].set_aside(name, nano) is SetAside.DONE:
            running.append((worker, nano, int(nano * share)))
        assert desk.spent(name) <= 1.0
        if running and ends:
            by, taken, cost = running.pop(0)
            numbers[by] += 1
            assert workers[by].add(f"w{by}", ShadowBatch(name, numbers[by], {}, taken - cost))
            spent += cost
    await desk.shadows.end(name, SPENT)

    assert round(desk.spent(name) * 1e9) == spent + sum(nano for _, nano, _ in running)


async def test_workers_that_set_aside_at_once_share_what_there_is(
    desk: ShadowDesk, make_store: MakeStore
) -> None:
    """Of forty tries at a tenth of the budget, ten succeed."""
    name = await desk.start()
    workers = [desk.books, ShadowStore(make_store().database)]
    with ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(workers[n % 2].set_aside, name, to_nano(0.1)) for n in range(40)]
        granted = [one.result() for one in tries].count(SetAside.DONE)

    assert (granted, desk.spent(name)) == (10, 1.0)


async def test_a_killed_worker_doubles_and_blocks_nothing(desk: ShadowDesk, state_url: str) -> None:
    """Two processes, of which one is killed while it writes: what it was told is kept is there, at most one more."""
    name = await desk.start(budget_usd=1000.0)
    command = [sys.executable, "-m", "tests.contract.shadow_process", state_url]
    counts = []
    with _worker([*command, "killed", name]) as killed, _worker([*command, "stays", name]) as stays:
        for one, number in ((killed, 25), (stays, 10)):
            counts.append(_counted(one, number))
        killed.send_signal(signal.SIGKILL)
        counts[0] = max(counts[0], *map(int, killed.communicate()[0].split()), 0)
        counts[1] = _counted(stays, counts[1] + 5)
        stays.send_signal(signal.SIGKILL)
        counts[1] = max(counts[1], *map(int, stays.communicate()[0].split()), 0)

    def settled() -> bool:
        found = desk.books.sums(name)[KEY].counts
        return 0 <= found["answered"] - sum(counts) <= 2 and found["cost.other"] == found["answered"] * 10**6

    wait_until(settled, seconds=10, what="the killed workers' last transactions to end")
    found = desk.books.sums(name)[KEY].counts["answered"]
    # A worker that is killed between setting aside and telling leaves the sum too high, never too low.
    assert 0 <= round(desk.spent(name) * 1000) - found <= 2 * 3


def _worker(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _counted(worker: subprocess.Popen[str], number: int) -> int:
    assert worker.stdout is not None
    found = 0
    while found < number:
        found = int(worker.stdout.readline())
    return found


async def test_samples_are_the_newest(desk: ShadowDesk) -> None:
    """No more than a bounded number of one comparison."""
    name = await desk.start(sample_text=True)
    for sequence in range(1, 8):
        kept = [(float(sequence * 20 + n), {"asked": f"{sequence}-{n}"}) for n in range(20)]
        desk.books.add("a", ShadowBatch(name, sequence, {}, samples=kept))

    found = desk.books.samples(name)

    assert (len(found), found[0]["asked"], found[-1]["asked"]) == (SAMPLES, "7-19", "3-0")
    assert (await desk.shadows.read(name)).samples == found


async def test_old_comparisons_are_forgotten(desk: ShadowDesk) -> None:
    """With all that belongs to them, when a new one begins."""
    names = []
    for _ in range(KEPT + 1):
        names.append(await desk.start())
        desk.books.add("a", ShadowBatch(names[-1], len(names), {KEY: answered()}, samples=[(1.0, {})]))
        await desk.shadows.end(names[-1], SPENT)

    left = await desk.shadows.page(200)

    assert [one.shadow.id for one in left] == names[:0:-1]
    assert (desk.books.sums(names[0]), desk.books.samples(names[0])) == ({}, ())
    assert desk.books.sums(names[1])[KEY].counts["answered"] == 1


@pytest.mark.parametrize("ahead", [7200.0, -7200.0])
async def test_a_comparison_lasts_as_long_whichever_host_begins_and_ends_it(
    desk: ShadowDesk, make_store: MakeStore, shared_clock: Clock, ahead: float
) -> None:
    """A host whose clock is wrong goes by the one that all share."""
    far = ShadowDesk(make_store(), clock=lambda: shared_clock() + ahead)
    name = await far.start()
    shadow = far.books.read(name).shadow
    assert shadow.until == shared_clock() + PLAN.seconds

    assert not await far.shadows.is_over(shadow)
    shared_clock.now += PLAN.seconds

    assert await far.shadows.is_over(shadow)
    assert await desk.shadows.is_over(shadow)
