"""What a policy and an operator's hold make of what was switched to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from neuronode_router.domain.names import TIERS, Tier


@dataclass(frozen=True, slots=True)
class Hold:
    """What a person switched to while a policy is in force: it goes before windows and ordinary rules."""

    profile: str
    by: str
    """Who holds it."""
    until: float | None = None
    """Unix time in seconds at which it ends; None: when it is released."""
    before: str | None = None
    """What was active before, for a hold that ends by itself: that returns where the policy names no default."""

    def __str__(self) -> str:
        """Return it as receipts and the audit log tell it."""
        ending = (
            ""
            if self.until is None
            else datetime.fromtimestamp(self.until, UTC).strftime(" until %Y-%m-%d %H:%M UTC")
        )
        return f"{self.profile} by {self.by}{ending}"


@dataclass(frozen=True, slots=True)
class Bend:
    """What the policy has changed of the active profile for a while: where a task goes, or the highest tier."""

    by: str
    """The window or the rule."""
    emergency: bool
    task: str | None = None
    group: str | None = None
    max_tier: Tier | None = None

    def __str__(self) -> str:
        """Return it as receipts and the audit log tell it."""
        return f"{self.group or self.max_tier} ({self.by})"


@dataclass(frozen=True, slots=True)
class Steering:
    """What a policy and people's holds make of a revision. Without a policy it is empty."""

    policy: str = ""
    """The digest of the policy in force; "" for none."""
    hold: Hold | None = None
    bends: tuple[Bend, ...] = ()

    @property
    def cap(self) -> Tier:
        """The highest tier of who follows the active profile."""
        return min(
            (bend.max_tier for bend in self.bends if bend.max_tier), key=TIERS.index, default=TIERS[-1]
        )

    @property
    def moved(self) -> Mapping[str, str]:
        """The model groups of the tasks that do not go where the active profile says."""
        return {bend.task: bend.group for bend in self.bends if bend.task and bend.group}


NOT_STEERED = Steering()


def steering_text(steering: Steering) -> str:
    """Return it as canonical JSON; the empty text where nothing is steered."""
    if steering == NOT_STEERED:
        return ""
    return json.dumps(asdict(steering), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def steering_from_text(text: str) -> Steering:
    """Rebuild it from `steering_text`'s form. Raises `TypeError` for keys that it does not know."""
    if not text:
        return NOT_STEERED
    told = json.loads(text)
    bends = (
        Bend(**{**bend, "max_tier": Tier(bend["max_tier"]) if bend["max_tier"] else None})
        for bend in told["bends"]
    )
    hold = Hold(**told["hold"]) if told["hold"] else None
    return Steering(**{**told, "hold": hold, "bends": tuple(bends)})
