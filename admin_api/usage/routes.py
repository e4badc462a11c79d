"""Routes that show what was used, what it cost, and what it would cost.

They must change nothing, and know no prompt. Members see what their own team used.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response
from pydantic import AfterValidator

from admin_api.http.endpoints import READ, Endpoint, also
from admin_api.http.guard import Committed, LimitedCaller, LimitedReader, started
from admin_api.http.problems import InvalidRequestError
from admin_api.http.schemas import storable
from admin_api.usage.csv_table import MEDIA_TYPE, to_csv
from admin_api.usage.schemas import (
    LAST_DAY,
    LAST_WEEK,
    MAX_STEPS,
    AlternativeDocument,
    AmountDocument,
    CacheLossDocument,
    ExplanationDocument,
    FiguresDocument,
    MoveDocument,
    PlanBody,
    PlanDocument,
    ResidencyDocument,
    ResidencyQuery,
    UsageDocument,
    UsageLineDocument,
    UsageQuery,
)
from admin_api.usage.series import (
    NewestQuery,
    RequestsDocument,
    SeriesDocument,
    SeriesQuery,
    request_document,
    series_document,
)
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.receipts import WarmReport
from neuronode_router.errors import NotAllowed, UnknownCall, UnknownProfile
from neuronode_router.routing.residency import is_within, required
from neuronode_router.usage.explain import Explanation
from neuronode_router.usage.forecast import Amount, Forecast
from neuronode_router.usage.report import Figures, Report

CallId = Annotated[
    str, Path(max_length=128, description="The answer's `x-litellm-call-id`."), AfterValidator(storable)
]

ASSUMPTIONS = (
    "The same requests come again; only those that the active profile decided can move.",
    "The other group answers with as many tokens as the recorded one; `low` and `high` use its own usual length.",
    "Classified requests keep their tier. What overload did to single requests is not replayed.",
    "What failed, and what LiteLLM's cache answered, does so again.",
)

LACKING = "Usage is not counted here yet."


async def read_usage(call: LimitedCaller, query: Annotated[UsageQuery, Query()]) -> Response:
    """What was used and what it cost, by any grouping, beside the period before. Members see their own team's."""
    service = started(call.host.usage, LACKING)
    since, until = _ends(query, service.clock())
    by = tuple(query.by.split(","))
    document = _usage(await service.report(since, until, by=by, step=query.step, team=call.own_team()))
    if query.format == "csv":
        return Response(to_csv(document), media_type=MEDIA_TYPE)
    return Response(document.model_dump_json(by_alias=True), media_type="application/json")


async def read_residency(call: LimitedCaller, query: Annotated[ResidencyQuery, Query()]) -> ResidencyDocument:
    """Where requests went, for an audit: how many left the places named. Members see their own team's."""
    service = started(call.host.usage, LACKING)
    since, until = query.ends(service.clock(), default=LAST_DAY)
    own, wanted = call.own_team(), query.within.split(",")
    team = query.team or own
    if own not in (None, team):
        raise NotAllowed("This key sees its own team's usage only.")
    found = await service.whereabouts(
        since, until, is_within=lambda place: is_within(place, required(wanted)), team=team
    )
    return ResidencyDocument.of(
        found,
        from_=found.span.since,
        to=found.span.until,
        team=team,
        required=wanted,
        places=dict(found.places),
    )


async def read_series(call: LimitedCaller, query: Annotated[SeriesQuery, Query()]) -> SeriesDocument:
    """Recorded usage of all workers step by step, for curves. Members see their own team's."""
    service = started(call.host.usage, LACKING)
    since, until = _ends(query, service.clock())
    found = await service.series(since, until, step=query.step, only=query.only(), team=call.own_team())
    return series_document(found, _figures(found.total))


async def newest_requests(call: LimitedCaller, query: Annotated[NewestQuery, Query()]) -> RequestsDocument:
    """The newest requests of the last hour: who asked, what was decided, how it ended. Members see their own team's."""
    service = started(call.host.usage, LACKING)
    found = await service.newest(query.limit, team=call.own_team())
    return RequestsDocument(requests=[request_document(request) for request in found])


async def plan(call: LimitedReader, state: Committed, body: PlanBody) -> PlanDocument:
    """What the recorded requests would have cost, and how long they would have taken, under another profile."""
    service, profiles = started(call.host.usage, LACKING), call.visible(state)
    if body.profile not in profiles:
        raise UnknownProfile(body.profile, list(profiles))
    since, until = body.ends(service.clock(), default=LAST_WEEK)
    forecast = await service.forecast(profiles[body.profile], since, until)
    warm = await call.host.manager.outlook(body.profile, actor=Actor(call.principal.signature))
    return _plan(forecast, warm)


async def explain_request(call: LimitedCaller, state: Committed, call_id: CallId) -> ExplanationDocument:
    """One request of the last hour: the decision, its reasons, and what it would have cost under every profile."""
    service = started(call.host.usage, LACKING)
    explanation = await service.explain(call_id, call.visible(state), team=call.own_team())
    if explanation is None:
        raise UnknownCall(
            "No request of this call id that this key may see is known.",
            fix="Send the x-litellm-call-id of an answer of the last hour; very busy proxies keep only some requests.",
        )
    return _explanation(explanation)


def _ends(query: UsageQuery | SeriesQuery, now: float) -> tuple[float, float]:
    """Return from and to. Raises `InvalidRequestError` where there are too many steps between them."""
    since, until = query.ends(now, default=LAST_DAY)
    if query.step and (until - since) / query.step > MAX_STEPS:
        fix = "Use a longer step or a shorter period."
        raise InvalidRequestError.at("query.step", "too_many_steps", f"More than {MAX_STEPS} steps.", fix)
    return since, until


def _usage(report: Report) -> UsageDocument:
    return UsageDocument.of(
        report,
        from_=report.span.since,
        to=report.span.until,
        before_from=report.earlier.since,
        by=list(report.by),
        lines=[
            UsageLineDocument.of(
                line,
                names=dict(zip(report.by, line.names, strict=True)),
                figures=_figures(line.figures),
                before=line.before and _figures(line.before),
            )
            for line in report.lines
        ],
        total=_figures(report.total),
        total_before=_figures(report.total_before),
    )


def _figures(figures: Figures) -> FiguresDocument:
    sums = figures.sums
    return FiguresDocument.of(
        figures,
        sums,
        cost_usd=sums.cost,
        latency_p50_ms=sums.latency_ms(0.5),
        latency_p95_ms=sums.latency_ms(0.95),
        first_token_p50_ms=sums.first_token_ms(0.5),
        first_token_p95_ms=sums.first_token_ms(0.95),
    )


def _plan(found: Forecast, warm: WarmReport | None) -> PlanDocument:
    def amount(of: Amount) -> AmountDocument:
        if not of.priced:
            return AmountDocument(unpriced=of.unpriced)
        return AmountDocument.of(of, usd_per_day=of.usd / found.days)

    return PlanDocument.of(
        found,
        from_=found.span.since,
        to=found.span.until,
        moves=[
            MoveDocument.of(move, cost_before=amount(move.cost_before), cost_after=amount(move.cost_after))
            for move in found.moves
        ],
        cost_before=amount(found.cost_before),
        cost_after=amount(found.cost_after),
        caches=CacheLossDocument.of(
            found.caches, usd_per_day=None if found.caches.usd is None else found.caches.usd / found.days
        ),
        basis=ASSUMPTIONS,
        warm=warm,
    )


def _explanation(found: Explanation) -> ExplanationDocument:
    request, key = found.request, found.request.key
    return ExplanationDocument.of(
        request,
        key,
        ended_at=request.at,
        cost_usd=request.cost,
        alternatives=[AlternativeDocument.of(one, cost_usd=one.cost) for one in found.alternatives],
        # In the books an empty text, or revision 0, stands for none.
        **{
            name: getattr(key, name) or None
            for name in ("profile", "revision", "task", "tier", "deployment", "team")
        },
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/usage",
        read_usage,
        (*READ, 429),
        also(MEDIA_TYPE, "The report, or the same as CSV.", UsageDocument),
    ),
    Endpoint("GET", "/usage/residency", read_residency, (*READ, 429)),
    Endpoint("GET", "/usage/series", read_series, (*READ, 429)),
    Endpoint("GET", "/requests", newest_requests, (*READ, 429)),
    Endpoint("POST", "/plan", plan, (*READ, 404, 429)),
    Endpoint("GET", "/requests/{call_id}/explain", explain_request, (*READ, 404, 429)),
)
