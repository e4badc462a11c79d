"""From tallies to what is read: quantiles, rates and depth of one deployment.

It must not know where the tallies come from, or what is decided by the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from neuronode_router.histogram import Histogram
from neuronode_router.stats import tally as fields
from neuronode_router.stats.tally import Tally
from neuronode_router.stats.window import RECENT_SLOTS, slots_until

TallyAt = Callable[[int, str], Tally | None]
"""The tally of a slot and a deployment, None where nothing was counted."""


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds, right within 5 %; None without samples."""

    samples: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """What was seen of a deployment in one period."""

    answers: int
    errors: int
    total: Times
    """Until the end of the answer."""
    first_token: Times
    """Streams only."""
    short_answer: Times
    """As if no answer had been longer than 16 tokens: comparable with an expected latency."""
    tokens_per_second: float | None

    @property
    def requests(self) -> int:
        """Attempts that are evidence."""
        return self.answers + self.errors

    @property
    def error_rate(self) -> float:
        """Errors per request, 0 to 1; 0 without requests."""
        return self.errors / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class DeploymentStats:
    """One deployment as the request path sees it: immutable, built in the background."""

    window: Period
    """The last five minutes."""
    recent: Period
    """The last 10 to 20 seconds."""
    in_flight: int
    """Attempts that run now, in all processes that share their statistics."""


def summarise(deployment_id: str, tally_at: TallyAt, *, newest: int, in_flight: int) -> DeploymentStats:
    """Return the figures of one deployment at the slot `newest`. Never raises."""
    tallies = [(number, tally_at(number, deployment_id)) for number in slots_until(newest)]
    counted = [(number, tally) for number, tally in tallies if tally]
    return DeploymentStats(
        window=_period(tally for _, tally in counted),
        recent=_period(tally for number, tally in counted if number > newest - RECENT_SLOTS),
        in_flight=in_flight,
    )


def _period(tallies: Iterable[Tally]) -> Period:
    merged = fields.merge(tallies)
    found = fields.histograms(merged)
    return Period(
        answers=merged.get(fields.ANSWERS, 0),
        errors=merged.get(fields.ERRORS, 0),
        total=_times(found[fields.TOTAL]),
        first_token=_times(found[fields.FIRST_TOKEN]),
        short_answer=_times(found[fields.SHORT_ANSWER]),
        tokens_per_second=_speed(merged),
    )


def _times(histogram: Histogram) -> Times:
    return Times(histogram.samples, histogram.quantile(0.5), histogram.quantile(0.95))


def _speed(tally: Tally) -> float | None:
    generating_ms = tally.get(fields.GENERATING_MS, 0)
    return 1000 * tally.get(fields.TOKENS, 0) / generating_ms if generating_ms else None
