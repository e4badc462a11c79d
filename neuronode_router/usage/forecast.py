"""What the recorded requests would have cost, and how long they would have taken, under another profile.

It asks no model and must not know the store. Every figure says what it rests on; what is unknown stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from neuronode_router.domain.profiles import Profile
from neuronode_router.domain.receipts import CacheLoss
from neuronode_router.histogram import Histogram
from neuronode_router.usage.finished import RequestOutcome, UsageKey
from neuronode_router.usage.periods import TimeSpan
from neuronode_router.usage.prices import Basis, Price, Prices
from neuronode_router.usage.store import Rows
from neuronode_router.usage.sums import NANO, Sums
from neuronode_router.usage.targets import FOLLOWING, FitFinding, GroupNote, asked_auto, findings, target

ENOUGH = 20
"""Answers from which on a group's latency and length of answer count as known."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from arrival to the end of the answer."""

    p50_ms: float | None
    p95_ms: float | None
    samples: int


@dataclass(slots=True)
class Amount:
    """US dollars, and of how many requests they are unknown."""

    usd: float = 0.0
    low: float = 0.0
    high: float = 0.0
    """`low` and `high` differ where the other group is known to answer at another length than the recorded one."""
    priced: int = 0
    unpriced: int = 0

    def add(self, other: Amount) -> None:
        """Add another amount. Never raises."""
        self.usd += other.usd
        self.low += other.low
        self.high += other.high
        self.priced += other.priced
        self.unpriced += other.unpriced


@dataclass(slots=True)
class Move:
    """The requests of one task that go from one group to another, or stay."""

    task: str
    before: str
    after: str
    basis: Basis
    measured_on: int
    """Requests that a measured price rests on."""
    requests: int = 0
    cost_before: Amount = field(default_factory=Amount)
    cost_after: Amount = field(default_factory=Amount)
    latency_before: Latency | None = None
    latency_after: Latency | None = None
    """None: not known."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Over the recorded span; divide by `days` for a day."""

    profile: str
    span: TimeSpan
    """What there is a record of, as `periods.recorded` says."""
    requests: int
    followed: int
    """Requests that a switch can move: those the active profile decided. `moves` says which go to another group."""
    moves: Sequence[Move]
    cost_before: Amount
    cost_after: Amount
    findings: Sequence[FitFinding]
    caches: CacheLoss

    @property
    def days(self) -> float:
        """Length of the span."""
        return self.span.days


def forecast(
    rows: Rows,
    candidate: Profile,
    *,
    span: TimeSpan,
    prices: Prices,
    notes: Mapping[str, GroupNote],
    profiles: Mapping[str, Profile],
) -> Forecast:
    """Replay the rows of `span` through `candidate`; `profiles` are those that may have decided. Never raises."""
    moves: dict[tuple[str, str, str], Move] = {}
    moved: dict[tuple[str, str], Sums] = {}
    habits = _Habits(rows)
    for (_, key), sums in rows.items():
        after = target(key, candidate, auto=asked_auto(key, profiles.get(key.profile)))
        move = moves.get((key.task, key.chosen_group, after))
        if move is None:
            move = moves[key.task, key.chosen_group, after] = _move(key, after, prices, habits)
        move.requests += sums.requests
        move.cost_before.add(_recorded(sums))
        move.cost_after.add(_replayed(key, sums, after, prices.of(after), habits))
        if after != key.chosen_group:
            moved.setdefault((key.task, after), Sums()).merge(sums)
    before, later = Amount(), Amount()
    for move in moves.values():
        before.add(move.cost_before)
        later.add(move.cost_after)
    return Forecast(
        profile=candidate.name,
        span=span,
        requests=sum(sums.requests for sums in rows.values()),
        followed=sum(s.requests for (_, key), s in rows.items() if key.reason in FOLLOWING),
        moves=sorted(moves.values(), key=lambda move: (-move.requests, move.task, move.before)),
        cost_before=before,
        cost_after=later,
        findings=[
            finding
            for (task, group), sums in sorted(moved.items(), key=lambda move: move[0])
            for finding in findings(task, sums, group, notes)
        ],
        caches=cache_loss(rows, candidate, prices, profiles),
    )


def cache_loss(rows: Rows, candidate: Profile, prices: Prices, profiles: Mapping[str, Profile]) -> CacheLoss:
    """Return what caches have done for the requests that would leave their group under `candidate`; `profiles` are
    those that may have decided. Never raises.
    """
    prompt = cached = 0
    usd: float | None = 0.0
    for (_, key), sums in rows.items():
        auto = asked_auto(key, profiles.get(key.profile))
        if target(key, candidate, auto=auto) == key.chosen_group:
            continue
        prompt += sums.prompt_tokens
        cached += sums.cached_tokens
        if sums.cached_tokens:
            saved = prices.saved(key.served_group, sums.cached_tokens)
            usd = None if usd is None or saved is None else usd + saved
    return CacheLoss(prompt, cached, usd, cached / prompt if prompt else None)


class _Habits:
    """How long a group takes and how much it says: on one task where that is known, else on all of them."""

    def __init__(self, rows: Rows) -> None:
        self._on_task: dict[tuple[str, str], Sums] = {}
        self._of_group: dict[str, Sums] = {}
        for (_, key), sums in rows.items():
            if key.outcome == RequestOutcome.ANSWERED:
                self._on_task.setdefault((key.served_group, key.task), Sums()).merge(sums)
                self._of_group.setdefault(key.served_group, Sums()).merge(sums)

    def latency(self, group: str, task: str) -> Latency | None:
        for found in (self._on_task.get((group, task)), self._of_group.get(group)):
            if found is not None and Histogram(found.latency).samples >= ENOUGH:
                return Latency(
                    found.latency_ms(0.5), found.latency_ms(0.95), Histogram(found.latency).samples
                )
        return None

    def answer_tokens(self, group: str, task: str) -> float | None:
        found = self._on_task.get((group, task))
        return found.completion_tokens / found.requests if found and found.requests >= ENOUGH else None


def _move(key: UsageKey, after: str, prices: Prices, habits: _Habits) -> Move:
    stays = after == key.chosen_group
    price = None if stays else prices.of(after)
    basis = Basis.RECORDED if stays else price.basis if price else Basis.UNPRICED
    return Move(
        task=key.task,
        before=key.chosen_group,
        after=after,
        basis=basis,
        measured_on=price.requests if price else 0,
        latency_before=habits.latency(key.chosen_group, key.task),
        latency_after=habits.latency(after, key.task),
    )


def _recorded(sums: Sums) -> Amount:
    usd = sums.cost_nano / NANO
    return Amount(usd, usd, usd, sums.priced, sums.unpriced)


def _replayed(key: UsageKey, sums: Sums, after: str, price: Price | None, habits: _Habits) -> Amount:
    """What LiteLLM's cache answered, and what failed, is assumed to be so again."""
    if after == key.chosen_group or key.outcome not in (RequestOutcome.ANSWERED, RequestOutcome.CANCELLED):
        return _recorded(sums)
    if price is None:
        return Amount(unpriced=sums.requests)
    usd = price.cost(sums.prompt_tokens, sums.completion_tokens)
    usual = habits.answer_tokens(after, key.task)
    other = usd if usual is None else price.cost(sums.prompt_tokens, usual * sums.requests)
    return Amount(usd, min(usd, other), max(usd, other), priced=sums.requests)
