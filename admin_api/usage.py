"""Routes that show what was used, what it cost, and what it would cost.

They must change nothing, and know no prompt. Members see what their own team used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import Path, Query, Response
from pydantic import AfterValidator

from admin_api.documents import storable
from admin_api.edge import Call, Caller, LimitedReader
from admin_api.problems import InvalidRequestError
from admin_api.usage_csv import MEDIA_TYPE, to_csv
from admin_api.usage_documents import (
    LAST_DAY,
    LAST_WEEK,
    MAX_STEPS,
    AlternativeDocument,
    AmountDocument,
    ExplanationDocument,
    FiguresDocument,
    FindingDocument,
    LatencyDocument,
    MoveDocument,
    PlanBody,
    PlanDocument,
    UsageDocument,
    UsageLineDocument,
    UsageQuery,
)
from admin_api.usage_ports import UsageView
from neuronode_router.access import may_read_all, visible
from neuronode_router.domain import Profile
from neuronode_router.errors import NotAllowed, NotReady, Problem, UnknownCall, UnknownProfile
from neuronode_router.usage.explain import Explanation
from neuronode_router.usage.forecast import Amount, Forecast, Latency, Move
from neuronode_router.usage.report import Figures, Line, Report

CallId = Annotated[
    str, Path(max_length=128, description="The answer's `x-litellm-call-id`."), AfterValidator(storable)
]

ASSUMPTIONS = (
    "The same requests come again; only those that the active profile decided would move.",
    "The other group answers with as many tokens as the recorded one; `low` and `high` use its own usual length.",
    "Classified requests keep their tier. What overload did to single requests is not replayed.",
    "What failed, and what LiteLLM's cache answered, does so again.",
)


async def read_usage(call: Caller, query: Annotated[UsageQuery, Query()]) -> Response:
    """What was used and what it cost, by any grouping, beside the period before. Members see their own team's."""
    view = _counted(call)
    since, until = query.ends(view.clock(), default=LAST_DAY)
    if query.step and (until - since) / query.step > MAX_STEPS:
        raise InvalidRequestError([_too_many_steps()])
    by = tuple(query.by.split(","))
    document = _usage(await view.report(since, until, by=by, step=query.step, team=_team(call)))
    if query.format == "csv":
        return Response(to_csv(document), media_type=MEDIA_TYPE)
    return Response(document.model_dump_json(by_alias=True), media_type="application/json")


async def plan(call: LimitedReader, body: PlanBody) -> PlanDocument:
    """What the recorded requests would have cost, and how long they would have taken, under another profile."""
    view = _view(call)
    profiles = await _profiles(call)
    if body.profile not in profiles:
        raise UnknownProfile(body.profile, list(profiles))
    since, until = body.ends(view.clock(), default=LAST_WEEK)
    return _plan(await view.forecast(profiles[body.profile], since, until))


async def explain_request(call: Caller, call_id: CallId) -> ExplanationDocument:
    """One request of the last hour: the decision, its reasons, and what it would have cost under every profile."""
    view = _counted(call)
    explanation = await view.explain(call_id, await _profiles(call))
    if explanation is None or _team(call) not in (None, explanation.request.key.team):
        raise UnknownCall(
            "No request of this call id that this key may see is known.",
            fix="Send the x-litellm-call-id of an answer of the last hour; very busy proxies keep only some requests.",
        )
    return _explanation(explanation)


def _view(call: Call) -> UsageView:
    if call.host.usage is None:
        raise NotReady("Usage is not counted here yet.", fix="Repeat when the proxy has started.")
    return call.host.usage


def _counted(call: Call) -> UsageView:
    """Return the view, with the call counted like a write: it reads as much as a write costs."""
    call.limits.count(call.principal, call.host.write_limit)
    return _view(call)


def _team(call: Call) -> str | None:
    """Return the only team whose usage the caller may see, None where it may see all. Raises `NotAllowed`."""
    if may_read_all(call.principal):
        return None
    if not call.principal.team:
        raise NotAllowed("This key belongs to no team, and sees nobody's usage.")
    return call.principal.team


async def _profiles(call: Call) -> Mapping[str, Profile]:
    state = await call.host.manager.current()
    if state is None:
        raise NotReady("No profiles have been committed yet.")
    return {name: found for name, found in state.profiles.profiles.items() if visible(call.principal, found)}


def _too_many_steps() -> Problem:
    fix = "Use a longer step or a shorter period."
    return Problem("too_many_steps", f"More than {MAX_STEPS} steps.", fix, path="query.step")


def _usage(report: Report) -> UsageDocument:
    return UsageDocument(
        from_=report.span.since,
        to=report.span.until,
        by=list(report.by),
        step=report.step,
        lines=[_line(report.by, line) for line in report.lines],
        total=_figures(report.total),
        total_before=_figures(report.total_before),
    )


def _line(by: tuple[str, ...], line: Line) -> UsageLineDocument:
    return UsageLineDocument(
        start=line.start,
        names=dict(zip(by, line.names, strict=True)),
        figures=_figures(line.figures),
        before=_figures(line.before) if line.before is not None else None,
    )


def _figures(figures: Figures) -> FiguresDocument:
    sums = figures.sums
    return FiguresDocument(
        requests=sums.requests,
        errors=figures.errors,
        error_rate=figures.error_rate,
        fallbacks=sums.fallbacks,
        fallback_rate=figures.fallback_rate,
        cached=figures.cached,
        cancelled=figures.cancelled,
        prompt_tokens=sums.prompt_tokens,
        completion_tokens=sums.completion_tokens,
        cached_tokens=sums.cached_tokens,
        cost_usd=sums.cost,
        priced=sums.priced,
        unpriced=sums.unpriced,
        latency_p50_ms=_rounded(sums.latency_ms(0.5)),
        latency_p95_ms=_rounded(sums.latency_ms(0.95)),
        first_token_p50_ms=_rounded(sums.first_token_ms(0.5)),
        first_token_p95_ms=_rounded(sums.first_token_ms(0.95)),
        outcomes=dict(figures.outcomes),
    )


def _plan(found: Forecast) -> PlanDocument:
    return PlanDocument(
        profile=found.profile,
        from_=found.span.since,
        to=found.span.until,
        days=found.days,
        requests=found.requests,
        followed=found.followed,
        moves=[_move(move, found.days) for move in found.moves],
        cost_before=_amount(found.cost_before, found.days),
        cost_after=_amount(found.cost_after, found.days),
        findings=[FindingDocument.model_validate(finding) for finding in found.findings],
        basis=list(ASSUMPTIONS),
    )


def _move(move: Move, days: float) -> MoveDocument:
    return MoveDocument(
        task=move.task,
        before=move.before,
        after=move.after,
        requests=move.requests,
        basis=move.basis,
        measured_on=move.measured_on,
        cost_before=_amount(move.cost_before, days),
        cost_after=_amount(move.cost_after, days),
        latency_before=_latency(move.latency_before),
        latency_after=_latency(move.latency_after),
    )


def _amount(amount: Amount, days: float) -> AmountDocument:
    if not amount.priced:
        return AmountDocument(
            usd=None, low=None, high=None, usd_per_day=None, priced=0, unpriced=amount.unpriced
        )
    return AmountDocument(
        usd=amount.usd,
        low=amount.low,
        high=amount.high,
        usd_per_day=amount.usd / days,
        priced=amount.priced,
        unpriced=amount.unpriced,
    )


def _latency(latency: Latency | None) -> LatencyDocument | None:
    if latency is None:
        return None
    return LatencyDocument(
        p50_ms=_rounded(latency.p50_ms), p95_ms=_rounded(latency.p95_ms), samples=latency.samples
    )


def _explanation(found: Explanation) -> ExplanationDocument:
    request, key = found.request, found.request.key
    return ExplanationDocument(
        call_id=request.call_id,
        ended_at=request.at,
        profile=key.profile or None,
        revision=key.revision or None,
        task=key.task or None,
        tier=key.tier or None,
        reason=key.reason,
        steps=list(request.steps),
        confidence=request.confidence,
        chosen_group=key.chosen_group,
        served_group=key.served_group,
        deployment=key.deployment or None,
        team=key.team or None,
        outcome=key.outcome,
        fallback=request.fallback,
        prompt_tokens=request.prompt_tokens,
        completion_tokens=request.completion_tokens,
        cached_tokens=request.cached_tokens,
        cost_usd=request.cost,
        latency_ms=_rounded(request.latency_ms),
        first_token_ms=_rounded(request.first_token_ms),
        alternatives=[
            AlternativeDocument(profile=one.profile, group=one.group, cost_usd=one.cost, basis=one.basis)
            for one in found.alternatives
        ],
    )


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)
