"""Figures step by step, and the newest requests, as the routes show them.

It must not know how they are counted.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from admin_api.http.schemas import Asked, Document, storable
from admin_api.usage.schemas import AskedPeriod, FiguresDocument, Milliseconds, step_of
from neuronode_router.usage.finished import FinishedRequest
from neuronode_router.usage.report import Figures
from neuronode_router.usage.series import FILTERS, STEPS, Series

MAX_REQUESTS = 200

Wanted = Annotated[str, Field(max_length=128), AfterValidator(storable)]


class SeriesQuery(AskedPeriod):
    """What the curves are about. Each name narrows them; an empty text means requests without such a name."""

    step: Annotated[int, step_of(STEPS)] | None = None
    """Seconds: 60, 300, 900, 3600, 21600 or 86400. Default, and at least: what suits the length and is told apart."""
    profile: Wanted | None = None
    task: Wanted | None = None
    tier: Wanted | None = None
    served_group: Wanted | None = None
    team: Wanted | None = None

    def only(self) -> dict[str, str]:
        """Return the names that were given."""
        return {name: value for name in FILTERS if (value := getattr(self, name)) is not None}


class CurvesDocument(Document):
    """One value for each step; null where nothing is known."""

    requests: list[int]
    errors: list[int]
    fallbacks: list[int]
    cost_usd: list[float | None]
    """Null where no request has a price."""
    unpriced: list[int]
    latency_p50_ms: list[Milliseconds | None]
    latency_p95_ms: list[Milliseconds | None]
    first_token_p50_ms: list[Milliseconds | None]
    """Streams only."""
    first_token_p95_ms: list[Milliseconds | None]


class PartDocument(Document):
    """The same of one profile or tier."""

    requests: list[int]
    cost_usd: list[float | None]


class SeriesDocument(Document):
    """Recorded usage of all workers, step by step."""

    from_: int = Field(serialization_alias="from")
    to: int
    step: int
    """Seconds of a step: the one asked for, or the shortest that is told apart."""
    told_apart: int
    """Seconds of the shortest step for which there are records from `from` on."""
    starts: list[int]
    """Unix times at which the steps begin."""
    curves: CurvesDocument
    profiles: dict[str, PartDocument]
    tiers: dict[str, PartDocument]
    """The empty name is that of requests without a tier."""
    total: FiguresDocument
    names: dict[str, list[str]]
    """Which names there are in the period, by what it can be narrowed to."""


class NewestQuery(Asked):
    """How many requests."""

    limit: Annotated[int, Field(ge=1, le=MAX_REQUESTS)] = 50


class RequestDocument(Document):
    """One request that has ended: names and numbers, no text."""

    call_id: str
    """For `/admin/requests/{call_id}/explain`."""
    ended_at: float
    """Unix time in seconds."""
    caller: str | None
    """What the key is called."""
    team: str | None
    asked: str | None
    """The name that was sent as `model`; `other` where nothing has that name."""
    profile: str | None
    task: str | None
    tier: str | None
    chosen_group: str
    served_group: str
    reason: str
    steps: tuple[str, ...]
    outcome: str
    fallback: bool
    latency_ms: Milliseconds | None
    cost_usd: float | None
    """null: nobody has set a price, or nothing was billed."""


class RequestsDocument(Document):
    """The newest requests of the last hour, newest first."""

    requests: list[RequestDocument]


def series_document(found: Series, total: FiguresDocument) -> SeriesDocument:
    """Return a series in columns. Never raises."""
    parts = {
        name: {part: _part(steps) for part, steps in sorted(found.split[name].items())}
        for name in found.split
    }
    return SeriesDocument(
        from_=found.span.since,
        to=found.span.until,
        step=found.step,
        told_apart=found.told_apart,
        starts=list(found.starts),
        curves=_curves(found.steps),
        profiles=parts["profile"],
        tiers=parts["tier"],
        total=total,
        names={name: sorted(names) for name, names in found.names.items()},
    )


def request_document(request: FinishedRequest) -> RequestDocument:
    """Return one request as it is listed. Never raises."""
    key = request.key
    return RequestDocument.of(
        request,
        key,
        ended_at=request.at,
        cost_usd=request.cost,
        caller=request.caller or None,
        asked=request.asked or None,
        **{name: getattr(key, name) or None for name in ("profile", "task", "tier", "team")},
    )


def _curves(steps: list[Figures]) -> CurvesDocument:
    return CurvesDocument(
        requests=[each.sums.requests for each in steps],
        errors=[each.errors for each in steps],
        fallbacks=[each.sums.fallbacks for each in steps],
        unpriced=[each.sums.unpriced for each in steps],
        cost_usd=[each.sums.cost for each in steps],
        latency_p50_ms=[each.sums.latency_ms(0.5) for each in steps],
        latency_p95_ms=[each.sums.latency_ms(0.95) for each in steps],
        first_token_p50_ms=[each.sums.first_token_ms(0.5) for each in steps],
        first_token_p95_ms=[each.sums.first_token_ms(0.95) for each in steps],
    )


def _part(steps: list[Figures]) -> PartDocument:
    return PartDocument(
        requests=[each.sums.requests for each in steps], cost_usd=[each.sums.cost for each in steps]
    )
