"""What a comparison in the background needs to know on the request path."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Shadow:
    """Another profile that answers a share of the requests once more, unseen, to be compared with what clients got."""

    id: str
    profile: str
    salt: str
    """Hexadecimal; keys the hash by which requests are chosen, so that no client can choose its own."""
    share: int
    """Thousandths of the requests."""
    until: float
    """Unix time at which it ends by itself."""
    budget_usd: float
    """What its answers and the judge's may cost in all workers together."""
    concurrency: int
    """How many requests one worker answers again at the same time."""
    tasks: tuple[str, ...] = ()
    """The tasks it is for, `auto` for what names no task; empty for all."""
    judge: str | None = None
    """The model group that is asked whether the other answer would have done."""
    sample_text: bool = False
    """Whether a few requests are kept with both answers."""


def shadow_text(shadow: Shadow) -> str:
    """Return it as canonical JSON."""
    return json.dumps(asdict(shadow), sort_keys=True, separators=(",", ":"))


def shadow_from_text(text: str | None) -> Shadow | None:
    """Rebuild it from `shadow_text`'s form; None where there is none."""
    if not text:
        return None
    told = json.loads(text)
    return Shadow(**{**told, "tasks": tuple(told["tasks"])})
