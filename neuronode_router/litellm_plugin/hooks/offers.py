"""What each name of ours can do now for one caller: by its binding, cap and residency, in the revision that is served.

It must not know how it is told. Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.domain.decisions import Decision, Reason
from neuronode_router.errors import NeuronodeError
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks.admission_host import AdmissionHost
from neuronode_router.litellm_plugin.hooks.asking import Asking
from neuronode_router.routing.inventory import Inventory
from neuronode_router.routing.offer import Guarantee, Rate, offer_of, reachable
from neuronode_router.routing.residency import Required, is_within
from neuronode_router.routing.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class NameOffer:
    """What a name means to a caller, and what that can do."""

    decision: Decision
    groups: tuple[str, ...]
    """Who may answer."""
    offer: Guarantee


class Offers:
    """Names of one proxy worker, as callers may count on them."""

    def __init__(
        self,
        host: AdmissionHost,
        current: CurrentSnapshot,
        registry: Callable[[], Inventory],
        rates: Callable[[], Mapping[str, Rate]],
    ) -> None:
        self._host = host
        self._current = current
        self._registry = registry
        self._rates = rates

    def of(self, user: UserAPIKeyAuth, names: Sequence[str]) -> Mapping[str, NameOffer]:
        """Return what those of the names that are ours offer the caller; none that it may not send."""
        snapshot = self._current.snapshot
        ours = [name for name in dict.fromkeys(names) if snapshot and name in snapshot.decisions]
        if snapshot is None or not ours:
            return {}
        asking, rates = Asking(self._host, snapshot, user, {}), self._rates()
        found: dict[str, NameOffer] = {}
        for name in ours:
            try:
                decision = asking.decide(name)
            except NeuronodeError:
                continue
            arms = []
            for meant in _meant(asking.snapshot, name, decision):
                places = asking.places_under(meant)
                arms.append((self._groups(asking, meant, places), places))
            groups = dict.fromkeys(group for own, _ in arms for group in own)
            found[name] = NameOffer(decision, tuple(groups), self._offer(arms, rates))
        return found

    def _groups(self, asking: Asking, decision: Decision, places: Required) -> tuple[str, ...]:
        groups: Sequence[str] = (decision.group,)
        if decision.auto and decision.profile is not None:
            profile = asking.snapshot.profiles[decision.profile]
            ladder = asking.snapshot.ladders[decision.profile]
            groups = tuple(
                reachable(
                    ladder,
                    tier=decision.tier,
                    policy=profile.on_overload,
                    max_tier=asking.highest(decision),
                )
            )
        return tuple(group for group in groups if asking.stays(group, places))

    def _offer(self, arms: Sequence[tuple[Sequence[str], Required]], rates: Mapping[str, Rate]) -> Guarantee:
        known = self._registry().groups
        able = [
            entry
            for groups, places in arms
            for group in groups
            for entry in known.get(group, ())
            if not places or is_within(entry.location, places)
        ]
        return offer_of(able, rates)


def _meant(snapshot: Snapshot, name: str, decision: Decision) -> tuple[Decision, ...]:
    """Return what a name means in either arm while a rollout runs: nobody knows beforehand whose a request is."""
    tried = snapshot.canary.get(name) if decision.reason is Reason.ACTIVE_PROFILE else None
    return (decision,) if tried is None else (decision, tried)
