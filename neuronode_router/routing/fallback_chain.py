"""From a tier to the groups that a request tries, in order, and why: pure, synchronous, a few microseconds.

It must not know how the tier was found, who may ask for it, or how deployments are measured; it is handed the facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from neuronode_router.domain.decisions import Decision, Step
from neuronode_router.domain.names import TIERS, TOO_CHEAP, TOO_DEAR, Tier
from neuronode_router.domain.rules import OnOverload, Stickiness
from neuronode_router.routing.fit import NO_NEEDS, Misfit, Needs, doubts, misfit, why_not
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.overload import Health

PROBE_SHARE = 0.1
"""Share of the requests that find out whether a deployment is well again."""


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """A deployment and how it stands."""

    deployment: Deployment
    health: Health = Health.OK


@dataclass(frozen=True, slots=True)
class Held:
    """Where the session's last request went. Look it up under the caller's key, for callers choose session ids."""

    tier: Tier
    group: str
    deployment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Warm:
    """A conversation whose last request went to `tier`, whose provider has it in its cache."""

    tier: Tier
    share: float
    """Of the tokens of its group's prompts that the cache answers, 0 to 1."""


class Classified(NamedTuple):
    """What a classification says beside the tier."""

    task: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Constraints:
    """One request, as far as its ladder depends on it."""

    tier: Tier
    """The tier that was forced, classified or taken for want of evidence."""
    why: Step = Step.CLASSIFIED
    """Where `tier` comes from: classified, uncertain, forced, or automatic routing is off."""
    max_tier: Tier = Tier.COMPLEX
    """The highest tier that key and team may use: nothing goes above it."""
    policy: OnOverload = OnOverload.DOWN
    needs: Needs = NO_NEEDS
    stickiness: Stickiness = Stickiness.OFF
    held: Held | None = None
    in_tool_loop: bool = False
    """Whether the messages end with results of tools: another tier may not understand the calls, so it is the last
    resort.
    """
    continued: bool = False
    """Whether `held` keeps what was said before, so that no other could go on."""
    chance: float = 1.0
    """A random number from 0 to 1: below `PROBE_SHARE` the request may probe."""
    too_cheap: float = TOO_CHEAP
    too_dear: float = TOO_DEAR
    """What the profile says that a tier too light or too heavy costs, where a classification leaves it open."""
    warm: Warm | None = None
    """What the conversation loses where a classification leads it away from its tier; None where that is nothing."""

    @property
    def bound(self) -> bool:
        """Whether the request stays with `held` as long as that is there: in a tool loop, or for what it keeps."""
        return self.in_tool_loop or self.continued

    @property
    def forced(self) -> bool:
        """Whether the caller named the tier, so that no session changes it."""
        return self.why is Step.FORCED_TIER


@dataclass(frozen=True, slots=True)
class _Rung:
    """One group at its place."""

    group: str
    tier: Tier
    health: Health
    misfit: Misfit | None
    doubts: int = 0


def climb(
    decision: Decision,
    constraints: Constraints,
    *,
    tiers: Mapping[Tier, Sequence[str]],
    groups: Mapping[str, Sequence[DeploymentStatus]],
    said: Classified | None = None,
) -> Decision:
    """Return the Decision of an `auto` request with its groups, in the order in which they are tried. Never raises.

    `tiers` are the profile's groups by tier, best first; `groups` is how their deployments stand. A group of which
    nothing is known is well and holds everything. Where there is no group at all the Decision keeps the one that
    LiteLLM alone would serve. `said` is written down with it.
    """
    task, confidence = (decision.task, decision.confidence) if said is None else said
    wanted, steps = _wanted(constraints)
    reachable = _reachable(wanted, constraints, tiers, groups)
    rungs = [rung for rung in reachable if rung.misfit is not Misfit.RESIDENCY]
    if not rungs:
        steps = (*steps, Step.NO_GROUP)
        return replace(decision, task=task, confidence=confidence, tier=wanted, wanted=wanted, steps=steps)
    fitting = [rung for rung in rungs if rung.misfit is None]
    ordered = _ordered(fitting or rungs, wanted, constraints)
    first = ordered[0]
    return replace(
        decision,
        task=task,
        confidence=confidence,
        group=first.group,
        ladder=tuple(rung.group for rung in ordered[1:]),
        tiers=tuple(rung.tier for rung in ordered),
        tier=first.tier,
        wanted=wanted,
        steps=(*steps, *_steps(fitting, ordered, wanted, constraints)),
        left_out=_left_out(reachable) if len(reachable) > len(fitting) > 0 else (),
        keep=_kept_deployment(constraints, first),
    )


def _left_out(rungs: Sequence[_Rung]) -> tuple[tuple[str, Misfit], ...]:
    return tuple((rung.group, rung.misfit) for rung in rungs if rung.misfit)


def _wanted(constraints: Constraints) -> tuple[Tier, tuple[Step, ...]]:
    """Return the tier to begin with, and why."""
    tier, why = constraints.tier, constraints.why
    if constraints.held is not None and constraints.bound:
        tier, why = constraints.held.tier, Step.CONTINUED if constraints.continued else Step.TOOL_LOOP
    elif (
        constraints.held is not None
        and constraints.stickiness is not Stickiness.OFF
        and not constraints.forced
    ):
        tier, why = constraints.held.tier, Step.SESSION
    if TIERS.index(tier) > TIERS.index(constraints.max_tier):
        return constraints.max_tier, (why, Step.CAPPED)
    return tier, (why,)


def tier_order(wanted: Tier, policy: OnOverload) -> tuple[Tier, ...]:
    """Return the tiers that a policy tries, in order."""
    place = TIERS.index(wanted)
    lower, higher = TIERS[:place][::-1], TIERS[place + 1 :]
    if policy is OnOverload.STAY:
        return (wanted,)
    return (wanted, *lower, *higher) if policy is OnOverload.DOWN else (wanted, *higher, *lower)


def _reachable(
    wanted: Tier,
    constraints: Constraints,
    tiers: Mapping[Tier, Sequence[str]],
    groups: Mapping[str, Sequence[DeploymentStatus]],
) -> list[_Rung]:
    """Return the groups that the policy allows. What no group of the wanted tier can hold goes on, upwards first."""
    up = OnOverload.UP

    def rungs(policy: OnOverload) -> list[_Rung]:
        named = _named(tier_order(wanted, policy), constraints, tiers)
        return [_rung(name, tier, groups.get(name, ()), constraints) for name, tier in named]

    found = rungs(up if constraints.bound else constraints.policy)
    stays = constraints.policy is OnOverload.STAY and all(rung.misfit for rung in found)
    return rungs(up) if stays else found


def _named(
    order: Sequence[Tier], constraints: Constraints, tiers: Mapping[Tier, Sequence[str]]
) -> Iterator[tuple[str, Tier]]:
    """Yield each group once, with the first tier that names it."""
    seen: set[str] = set()
    for tier in order:
        if TIERS.index(tier) > TIERS.index(constraints.max_tier):
            continue
        for name in tiers.get(tier, ()):
            if name not in seen:
                seen.add(name)
                yield name, tier


def _rung(name: str, tier: Tier, deployments: Sequence[DeploymentStatus], constraints: Constraints) -> _Rung:
    """Return the group as good as the best of its deployments that can hold the request."""
    needs, best, least = constraints.needs, None, 0
    for entry in deployments:
        if misfit(entry.deployment, needs) is not None:
            continue
        if best is None:
            best, least = entry.health, doubts(entry.deployment, needs)
        else:
            best = entry.health if entry.health.rank < best.rank else best
            least = least and min(least, doubts(entry.deployment, needs))
    if best is None:
        return _Rung(name, tier, Health.OK, why_not([entry.deployment for entry in deployments], needs))
    return _Rung(name, tier, best, None, least)


def _ordered(rungs: Sequence[_Rung], wanted: Tier, constraints: Constraints) -> list[_Rung]:
    """Return what a session keeps, then what suits best, then those that are well in order, then the others."""
    order = tier_order(wanted, OnOverload.UP) if constraints.bound else ()

    def rank(rung: _Rung) -> tuple[int, ...]:
        kept, gone = _is_kept(rung, constraints), rung.health is Health.UNAVAILABLE
        if not constraints.bound:
            return (not kept, gone, rung.doubts, _place(rung, constraints))
        return (gone, rung.doubts, not kept, order.index(rung.tier), _place(rung, constraints))

    return sorted(rungs, key=rank)


def _place(rung: _Rung, constraints: Constraints) -> int:
    return 0 if _probes(rung, constraints) else rung.health.rank


def _probes(rung: _Rung, constraints: Constraints) -> bool:
    return rung.health is Health.PROBING and constraints.chance < PROBE_SHARE


def _is_kept(rung: _Rung, constraints: Constraints) -> bool:
    """What is bound keeps its group unless that is gone; a session its deployment's group while it is well."""
    if constraints.held is None or rung.group != constraints.held.group:
        return False
    if constraints.bound:
        return rung.health is not Health.UNAVAILABLE
    sticks = constraints.stickiness is Stickiness.DEPLOYMENT and not constraints.forced
    return sticks and rung.tier is constraints.held.tier and rung.health is Health.OK


def _kept_deployment(constraints: Constraints, first: _Rung) -> str | None:
    return (
        constraints.held.deployment_id
        if constraints.held is not None and _is_kept(first, constraints)
        else None
    )


def _steps(
    fitting: Sequence[_Rung], ordered: Sequence[_Rung], wanted: Tier, constraints: Constraints
) -> Iterator[Step]:
    if not fitting:
        yield Step.NOTHING_FITS
    if constraints.bound and ordered[0].tier is not wanted:
        yield Step.LOOP_MOVED
    not_well = [rung for rung in ordered if rung.health is not Health.OK]
    if not not_well:
        return
    if _probes(ordered[0], constraints):
        yield Step.PROBE
    elif len(not_well) == len(ordered):
        yield Step.ALL_OVERLOADED
    if any(
        rung.tier is wanted and _place(rung, constraints) > _place(ordered[0], constraints)
        for rung in ordered
    ):
        yield Step.OVERLOADED
