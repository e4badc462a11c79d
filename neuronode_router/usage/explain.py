"""What one request would have cost under every profile.

It must not know where the request was kept. There is no text of the prompt in it, because none was kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neuronode_router.domain.decisions import Reason
from neuronode_router.domain.names import AUTO_NAMES
from neuronode_router.domain.profiles import Profile
from neuronode_router.usage.finished import GOOD_ENDS, FinishedRequest, RequestOutcome
from neuronode_router.usage.prices import Basis, Prices
from neuronode_router.usage.targets import asked_auto, target


@dataclass(frozen=True, slots=True)
class Alternative:
    """One profile's answer to a request."""

    profile: str
    group: str
    cost: float | None
    """US dollars; None where nobody knows."""
    basis: Basis


@dataclass(frozen=True, slots=True)
class Explanation:
    """One request and its alternatives, by profile."""

    request: FinishedRequest
    alternatives: Sequence[Alternative]


def explain(request: FinishedRequest, profiles: Mapping[str, Profile], prices: Prices) -> Explanation:
    """Return what the request would have cost under each of `profiles`. Never raises.

    A request of a task is replayed whatever chose its profile; one that named its group itself costs the same under
    all of them.
    """
    free = request.key._replace(reason=Reason.ACTIVE_PROFILE)
    auto = _asked_auto(request, profiles)
    return Explanation(
        request,
        tuple(
            _alternative(request, name, target(free, profile, auto=auto) or request.key.served_group, prices)
            for name, profile in sorted(profiles.items())
        ),
    )


def _asked_auto(request: FinishedRequest, profiles: Mapping[str, Profile]) -> bool:
    if request.asked:
        return request.asked.rpartition("/")[2] in AUTO_NAMES  # `premium/auto` is one, too
    return asked_auto(request.key, profiles.get(request.key.profile))


def _alternative(request: FinishedRequest, profile: str, group: str, prices: Prices) -> Alternative:
    if group == request.key.chosen_group or request.key.outcome == RequestOutcome.CACHED:
        unpriced = request.cost is None and request.key.outcome in GOOD_ENDS
        return Alternative(profile, group, request.cost, Basis.UNPRICED if unpriced else Basis.RECORDED)
    price = prices.of(group)
    if price is None or not request.prompt_tokens:
        return Alternative(profile, group, None, price.basis if price else Basis.UNPRICED)
    cost = price.cost(request.prompt_tokens, request.completion_tokens)
    return Alternative(profile, group, cost, price.basis)
