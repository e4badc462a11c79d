"""Bodies and answers about the policy, as the OpenAPI page shows them.

It must not know how windows and rules are judged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

from admin_api.http.schemas import Asked, Document, storable
from neuronode_router.control.policy_view import PolicyView, RuleView
from neuronode_router.domain.steering import Bend, Hold
from neuronode_router.policy.engine import PRECEDENCE, Level, PreviewStretch

PolicyBody = Annotated[
    dict[str, JsonValue],
    AfterValidator(storable),
    Field(
        description="A policy with the keys of its file; docs/policy.md has them all.",
        examples=[
            {
                "default": "balanced",
                "schedule": [
                    {
                        "name": "night",
                        "zone": "Europe/Berlin",
                        "from": "20:00",
                        "to": "06:00",
                        "then": {"profile": "cost_effective"},
                    }
                ],
            }
        ],
    ),
]


class PreviewQuery(Asked):
    """How far to look."""

    days: Annotated[float, Field(gt=0, le=62, allow_inf_nan=False)] = 14


class PolicyVerdictDocument(Document):
    """What is, or will be, active, and why."""

    profile: str
    level: Level
    """Who decides about the profile."""
    why: str
    """One line, for people."""
    hold: Hold | None
    """What a person switched to, while it goes before rules and windows."""
    then: str | None
    """The profile that follows when the hold ends by itself, if rules and rollouts stay as they are; null while nobody
    holds one for a time.
    """
    bends: Sequence[Bend]
    """Tasks that go elsewhere than the profile says, and the highest tier."""


class PolicyDocument(Document):
    """The policy in force, and what it makes of this moment."""

    digest: str
    """Empty while none is in force."""
    document: dict[str, JsonValue]
    """As it was written."""
    file: str
    """Where it is written on the host that answers, also where it is not there."""
    precedence: Sequence[Level]
    """Who goes before whom."""
    active: str
    """The active profile."""
    now: PolicyVerdictDocument
    rules: Sequence[RuleView]


class StretchDocument(PolicyVerdictDocument):
    """From `since` up to `until` the same is active for the same reason."""

    since: float
    """Unix time in seconds."""
    until: float


class PolicyPreviewDocument(Document):
    """What will be active, if rules and rollouts stay as they are now."""

    stretches: list[StretchDocument]


def shown(view: PolicyView) -> PolicyDocument:
    """Return the policy as it is answered."""
    return PolicyDocument.of(
        view,
        digest=view.policy.digest,
        document=json.loads(view.policy.source),
        precedence=PRECEDENCE,
        now=view.verdict,
    )


def foreseen(stretches: Sequence[PreviewStretch]) -> PolicyPreviewDocument:
    """Return a preview as it is answered."""
    return PolicyPreviewDocument(stretches=[StretchDocument.of(one, one.verdict) for one in stretches])
