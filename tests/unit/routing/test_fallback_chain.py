"""Ladders: where a tier without a model goes, caps, sessions, tool loops, windows, and laws over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.decisions import Decision, Reason, Step
from neuronode_router.domain.names import TIERS, Tier
from neuronode_router.domain.rules import OnOverload, Stickiness
from neuronode_router.routing.fallback_chain import (
    PROBE_SHARE,
    Constraints,
    DeploymentStatus,
    Held,
    climb,
    tier_order,
)
from neuronode_router.routing.fit import ROOM, Misfit, Needs
from neuronode_router.routing.inventory import TEXT, Deployment
from neuronode_router.routing.overload import Health

FAST, MEDIUM, COMPLEX = TIERS
PROFILE = {FAST: ("f1", "f2"), MEDIUM: ("m1", "m2"), COMPLEX: ("c1", "c2")}
ONE_EACH = {FAST: ("8b",), MEDIUM: ("13b",), COMPLEX: ("70b",)}
NAMES = ("f1", "f2", "m1", "m2", "c1", "c2")
IMAGE = Needs(modalities=TEXT | {"image"})


def status_of(name: str, health: Health = Health.OK, **known: object) -> DeploymentStatus:
    return DeploymentStatus(Deployment(id=f"{name}-1", group=name, **known), health)  # type: ignore[arg-type]


def statuses(**health: Health) -> dict[str, tuple[DeploymentStatus, ...]]:
    """Return one deployment for each group, well unless said otherwise."""
    return {name: (status_of(name, health.get(name, Health.OK)),) for name in NAMES}


ALONE = "what LiteLLM alone would serve"


def chained(
    limits: Constraints,
    tiers: Mapping[Tier, Sequence[str]],
    groups: Mapping[str, Sequence[DeploymentStatus]],
) -> Decision:
    """Return the Decision for one request under `limits`."""
    unfinished = Decision("auto", ALONE, Reason.ACTIVE_PROFILE, auto=True)
    return climb(unfinished, limits, tiers=tiers, groups=groups)


def groups_of(chain: Decision) -> tuple[str, ...]:
    """Return the groups that are tried, in order."""
    return (chain.group, *chain.ladder)


def moved(chain: Decision) -> bool:
    """Return whether another tier answers than the wanted one."""
    return chain.tier is not chain.wanted


healths = st.sampled_from(Health)
any_statuses = st.fixed_dictionaries(
    {
        name: st.lists(
            st.builds(status_of, st.just(name), healths, context_window=st.sampled_from([None, 600, 8192])),
            max_size=3,
        )
        for name in NAMES
    }
)
profiles = st.fixed_dictionaries(
    {tier: st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(tuple) for tier in TIERS}
)
helds = st.none() | st.builds(
    Held, tier=st.sampled_from(TIERS), group=st.sampled_from(NAMES), deployment_id=st.none() | st.just("f1-1")
)
constraints = st.builds(
    Constraints,
    tier=st.sampled_from(TIERS),
    why=st.sampled_from([Step.CLASSIFIED, Step.UNCERTAIN, Step.FORCED_TIER]),
    max_tier=st.sampled_from(TIERS),
    policy=st.sampled_from(OnOverload),
    needs=st.sampled_from([Needs(), Needs(tokens=200), Needs(tokens=10**6), IMAGE]),
    stickiness=st.sampled_from(Stickiness),
    held=helds,
    in_tool_loop=st.booleans(),
    chance=st.floats(0, 1),
)


class TestOneModelATier:
    """One model for each tier: the next lower one answers, and it says that it was a fallback."""

    @pytest.mark.parametrize(
        ("tier", "there", "first", "was_fallback"),
        [
            (COMPLEX, {"8b", "13b", "70b"}, "70b", False),
            (COMPLEX, {"8b", "13b"}, "13b", True),
            (COMPLEX, {"8b"}, "8b", True),
            (MEDIUM, {"8b", "13b", "70b"}, "13b", False),
            (MEDIUM, {"8b", "70b"}, "8b", True),
            (FAST, {"8b", "13b", "70b"}, "8b", False),
            # Where nothing lower is left, the next higher tier answers:
            (MEDIUM, {"70b"}, "70b", True),
            (FAST, {"13b", "70b"}, "13b", True),
            (FAST, {"70b"}, "70b", True),
        ],
    )
    def test_the_next_lower_tier_that_is_there(
        self, tier: Tier, there: set[str], first: str, was_fallback: bool
    ) -> None:
        """Not available: next lower tier, and it says that it was a fallback."""
        missing = {
            name: (status_of(name, Health.OK if name in there else Health.UNAVAILABLE),)
            for name in ("8b", "13b", "70b")
        }

        chain = chained(Constraints(tier), ONE_EACH, missing)

        assert (groups_of(chain)[0], moved(chain)) == (first, was_fallback)

    @pytest.mark.parametrize("state", [Health.SLOW, Health.FAILING, Health.COOLDOWN, Health.PROBING])
    def test_the_overloaded_go_down_too(self, state: Health) -> None:
        """An overloaded model's requests go to an alternative."""
        chain = chained(Constraints(COMPLEX), ONE_EACH, {"70b": (status_of("70b", state),)})

        assert groups_of(chain) == ("13b", "8b", "70b")
        assert (moved(chain), chain.steps) == (True, (Step.CLASSIFIED, Step.OVERLOADED))

    def test_a_forced_tier_is_used(self) -> None:
        """`force_tier` stands instead of the classification."""
        chain = chained(Constraints(COMPLEX, why=Step.FORCED_TIER), ONE_EACH, {})

        assert (groups_of(chain)[0], moved(chain), chain.steps) == ("70b", False, (Step.FORCED_TIER,))


@pytest.mark.parametrize(
    ("tier", "policy", "order"),
    [
        (FAST, OnOverload.DOWN, (FAST, MEDIUM, COMPLEX)),
        (MEDIUM, OnOverload.DOWN, (MEDIUM, FAST, COMPLEX)),
        (COMPLEX, OnOverload.DOWN, (COMPLEX, MEDIUM, FAST)),
        (FAST, OnOverload.UP, (FAST, MEDIUM, COMPLEX)),
        (MEDIUM, OnOverload.UP, (MEDIUM, COMPLEX, FAST)),
        (COMPLEX, OnOverload.UP, (COMPLEX, MEDIUM, FAST)),
        (MEDIUM, OnOverload.STAY, (MEDIUM,)),
    ],
)
def test_policies(tier: Tier, policy: OnOverload, order: tuple[Tier, ...]) -> None:
    """Which tiers a policy tries, nearest first."""
    assert tier_order(tier, policy) == order


def test_the_overloaded_go_last_the_worst_at_the_end() -> None:
    """Within the tier and behind the other tiers, in the order of their states."""
    chain = chained(
        Constraints(MEDIUM), PROFILE, statuses(m1=Health.FAILING, f1=Health.SLOW, c2=Health.UNAVAILABLE)
    )

    assert groups_of(chain) == ("m2", "f2", "c1", "f1", "m1", "c2")
    assert chain.steps == (Step.CLASSIFIED, Step.OVERLOADED)
    assert not moved(chain)


def test_when_all_are_overloaded_the_order_says_so() -> None:
    """There is always somewhere to go, best state first."""
    chain = chained(Constraints(FAST), PROFILE, statuses(**dict.fromkeys(NAMES, Health.SLOW)))

    assert groups_of(chain) == ("f1", "f2", "m1", "m2", "c1", "c2")
    assert Step.ALL_OVERLOADED in chain.steps


def test_a_group_is_as_good_as_its_best_deployment() -> None:
    """One deployment that is well suffices."""
    groups = {**statuses(), "f1": (status_of("f1", Health.FAILING), status_of("f1"))}

    assert groups_of(chained(Constraints(FAST), PROFILE, groups))[0] == "f1"


@pytest.mark.parametrize(("chance", "first"), [(0.0, "f1"), (PROBE_SHARE, "f2"), (0.99, "f2")])
def test_a_trickle_probes(chance: float, first: str) -> None:
    """A tenth of the requests go to a group that must show that it is well."""
    chain = chained(Constraints(FAST, chance=chance), PROFILE, statuses(f1=Health.PROBING))

    assert groups_of(chain)[0] == first
    assert (Step.PROBE in chain.steps) == (first == "f1")


def test_a_small_window_is_left_out() -> None:
    """A prompt that does not fit goes to the next group that holds it, and the ladder says why."""
    groups = {**statuses(), "f1": (status_of("f1", context_window=8192),)}

    chain = chained(Constraints(FAST, needs=Needs(tokens=8192 - ROOM + 1)), PROFILE, groups)

    assert groups_of(chain)[0] == "f2"
    assert chain.left_out == (("f1", Misfit.CONTEXT_WINDOW),)
    assert groups_of(chained(Constraints(FAST, needs=Needs(tokens=8192 - ROOM)), PROFILE, groups))[0] == "f1"


def test_only_deployments_that_fit_speak_for_their_group() -> None:
    """A group whose only large deployment is overloaded is overloaded for a large prompt."""
    large = status_of("f1", Health.SLOW, context_window=100_000)
    groups = {**statuses(), "f1": (status_of("f1", context_window=100), large)}

    assert groups_of(chained(Constraints(FAST), PROFILE, groups))[0] == "f1"
    assert groups_of(chained(Constraints(FAST, needs=Needs(tokens=5000)), PROFILE, groups))[0] == "f2"


@pytest.mark.parametrize("why", [Step.CLASSIFIED, Step.FORCED_TIER])
def test_a_cap_holds_for_constraints_and_fallbacks(why: Step) -> None:
    """With max_tier fast even a forced complex prompt stays fast, overloaded or not."""
    limits = Constraints(COMPLEX, why=why, max_tier=FAST, policy=OnOverload.UP)

    chain = chained(limits, PROFILE, statuses(f1=Health.SLOW, f2=Health.SLOW))

    assert (groups_of(chain), chain.tier, moved(chain)) == (("f1", "f2"), FAST, False)
    assert Step.CAPPED in chain.steps


class TestSessions:
    HELD = Held(MEDIUM, "m2", "m2-1")

    def test_without_stickiness_nothing_is_kept(self) -> None:
        """Off is the default: each request is decided anew."""
        chain = chained(Constraints(FAST, held=self.HELD), PROFILE, statuses())

        assert (groups_of(chain)[0], chain.keep, chain.steps) == ("f1", None, (Step.CLASSIFIED,))

    def test_a_session_keeps_its_tier(self) -> None:
        """The tier of the last request, and its best group."""
        chain = chained(Constraints(FAST, held=self.HELD, stickiness=Stickiness.TIER), PROFILE, statuses())

        assert (groups_of(chain)[0], chain.keep, chain.steps) == ("m1", None, (Step.SESSION,))

    def test_a_session_keeps_its_deployment_while_it_is_well(self) -> None:
        """Its group comes first, its deployment is kept; overloaded, it is let go."""
        limits = Constraints(FAST, held=self.HELD, stickiness=Stickiness.DEPLOYMENT)

        kept = chained(limits, PROFILE, statuses())
        let_go = chained(limits, PROFILE, statuses(m2=Health.SLOW))

        assert (groups_of(kept)[0], kept.keep) == ("m2", "m2-1")
        assert (groups_of(let_go)[0], let_go.keep) == ("m1", None)

    def test_a_forced_tier_goes_before_the_session(self) -> None:
        """Who forces a tier wants it now."""
        limits = Constraints(FAST, why=Step.FORCED_TIER, held=self.HELD, stickiness=Stickiness.DEPLOYMENT)

        assert groups_of(chained(limits, PROFILE, statuses()))[0] == "f1"

    @pytest.mark.parametrize("stickiness", Stickiness)
    @pytest.mark.parametrize("why", [Step.CLASSIFIED, Step.FORCED_TIER])
    def test_a_tool_loop_never_changes_its_tier(self, stickiness: Stickiness, why: Step) -> None:
        """Not for overload, not for a forced tier, not without stickiness."""
        limits = Constraints(FAST, why=why, held=self.HELD, stickiness=stickiness, in_tool_loop=True)

        chain = chained(limits, PROFILE, statuses(m1=Health.OK, m2=Health.FAILING))

        assert (groups_of(chain)[:2], chain.keep) == (("m2", "m1"), "m2-1")
        assert (chain.steps[0], moved(chain)) == (Step.TOOL_LOOP, False)

    def test_a_tool_loop_leaves_a_group_that_is_gone(self) -> None:
        """Within its tier, then upwards."""
        limits = Constraints(FAST, held=self.HELD, in_tool_loop=True)
        gone = statuses(m1=Health.UNAVAILABLE, m2=Health.UNAVAILABLE)

        chain = chained(limits, PROFILE, gone)

        assert groups_of(chained(limits, PROFILE, statuses(m2=Health.UNAVAILABLE)))[0] == "m1"
        assert (chain.group, chain.tier, Step.LOOP_MOVED in chain.steps) == ("c1", COMPLEX, True)

    @pytest.mark.parametrize(
        ("needs", "of_others"),
        [(Needs(tokens=9000), {"context_window": 8192}), (IMAGE, {"refuses": frozenset({"image"})})],
    )
    def test_a_tool_loop_leaves_its_tier_when_it_must(self, needs: Needs, of_others: dict[str, Any]) -> None:
        """An outgrown window, or an image among the results: upwards first, as far as the cap allows."""
        limits = Constraints(FAST, held=self.HELD, in_tool_loop=True, needs=needs)
        groups = {**statuses(), **{name: (status_of(name, **of_others),) for name in ("m1", "m2")}}

        chain = chained(limits, PROFILE, groups)
        capped = chained(replace(limits, max_tier=MEDIUM), PROFILE, groups)

        assert (chain.group, chain.steps) == ("c1", (Step.TOOL_LOOP, Step.LOOP_MOVED))
        assert (capped.group, Step.LOOP_MOVED in capped.steps) == ("f1", True)


def _there(entry: DeploymentStatus) -> bool:
    return entry.health is not Health.UNAVAILABLE


class TestLaws:
    @given(constraints, profiles, any_statuses)
    def test_somewhere_to_go_and_never_twice(
        self,
        limits: Constraints,
        tiers: dict[Tier, tuple[str, ...]],
        groups: dict[str, list[DeploymentStatus]],
    ) -> None:
        """A complete profile always gives a ladder of distinct groups, all of them the profile's."""
        chain = chained(limits, tiers, groups)

        assert groups_of(chain)
        assert len(set(groups_of(chain))) == len(groups_of(chain))
        assert set(groups_of(chain)) <= {name for names in tiers.values() for name in names}
        assert not {name for name, _ in chain.left_out} & set(groups_of(chain))

    @given(constraints, profiles, any_statuses)
    def test_no_group_above_the_cap(
        self,
        limits: Constraints,
        tiers: dict[Tier, tuple[str, ...]],
        groups: dict[str, list[DeploymentStatus]],
    ) -> None:
        """Whatever is wished for, held or overloaded: only groups that an allowed tier names."""
        allowed = TIERS[: TIERS.index(limits.max_tier) + 1]

        chain = chained(limits, tiers, groups)

        assert set(groups_of(chain)) <= {name for tier in allowed for name in tiers[tier]}
        assert chain.tier in allowed

    @given(constraints, any_statuses)
    def test_who_is_well_comes_first(
        self, limits: Constraints, groups: dict[str, list[DeploymentStatus]]
    ) -> None:
        """Outside of sessions and probes, no group that is not well stands before one that is."""
        plain = replace(limits, held=None, needs=Needs(), chance=1.0, in_tool_loop=False)
        best = {
            name: min((entry.health.rank for entry in entries), default=0) for name, entries in groups.items()
        }

        ranks = [best[name] for name in groups_of(chained(plain, PROFILE, groups))]

        assert ranks == sorted(ranks)

    @given(constraints, any_statuses)
    def test_a_tool_loop_stays_in_its_tier_while_it_can(
        self, limits: Constraints, groups: dict[str, list[DeploymentStatus]]
    ) -> None:
        """The held tier, or the cap below it, comes first where anything of it is there and holds all that is sent."""
        tier = limits.held.tier if limits.held else MEDIUM
        own = PROFILE[min(tier, limits.max_tier, key=TIERS.index)]
        plain = replace(limits, held=Held(tier, own[0]), in_tool_loop=True, needs=Needs())

        chain = chained(plain, PROFILE, groups)

        there = [name for name in own if not groups[name] or any(_there(entry) for entry in groups[name])]
        assert not there or not moved(chain)
        assert moved(chain) == (Step.LOOP_MOVED in chain.steps)

    @given(constraints, profiles, any_statuses)
    def test_it_is_a_function(
        self,
        limits: Constraints,
        tiers: dict[Tier, tuple[str, ...]],
        groups: dict[str, list[DeploymentStatus]],
    ) -> None:
        """The same facts give the same chain."""
        assert chained(limits, tiers, groups) == chained(limits, tiers, groups)


def test_a_profile_without_groups_keeps_what_litellm_alone_would_serve() -> None:
    """The request is then left to LiteLLM."""
    chain = chained(Constraints(FAST), {}, {})

    assert (groups_of(chain), chain.tier, chain.steps) == ((ALONE,), FAST, (Step.CLASSIFIED, Step.NO_GROUP))
