"""A routed request in words that can be shown: for the explain header, the dry run and the routing log.

Names, numbers and our own cues only: nothing of the request's text.
"""

from __future__ import annotations

from typing import Any

from neuronode_router.auto.router import Routed
from neuronode_router.routing.fit import Needs


def explain(routed: Routed) -> dict[str, Any]:
    """Return the whole decision as JSON-ready data."""
    said = routed.classification
    return {
        **brief(routed),
        "classification": said
        and {
            "task": said.task.value,
            "detail": said.detail,
            "tier": said.tier.value,
            "confidence": round(said.confidence, 3),
            "calibrated": said.calibrated,
            "source": said.source.value,
            "evidence": [cue.encode("ascii", "replace").decode() for cue in said.evidence],
        },
        "left_out": dict(routed.considered.left_out),
        "needs": _needs(routed.needs),
        "unaccepted": list(routed.unaccepted),
        "took_ms": round(routed.took_ms, 3),
    }


def _needs(needs: Needs) -> dict[str, Any]:
    return {
        "tokens": needs.tokens,
        "answer": needs.answer,
        "modalities": sorted(needs.modalities),
        "abilities": sorted(ability.value for ability in needs.abilities),
    }


def brief(routed: Routed) -> dict[str, Any]:
    """Return the decision alone. While automatic routing is only watched it is what would have been done."""
    decision = routed.considered
    assert decision.tier is not None
    assert decision.wanted is not None
    return {
        "revision": decision.revision,
        "profile": decision.profile,
        "task": decision.task,
        "tier": decision.tier.value,
        "wanted": decision.wanted.value,
        "groups": [decision.group, *decision.ladder],
        "reason": decision.reason.value,
        "steps": [step.value for step in decision.steps],
        "confidence": None if decision.confidence is None else round(decision.confidence, 3),
        **({} if decision.arm is None else {"arm": decision.arm.value}),
        "in_force": routed.decision == decision,
    }
