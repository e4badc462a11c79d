"""Every metric that a worker tells once it has seen everything: the measure of dashboards, alerts and documents."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from neuronode_router.auto.router import Routed
from neuronode_router.domain.decisions import Decision, Reason, Step
from neuronode_router.domain.names import Tier
from neuronode_router.domain.receipts import Receipt
from neuronode_router.domain.rollouts import Canary
from neuronode_router.domain.state import ControlState
from neuronode_router.metrics.metering import Metering
from neuronode_router.policy.document import RuleMode
from neuronode_router.routing.snapshot import build_snapshot
from neuronode_router.stats.memory import MemoryStatistics
from tests.support.control import HOST, make_set
from tests.support.metering import metering, monitor_of, worker_at
from tests.support.usage import finished


async def told() -> dict[str, tuple[str, set[str]]]:
    """Return type and labels of every metric, by its name as a query writes it, histograms without their endings."""
    found: dict[str, tuple[str, set[str]]] = {}
    text = await (await seen_everything()).exposition()
    for family in text_string_to_metric_families(text.decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, labels)
    return found


async def seen_everything() -> Metering:
    """Return what counts in a worker that has seen everything once."""
    statistics = MemoryStatistics()
    monitor = monitor_of(statistics, ("tier_fast",))
    await monitor.refresh()
    tried = Canary("r-1", "balanced", "00", share=10, since=0.0)
    state = ControlState(7, "premium", make_set(), committed_at=0.0, canary=tried)
    meter = metering(
        statistics=statistics,
        monitor=monitor,
        snapshot=lambda: build_snapshot(state, HOST),
        workers=lambda: (worker_at(7, stalled=["judging"], parts_off=["usage"]),),
        rules=lambda: {("smart-down", RuleMode.EMERGENCY): True},
    )
    meter.ended(finished(served_group="other", first_token_ms=1.0))
    meter.ended(finished(cost=None, cached_tokens=1))
    meter.ended(finished(arm="canary"))
    decision = Decision("auto", "g", Reason.ACTIVE_PROFILE, tier=Tier.FAST, steps=(Step.CLASSIFIED,))
    meter.decided(Routed(decision, decision, None, None, (), 1.0, unaccepted=("logprobs",)), "me", {})
    receipt = Receipt(
        revision=7, changed=True, dry_run=False, action="switch", profile="premium", previous_profile=None,
        changes=(), committed_at=0.0, workers=(), complete=True, duration_ms=1.0,
    )  # fmt: skip
    meter.switched(receipt)
    meter.mirrored("balanced", "answered")
    return meter
