"""Where requests went in a period: how many stayed where they must, and what can be said of the others.

It must not know which places are within what; it is handed the rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from neuronode_router.usage.finished import OTHER, RequestOutcome, UsageKey
from neuronode_router.usage.periods import TimeSpan
from neuronode_router.usage.store import Rows

UNKNOWN_PLACE = "unknown"
"""What stands for the place of a deployment of which nobody can tell it."""


@dataclass(slots=True)
class Whereabouts:
    """Where the requests of a period went. A request that was tried at several places counts at its worst one."""

    span: TimeSpan
    requests: int = 0
    within: int = 0
    """Sent to nowhere else."""
    elsewhere: int = 0
    unknown: int = 0
    """Sent to a deployment without a known place, or counted before places were."""
    unasked: int = 0
    """Answered from LiteLLM's cache, refused for another reason, or given up beforehand: nobody was asked."""
    refused_residency: int = 0
    """Refused, for they would have left where their data must stay."""
    refused_personal_data: int = 0
    """Refused, for they hold personal data."""
    unattributed: int = 0
    """Requests of any team that were counted without telling teams apart: they may be this one's."""
    places: Counter[str] = field(default_factory=Counter)
    """Requests by the places they were sent to, joined by `+`."""


def whereabouts(
    rows: Rows, unattributed: Rows, *, span: TimeSpan, is_within: Callable[[str], bool]
) -> Whereabouts:
    """Return where the requests of `rows` went."""
    found = Whereabouts(span, unattributed=sum(sums.requests for sums in unattributed.values()))
    for (_, key), sums in rows.items():
        kind = _kind(key, is_within)
        setattr(found, kind, getattr(found, kind) + sums.requests)
        found.requests += sums.requests
        if key.location:
            found.places[key.location] += sums.requests
    return found


def _kind(key: UsageKey, is_within: Callable[[str], bool]) -> str:
    if not key.location:
        if key.outcome in (RequestOutcome.REFUSED_RESIDENCY, RequestOutcome.REFUSED_PERSONAL_DATA):
            return str(key.outcome)
        asked = (key.deployment and key.outcome != RequestOutcome.CACHED) or key.served_group == OTHER
        return "unknown" if asked else "unasked"
    places = key.location.split("+")
    if any(not is_within(place) for place in places if place != UNKNOWN_PLACE):
        return "elsewhere"
    return "unknown" if UNKNOWN_PLACE in places else "within"
