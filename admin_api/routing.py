"""Routes that show automatic routing: statistics, registry, and a dry run of one request.

They must change nothing, and repeat nothing of a prompt. Members get the dry run only, under their own rights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from admin_api.edge import Call, Caller, Reader
from admin_api.problems import place_documents
from admin_api.routing_documents import (
    ClassificationDocument,
    ClassifiedDocument,
    ClassifyBody,
    DecisionCountsDocument,
    DecisionDocument,
    DeploymentDocument,
    LeftOutDocument,
    MeasuredDocument,
    PeriodDocument,
    RegistryDocument,
    RouterStatsDocument,
    StandingDocument,
)
from admin_api.routing_ports import Question, RouterView
from neuronode_router.access import may_read_all
from neuronode_router.domain import Decision
from neuronode_router.errors import NotReady
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.overload import NEW, HealthReason, HealthVerdict
from neuronode_router.stats.window import RECENT_SLOTS, SLOT_SECONDS, WINDOW_SLOTS

UNITS = {
    HealthReason.LATENCY: "ms",
    HealthReason.QUEUE: "attempts",
    HealthReason.WITHIN_LIMITS: "ms",
    HealthReason.ERRORS: "share",
}


async def read_router_stats(call: Reader) -> RouterStatsDocument:
    """How every deployment stands and why, what was measured of it, and what was decided for `auto`."""
    view = _view(call)
    measured = view.statistics.snapshot()
    verdicts = view.board.verdicts
    return RouterStatsDocument(
        routing=view.auto.mode,
        statistics=view.statistics.mode,
        window_seconds=WINDOW_SLOTS * SLOT_SECONDS,
        recent_seconds=RECENT_SLOTS * SLOT_SECONDS,
        decisions=_counts(view.auto.decisions()),
        deployments=[
            MeasuredDocument(
                **_standing(entry, verdicts.get(entry.id, NEW)).model_dump(),
                in_flight=view.statistics.in_flight(entry.id),
                window=PeriodDocument.model_validate(stats.window) if stats else None,
                recent=PeriodDocument.model_validate(stats.recent) if stats else None,
            )
            for entry in _deployments(view)
            for stats in (measured.get(entry.id),)
        ],
    )


async def read_registry(call: Reader) -> RegistryDocument:
    """What is known of every deployment: from its note, from LiteLLM's price list, and from its server."""
    view = _view(call)
    return RegistryDocument(
        deployments=[DeploymentDocument.model_validate(entry) for entry in _deployments(view)],
        problems=place_documents(view.board.problems()),
    )


async def classify(call: Caller, body: ClassifyBody) -> ClassifiedDocument:
    """What a request would be taken for, and where it would go now. Nothing is sent, counted or remembered."""
    view = _view(call)
    question = Question(body={"messages": body.turns}, name=body.task, profile=body.profile)
    decision = view.decide(question, call.principal)
    explain = body.explain and may_read_all(call.principal)
    return ClassifiedDocument(
        classification=ClassificationDocument.model_validate(view.auto.classify(body.turns)),
        decision=_decision(decision),
        standings=_standings(view, decision) if explain else None,
    )


def _view(call: Call) -> RouterView:
    if call.host.router is None:
        raise NotReady("Automatic routing has not started in this worker.", fix="Repeat in a moment.")
    return call.host.router


def _deployments(view: RouterView) -> Iterator[Deployment]:
    for entries in view.board.registry.groups.values():
        yield from entries


def _counts(decisions: Mapping[str, Mapping[str, int]]) -> DecisionCountsDocument:
    total, fallbacks = sum(decisions["tier"].values()), sum(decisions["fallback"].values())
    return DecisionCountsDocument(
        total=total,
        tier=dict(decisions["tier"]),
        task=dict(decisions["task"]),
        group=dict(decisions["group"]),
        step=dict(decisions["step"]),
        fallbacks=fallbacks,
        fallback_rate=fallbacks / total if total else 0.0,
    )


def _decision(decision: Decision) -> DecisionDocument:
    return DecisionDocument(
        original_model=decision.original_model,
        reason=decision.reason,
        steps=list(decision.steps),
        revision=decision.revision,
        profile=decision.profile,
        task=decision.task,
        wanted=decision.wanted,
        tier=decision.tier,
        group=decision.group,
        ladder=list(decision.ladder),
        left_out=[LeftOutDocument(group=group, why=why) for group, why in decision.left_out],
    )


def _standings(view: RouterView, decision: Decision) -> list[StandingDocument]:
    """Return how the deployments stand that the decision had to choose from, in the order in which it chose."""
    groups = [decision.group, *decision.ladder, *(group for group, _ in decision.left_out)]
    verdicts = view.board.verdicts
    return [
        _standing(entry, verdicts.get(entry.id, NEW))
        for group in groups
        for entry in view.board.registry.groups.get(group, ())
    ]


def _standing(deployment: Deployment, verdict: HealthVerdict) -> StandingDocument:
    return StandingDocument.model_validate(
        {
            "id": deployment.id,
            "group": deployment.group,
            "tier": deployment.tier,
            "health": verdict.health,
            "why": verdict.why,
            "value": verdict.value,
            "limit": verdict.limit,
            "unit": UNITS.get(verdict.why),
            "since": verdict.since or None,
            "baseline_ms": verdict.baseline_ms,
        }
    )
