"""Automatic routing: how deployments stand, what is known of them, a dry run of one request, and feedback.

It must repeat nothing of a prompt. Members get the dry run only, under their own rights, and judge their own requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import Request

from admin_api.host import RoutingParts
from admin_api.http.endpoints import READ, Endpoint
from admin_api.http.guard import Call, Caller, LimitedCaller, Reader, Writer, bearer, started
from admin_api.routing.schemas import (
    ClassificationDocument,
    DecisionDocument,
    DeploymentStatusDocument,
    DivertedDocument,
    DryRunBody,
    DryRunDocument,
    FeedbackBody,
    FeedbackDocument,
    ForgottenDocument,
    JudgeDocument,
    LeftOutDocument,
    MeasuredDocument,
    OutcomeDocument,
    OutcomesDocument,
    OutcomesReportDocument,
    RegistryDocument,
    RouterStatsDocument,
)
from neuronode_router.access import key_hash, may_read_all
from neuronode_router.auto.outcomes import Outcomes
from neuronode_router.auto.preview import preview
from neuronode_router.classifier.history import FeedbackOutcome, Sign
from neuronode_router.domain.decisions import Decision
from neuronode_router.errors import HistoryUnavailable
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.overload import NEW, HealthReason, HealthVerdict
from neuronode_router.stats.window import RECENT_SLOTS, SLOT_SECONDS, WINDOW_SLOTS

UNITS = {
    HealthReason.LATENCY: "ms",
    HealthReason.QUEUE: "attempts",
    HealthReason.WITHIN_LIMITS: "ms",
    HealthReason.ERRORS: "share",
}

LACKING = "Automatic routing has not started in this worker."


async def read_router_stats(call: Reader) -> RouterStatsDocument:
    """How every deployment stands and why, and what was measured of it."""
    parts = started(call.host.router, LACKING)
    measured, verdicts = parts.statistics.snapshot(), parts.monitor.verdicts
    return RouterStatsDocument(
        routing=parts.auto.mode,
        statistics=parts.statistics.mode,
        window_seconds=WINDOW_SLOTS * SLOT_SECONDS,
        recent_seconds=RECENT_SLOTS * SLOT_SECONDS,
        deployments=[
            MeasuredDocument.of(
                entry,
                in_flight=parts.statistics.in_flight(entry.id),
                window=stats and stats.window,
                recent=stats and stats.recent,
                **_judged(verdicts.get(entry.id, NEW)),
            )
            for entry in _deployments(parts)
            for stats in (measured.get(entry.id),)
        ],
    )


async def read_registry(call: Reader) -> RegistryDocument:
    """What is known of every deployment: from its note, from LiteLLM's price list, and from its server."""
    parts = started(call.host.router, LACKING)
    return RegistryDocument(deployments=list(_deployments(parts)), problems=list(parts.monitor.problems()))


async def classify(call: Caller, body: DryRunBody) -> DryRunDocument:
    """What a request would be taken for, and where it would go now. Nothing is sent, counted or remembered."""
    parts = started(call.host.router, LACKING)
    decision = preview(
        parts.auto,
        parts.snapshot(),
        call.principal,
        body={"messages": body.turns},
        name=body.task,
        profile=body.profile,
    )
    explain = body.explain and may_read_all(call.principal)
    return DryRunDocument(
        classification=ClassificationDocument.of(parts.auto.classify(body.turns)),
        decision=DecisionDocument.of(
            decision, left_out=[LeftOutDocument(group=group, why=why) for group, why in decision.left_out]
        ),
        deployments=_statuses(parts, decision) if explain else None,
    )


async def give_feedback(call: LimitedCaller, body: FeedbackBody, request: Request) -> FeedbackDocument:
    """Say whether the classifier was right about a request. Of one caller's verdicts on a call the last one counts."""
    if call.host.feedback is None:
        raise HistoryUnavailable("No history of decisions is kept here.")
    sign = Sign(FeedbackOutcome(body.verdict), body.task, body.tier)
    judged = await call.host.feedback.judge(
        body.call_id, sign, by=call.principal, key_hash=key_hash(bearer(request))
    )
    if call.host.answers is not None:
        call.host.answers.judged(body.call_id, judged.turned)
    entry = judged.entry
    return FeedbackDocument.of(entry, decided_at=entry.at, task=entry.label, group=entry.sent_to)


async def read_outcomes(call: Reader) -> OutcomesDocument:
    """What `auto` has learned of its tiers from how requests turned out, in all workers."""
    outcomes = _outcomes(call)
    if outcomes is None:
        return OutcomesDocument(counted=False, kinds=[], judge=None)
    known, judge = outcomes.known, call.host.router.auto.judge if call.host.router else None
    return OutcomesDocument(
        counted=True,
        kinds=[
            OutcomeDocument.of(
                counts,
                kind,
                tier=tier,
                share=counts.expected / counts.total,
                shift=known.shift(kind, tier),
                tried=known.is_open(kind, tier),
            )
            for (kind, tier), counts in sorted(known.counts().items())
        ],
        judge=JudgeDocument.of(await judge.today(), **judge.status()) if judge else None,
    )


async def report_outcomes(call: Reader) -> OutcomesReportDocument:
    """What learning changed, in all workers: requests that went elsewhere, money, and answers that were not good."""
    outcomes = _outcomes(call)
    return OutcomesReportDocument(
        counted=outcomes is not None,
        diverted=[DivertedDocument.of(line) for line in (await outcomes.report() if outcomes else ())],
    )


async def forget_outcomes(call: Writer) -> ForgottenDocument:
    """Forget every outcome: the text of a request alone decides its tier again, in every worker within ten seconds."""
    outcomes = _outcomes(call)
    return ForgottenDocument(forgotten=await outcomes.forget() if outcomes else 0)


def _outcomes(call: Call) -> Outcomes | None:
    return call.host.feedback.outcomes if call.host.feedback else None


def _deployments(parts: RoutingParts) -> Iterator[Deployment]:
    for entries in parts.monitor.registry.groups.values():
        yield from entries


def _statuses(parts: RoutingParts, decision: Decision) -> list[DeploymentStatusDocument]:
    """Return how the deployments stand that the decision had to choose from, in the order in which it chose."""
    groups = [decision.group, *decision.ladder, *(group for group, _ in decision.left_out)]
    verdicts = parts.monitor.verdicts
    return [
        DeploymentStatusDocument.of(entry, **_judged(verdicts.get(entry.id, NEW)))
        for group in groups
        for entry in parts.monitor.registry.groups.get(group, ())
    ]


def _judged(verdict: HealthVerdict) -> dict[str, Any]:
    """Return what a document says of a verdict."""
    return {
        **{name: getattr(verdict, name) for name in ("health", "why", "value", "limit", "baseline_ms")},
        "unit": UNITS.get(verdict.why),
        "since": verdict.since or None,
    }


ENDPOINTS = (
    Endpoint("GET", "/router/stats", read_router_stats),
    Endpoint("GET", "/router/registry", read_registry),
    Endpoint("POST", "/router/classify", classify, (*READ, 404)),
    Endpoint("POST", "/router/feedback", give_feedback, (*READ, 404, 429)),
    Endpoint("GET", "/router/outcomes", read_outcomes),
    Endpoint("GET", "/router/outcomes/report", report_outcomes),
    Endpoint("DELETE", "/router/outcomes", forget_outcomes, (*READ, 429)),
)
