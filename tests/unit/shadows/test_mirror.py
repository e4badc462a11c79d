"""The background of a worker: what waits and runs is bounded, money is set aside first, and everything is told once."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronode_router.background import Failures
from neuronode_router.domain.shadows import Shadow
from neuronode_router.errors import StoreUnavailable
from neuronode_router.shadows.mirror import (
    REFUSALS,
    SETTLED_SECONDS,
    WAITING,
    FullAnswer,
    JudgedAnswer,
    Mirror,
    MirrorFailed,
    Original,
    Ready,
)
from neuronode_router.shadows.pairs import AnswerFacts, PairSums, Skip
from neuronode_router.shadows.store import SetAside, ShadowBatch, ShadowStore
from neuronode_router.tasks.agreement import Said
from neuronode_router.usage.finished import RequestOutcome
from tests.support.waiting import eventually

SHADOW = Shadow("s-1", "cheap", "ab", share=1000, until=9e9, budget_usd=1, concurrency=2)
NANO = 10**9
OUTSIDE = contextvars.ContextVar("outside", default="")


def answer(text: str = "yes", cost: float | None = 0.25) -> FullAnswer:
    """Return an answer."""
    return FullAnswer(AnswerFacts(cost_usd=cost), Said(text))


def original(task: str = "chat", shadow: Shadow = SHADOW) -> Original:
    """Return a request that was answered."""
    return Original(shadow, "premium", task, answer(), None)


class Books(ShadowStore):
    """The store in memory."""

    def __init__(self, budget: float = 1.0) -> None:
        self.left = int(budget * NANO)
        self.batches: list[ShadowBatch] = []
        self.found = PairSums()
        self.away = False
        self.over = False

    def set_aside(self, name: str, nano: int) -> SetAside:
        if self.over:
            return SetAside.OVER
        allowed = nano <= self.left
        self.left -= nano if allowed else 0
        return SetAside.DONE if allowed else SetAside.TOO_MUCH

    def add(self, worker: str, batch: ShadowBatch) -> bool:
        self.batches.append(batch)
        if self.away:
            raise StoreUnavailable("gone")
        for sums in batch.found.values():
            self.found.merge(sums)
        self.left += batch.unspent_nano
        return True


@dataclass
class Asks:
    """Answers as a test says, and counts who runs at the same time."""

    ready_: Skip | None = None
    fails: RequestOutcome | None = None
    breaks: bool = False
    cost: float | None = 0.25
    most: float = 0.5
    judge: Callable[[FullAnswer], Awaitable[JudgedAnswer]] | None = None
    held: asyncio.Event | None = None
    running: int = 0
    at_once: int = 0
    asked: int = 0
    contexts: list[str] = field(default_factory=list)

    async def ready(self, one: Original) -> Ready | Skip:
        if self.breaks:
            raise ValueError("ours")
        self.contexts.append(OUTSIDE.get())
        return self.ready_ or Ready(self.most, self.ask, 0.4, self.judge, "What?")

    async def ask(self) -> FullAnswer:
        self.asked += 1
        self.running += 1
        self.at_once = max(self.at_once, self.running)
        try:
            if self.held is not None:
                await self.held.wait()
            if self.fails is not None:
                raise MirrorFailed(self.fails)
            return answer("Yes.", self.cost)
        finally:
            self.running -= 1


def mirror(asks: Asks, books: Books) -> Mirror:
    """Return a worker's background."""
    return Mirror(asks=asks, store=books, worker="w", failures=Failures(), clock=lambda: 7.0)


async def over(made: Mirror) -> None:
    """Wait until nothing runs any more, and share what was found out."""
    await eventually(lambda: not made.status()["shadow_running"])
    await made.flush()


async def test_no_more_run_and_wait_than_may() -> None:
    """Further ones are dropped and counted; those that waited come to their turn."""
    asks, books = Asks(held=asyncio.Event()), Books(1000)
    made = mirror(asks, books)

    for _ in range(2 + WAITING + 5):
        made.offer(original())
    await eventually(lambda: asks.asked == 2)
    stood = made.status()
    assert asks.held is not None
    asks.held.set()
    await over(made)

    assert stood == {"shadow_running": 2, "shadow_waiting": WAITING, "shadow_dropped": 5}
    assert asks.at_once == 2
    assert books.found.counts["answered"] == 2 + WAITING
    assert books.found.counts["skipped.queue"] == 5
    assert books.found.counts["sampled"] == 2 + WAITING + 5


@settings(max_examples=settings().max_examples * 4 // 5, deadline=None)
@given(
    budget=st.floats(0, 4),
    costs=st.lists(st.none() | st.floats(0, 0.5), min_size=1, max_size=12),
    concurrency=st.integers(1, 4),
)
async def test_the_budget_is_never_exceeded(
    budget: float, costs: list[float | None], concurrency: int
) -> None:
    """Whatever answers cost of what was set aside; in the end just that is spent, and all were counted."""
    books, asks = Books(budget), Asks()
    made = mirror(asks, books)
    spent = 0.0
    for cost in costs:
        asks.cost = cost
        before = asks.asked
        made.offer(original(shadow=replace(SHADOW, concurrency=concurrency)))
        await over(made)
        assert books.left >= 0
        spent += (0.4 if cost is None else cost) * (asks.asked - before)

    assert books.left == pytest.approx(int(budget * NANO) - spent * NANO, abs=20)
    assert books.found.counts["sampled"] == len(costs)


async def test_a_budget_that_allows_nothing_more_is_told_once_nothing_can_come_back() -> None:
    """While a request runs, what it leaves may suffice for another."""
    asks, books = Asks(held=asyncio.Event()), Books(0.5)
    made = mirror(asks, books)
    made.offer(original())
    await eventually(lambda: asks.asked)
    made.offer(original())
    await eventually(lambda: made.status()["shadow_running"] == 1)
    early = set(made.spent)
    assert asks.held is not None
    asks.held.set()
    await over(made)
    made.offer(original())
    await over(made)

    assert (early, set(made.spent)) == (set(), {"s-1"})
    assert books.found.counts["skipped.budget"] == 2


@pytest.mark.parametrize("before", [0, 1], ids=["the first request", "a later one"])
async def test_one_dear_request_ends_nothing(before: int) -> None:
    """It does not fit, and is counted; the others go on, and what was tried for them comes back."""
    asks, books = Asks(cost=0.001, most=0.01), Books(2.0)
    made = mirror(asks, books)
    for _ in range(before):
        made.offer(original())
        await over(made)
    asks.most = 2.4
    made.offer(original())
    await over(made)
    asks.most = 0.01
    made.offer(original())
    await over(made)

    assert (asks.asked, set(made.spent)) == (before + 1, set())
    assert books.found.counts["skipped.budget"] == 1
    assert books.left == (2.0 - 0.001 * (before + 1)) * NANO


async def test_a_budget_is_used_up_when_nothing_has_come_back_for_a_while() -> None:
    """Another worker may have set aside what is missing."""
    books, now = Books(0.5), [7.0]
    made = Mirror(asks=Asks(), store=books, worker="w", failures=Failures(), clock=lambda: now[0])
    made.offer(original())
    await over(made)
    made.offer(original())
    await over(made)

    early = await made.is_spent(SHADOW)
    now[0] += SETTLED_SECONDS
    late = await made.is_spent(SHADOW)
    books.left += NANO // 4
    back = await made.is_spent(SHADOW)
    await made.flush()

    assert (early, late, back, set(made.spent)) == (False, True, False, set())
    assert books.left == NANO // 2


async def test_a_budget_that_never_allowed_anything_is_used_up() -> None:
    """Too small, or used up before this worker began: one dear request says nothing, several in a row do."""
    asks, books, now = Asks(), Books(0.4), [7.0]
    made = Mirror(asks=asks, store=books, worker="w", failures=Failures(), clock=lambda: now[0])
    spent = []

    for _ in range(REFUSALS):
        made.offer(original())
        await over(made)
        now[0] += SETTLED_SECONDS
        spent.append(await made.is_spent(SHADOW))

    assert (asks.asked, books.left) == (0, 0.4 * NANO)
    assert spent == [False] * (REFUSALS - 1) + [True]


async def test_a_lesser_request_goes_on_after_many_that_were_too_dear() -> None:
    """It fits, so that the budget is not used up: the least one counts."""
    asks, books, now = Asks(), Books(0.4), [7.0]
    made = Mirror(asks=asks, store=books, worker="w", failures=Failures(), clock=lambda: now[0])
    for _ in range(REFUSALS):
        made.offer(original())
        await over(made)
    asks.most, asks.cost = 0.1, 0.1
    made.offer(original())
    await over(made)
    now[0] += SETTLED_SECONDS

    assert (asks.asked, await made.is_spent(SHADOW), set(made.spent)) == (1, False, set())


async def test_a_comparison_that_is_over_is_not_given_what_it_never_took() -> None:
    """Asked again after its end, the store says so."""
    books, now = Books(0.5), [7.0]
    made = Mirror(asks=Asks(), store=books, worker="w", failures=Failures(), clock=lambda: now[0])
    for _ in range(2):
        made.offer(original())
        await over(made)
    books.over, now[0] = True, 7.0 + SETTLED_SECONDS

    assert not await made.is_spent(SHADOW)
    await made.flush()

    assert books.left == NANO // 4


async def test_what_comes_after_the_end_is_not_asked() -> None:
    """It says so, and nothing about the budget."""
    asks, books = Asks(), Books()
    books.over = True
    made = mirror(asks, books)

    made.offer(original())
    await over(made)

    assert (asks.asked, set(made.spent), books.found.counts["skipped.ended"]) == (0, set(), 1)


@pytest.mark.parametrize(
    ("outcome", "left"),
    [(RequestOutcome.RATE_LIMIT, 1.0), (RequestOutcome.BAD_REQUEST, 1.0), (RequestOutcome.TIMEOUT, 0.6)],
)
async def test_errors_cost_what_they_may(outcome: RequestOutcome, left: float) -> None:
    """Nothing where nobody worked on it, else the most that the answer may: nobody can tell what was billed. The judge
    was not asked.
    """
    books = Books()
    made = mirror(Asks(fails=outcome), books)

    made.offer(original())
    await over(made)

    assert books.left == left * NANO
    assert dict(+books.found.counts) == {"sampled": 1, f"failed.{outcome}": 1}


async def test_a_verdict_is_paid_from_the_same_money() -> None:
    """One that failed counts as such."""

    async def says(other: FullAnswer) -> JudgedAnswer:
        return JudgedAnswer(None if other.said.text != "Yes." else True, 0.1)

    books = Books()
    made = mirror(Asks(judge=says), books)
    made.offer(original())
    await over(made)

    assert books.left == pytest.approx(NANO - 0.35 * NANO, abs=2)
    assert (books.found.counts["judged.enough"], books.found.counts["judge_failed"]) == (1, 0)


async def test_an_error_of_ours_is_counted_and_costs_no_other_request() -> None:
    """The next one is asked."""
    asks, books = Asks(breaks=True), Books()
    made = mirror(asks, books)
    made.offer(original())
    await over(made)
    asks.breaks = False
    made.offer(original())
    await over(made)

    assert (books.found.counts["skipped.fault"], books.found.counts["answered"]) == (1, 1)


async def test_a_store_that_is_away_loses_nothing() -> None:
    """A batch is sent again under its number until the store has answered; later finds come in a later one."""
    books = Books()
    made = mirror(Asks(), books)
    made.offer(original())
    await eventually(lambda: not made.status()["shadow_running"])
    books.away = True
    with pytest.raises(StoreUnavailable):
        await made.flush()
    made.skip(SHADOW, "premium", "chat", Skip.WIRE)
    books.away = False
    assert made.busy
    await made.flush()

    assert [batch.sequence for batch in books.batches] == [1, 1, 2]
    assert books.found.counts["sampled"] == 2
    assert not made.busy


@pytest.mark.parametrize("asked", [0, 2])
async def test_an_end_is_no_fault_of_what_waited_or_ran(asked: int) -> None:
    """What was set aside for it stays spent, and each says that it was not answered, had it begun or not."""
    asks, books = Asks(held=asyncio.Event()), Books()
    made = mirror(asks, books)
    for _ in range(4):
        made.offer(original())
    await eventually(lambda: asks.asked == asked)

    await made.stop()
    await made.flush()

    assert (books.left, made.status()["shadow_running"]) == (NANO * (2 - asked) // 2, 0)
    assert dict(+books.found.counts) == {"sampled": 4, "skipped.ended": 4}


async def test_texts_are_kept_only_where_that_was_ordered() -> None:
    """A bounded piece of each, and whether they agree."""
    books = Books()
    made = mirror(Asks(), books)
    made.offer(original())
    await over(made)
    silent = books.batches[-1].samples
    made.offer(original(shadow=replace(SHADOW, sample_text=True)))
    await over(made)

    assert not silent
    ((at, kept),) = books.batches[-1].samples
    assert (at, kept) == (
        7.0,
        {"task": "chat", "agrees": True, "asked": "What?", "client": "yes", "other": "Yes."},
    )


async def test_it_runs_in_a_context_of_its_own() -> None:
    """What stands in the client's, such as what its request may reach, is not this one's."""
    OUTSIDE.set("the client's")
    asks = Asks()
    made = mirror(asks, Books())

    made.offer(original())
    await over(made)

    assert asks.contexts == [""]
