"""Ladders: the plan's fallback table, caps, sessions, tool loops, windows, and laws over all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain import TIERS, OnOverload, Step, Stickiness, Tier
from neuronode_router.routing.fallback_chain import (
    PROBE_SHARE,
    DeploymentStatus,
    FallbackChain,
    Held,
    Misfit,
    Needs,
    Wish,
    climb,
    tier_order,
)
from neuronode_router.routing.inventory import TEXT, Deployment
from neuronode_router.routing.overload import Health

FAST, MEDIUM, COMPLEX = TIERS
PROFILE = {FAST: ("f1", "f2"), MEDIUM: ("m1", "m2"), COMPLEX: ("c1", "c2")}
PLAN = {FAST: ("8b",), MEDIUM: ("13b",), COMPLEX: ("70b",)}
NAMES = ("f1", "f2", "m1", "m2", "c1", "c2")
IMAGE = Needs(modalities=TEXT | {"image"})


def standing(name: str, health: Health = Health.OK, **known: object) -> DeploymentStatus:
    return DeploymentStatus(Deployment(id=f"{name}-1", group=name, **known), health)  # type: ignore[arg-type]


def board(**health: Health) -> dict[str, tuple[DeploymentStatus, ...]]:
    """Return one deployment for each group, well unless said otherwise."""
    return {name: (standing(name, health.get(name, Health.OK)),) for name in NAMES}


healths = st.sampled_from(Health)
boards = st.fixed_dictionaries(
    {
        name: st.lists(
            st.builds(standing, st.just(name), healths, context_window=st.sampled_from([None, 100, 8192])),
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
wishes = st.builds(
    Wish,
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


class TestThePlan:
    """The plan's `get_fallback_model` and `was_fallback`, with one model for each tier."""

    @pytest.mark.parametrize(
        ("tier", "there", "first", "was_fallback"),
        [
            (COMPLEX, {"8b", "13b", "70b"}, "70b", False),
            (COMPLEX, {"8b", "13b"}, "13b", True),
            (COMPLEX, {"8b"}, "8b", True),
            (MEDIUM, {"8b", "13b", "70b"}, "13b", False),
            (MEDIUM, {"8b", "70b"}, "8b", True),
            (FAST, {"8b", "13b", "70b"}, "8b", False),
            # Where the plan gives up, because nothing lower is left, the next higher tier answers:
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
            name: (standing(name, Health.OK if name in there else Health.UNAVAILABLE),)
            for name in ("8b", "13b", "70b")
        }

        ladder = climb(Wish(tier), PLAN, missing)

        assert (ladder.groups[0], ladder.was_fallback) == (first, was_fallback)

    @pytest.mark.parametrize("state", [Health.SLOW, Health.FAILING, Health.COOLDOWN, Health.PROBING])
    def test_the_overloaded_go_down_too(self, state: Health) -> None:
        """The plan's adaptive router: an overloaded model's requests go to an alternative."""
        ladder = climb(Wish(COMPLEX), PLAN, {"70b": (standing("70b", state),)})

        assert ladder.groups == ("13b", "8b", "70b")
        assert (ladder.was_fallback, ladder.reasons) == (True, (Step.CLASSIFIED, Step.OVERLOADED))

    def test_a_forced_tier_is_used(self) -> None:
        """`force_tier` stands instead of the classification."""
        ladder = climb(Wish(COMPLEX, why=Step.FORCED_TIER), PLAN, {})

        assert (ladder.groups[0], ladder.was_fallback, ladder.reasons) == ("70b", False, (Step.FORCED_TIER,))


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
    ladder = climb(Wish(MEDIUM), PROFILE, board(m1=Health.FAILING, f1=Health.SLOW, c2=Health.UNAVAILABLE))

    assert ladder.groups == ("m2", "f2", "c1", "f1", "m1", "c2")
    assert ladder.reasons == (Step.CLASSIFIED, Step.OVERLOADED)
    assert not ladder.was_fallback


def test_when_all_are_overloaded_the_order_says_so() -> None:
    """There is always somewhere to go, best state first."""
    ladder = climb(Wish(FAST), PROFILE, board(**dict.fromkeys(NAMES, Health.SLOW)))

    assert ladder.groups == ("f1", "f2", "m1", "m2", "c1", "c2")
    assert Step.ALL_OVERLOADED in ladder.reasons


def test_a_group_is_as_good_as_its_best_deployment() -> None:
    """One deployment that is well suffices."""
    groups = {**board(), "f1": (standing("f1", Health.FAILING), standing("f1"))}

    assert climb(Wish(FAST), PROFILE, groups).groups[0] == "f1"


@pytest.mark.parametrize(("chance", "first"), [(0.0, "f1"), (PROBE_SHARE, "f2"), (0.99, "f2")])
def test_a_trickle_probes(chance: float, first: str) -> None:
    """A tenth of the requests go to a group that must show that it is well."""
    ladder = climb(Wish(FAST, chance=chance), PROFILE, board(f1=Health.PROBING))

    assert ladder.groups[0] == first
    assert (Step.PROBE in ladder.reasons) == (first == "f1")


def test_a_small_window_is_left_out() -> None:
    """A prompt that does not fit goes to the next group that holds it, and the ladder says why."""
    groups = {**board(), "f1": (standing("f1", context_window=8192),)}

    ladder = climb(Wish(FAST, needs=Needs(tokens=8193)), PROFILE, groups)

    assert ladder.groups[0] == "f2"
    assert ladder.left_out == (("f1", Misfit.CONTEXT_WINDOW),)
    assert climb(Wish(FAST, needs=Needs(tokens=8192)), PROFILE, groups).groups[0] == "f1"


def test_only_deployments_that_fit_speak_for_their_group() -> None:
    """A group whose only large deployment is overloaded is overloaded for a large prompt."""
    large = standing("f1", Health.SLOW, context_window=100_000)
    groups = {**board(), "f1": (standing("f1", context_window=100), large)}

    assert climb(Wish(FAST), PROFILE, groups).groups[0] == "f1"
    assert climb(Wish(FAST, needs=Needs(tokens=5000)), PROFILE, groups).groups[0] == "f2"


def test_images_go_where_they_are_seen() -> None:
    """Groups that read text only are left out."""
    groups = {**board(), "c1": (standing("c1", modalities=TEXT | {"image"}),)}

    ladder = climb(Wish(FAST, needs=IMAGE), PROFILE, groups)

    assert (ladder.groups, ladder.was_fallback) == (("c1",), True)
    assert ladder.left_out[0] == ("f1", Misfit.MODALITY)


def test_when_nothing_fits_all_are_tried() -> None:
    """What is said of deployments may be wrong: the provider refuses, not we."""
    ladder = climb(Wish(FAST, needs=IMAGE), PROFILE, board())

    assert ladder.groups == ("f1", "f2", "m1", "m2", "c1", "c2")
    assert (Step.NOTHING_FITS in ladder.reasons, ladder.left_out) == (True, ())


@pytest.mark.parametrize("why", [Step.CLASSIFIED, Step.FORCED_TIER])
def test_a_cap_holds_for_wishes_and_fallbacks(why: Step) -> None:
    """T20: with max_tier fast even a forced complex prompt stays fast, overloaded or not."""
    wish = Wish(COMPLEX, why=why, max_tier=FAST, policy=OnOverload.UP)

    ladder = climb(wish, PROFILE, board(f1=Health.SLOW, f2=Health.SLOW))

    assert (ladder.groups, ladder.tier, ladder.was_fallback) == (("f1", "f2"), FAST, False)
    assert Step.CAPPED in ladder.reasons


class TestSessions:
    HELD = Held(MEDIUM, "m2", "m2-1")

    def test_without_stickiness_nothing_is_kept(self) -> None:
        """Off is the default: each request is decided anew."""
        ladder = climb(Wish(FAST, held=self.HELD), PROFILE, board())

        assert (ladder.groups[0], ladder.keep, ladder.reasons) == ("f1", None, (Step.CLASSIFIED,))

    def test_a_session_keeps_its_tier(self) -> None:
        """The tier of the last request, and its best group."""
        ladder = climb(Wish(FAST, held=self.HELD, stickiness=Stickiness.TIER), PROFILE, board())

        assert (ladder.groups[0], ladder.keep, ladder.reasons) == ("m1", None, (Step.SESSION,))

    def test_a_session_keeps_its_deployment_while_it_is_well(self) -> None:
        """Its group comes first, its deployment is kept; overloaded, it is let go."""
        wish = Wish(FAST, held=self.HELD, stickiness=Stickiness.DEPLOYMENT)

        kept = climb(wish, PROFILE, board())
        let_go = climb(wish, PROFILE, board(m2=Health.SLOW))

        assert (kept.groups[0], kept.keep) == ("m2", "m2-1")
        assert (let_go.groups[0], let_go.keep) == ("m1", None)

    def test_a_forced_tier_goes_before_the_session(self) -> None:
        """Who forces a tier wants it now."""
        wish = Wish(FAST, why=Step.FORCED_TIER, held=self.HELD, stickiness=Stickiness.DEPLOYMENT)

        assert climb(wish, PROFILE, board()).groups[0] == "f1"

    @pytest.mark.parametrize("stickiness", Stickiness)
    @pytest.mark.parametrize("why", [Step.CLASSIFIED, Step.FORCED_TIER])
    def test_a_tool_loop_never_changes_its_tier(self, stickiness: Stickiness, why: Step) -> None:
        """Not for overload, not for a forced tier, not without stickiness."""
        wish = Wish(FAST, why=why, held=self.HELD, stickiness=stickiness, in_tool_loop=True)

        ladder = climb(wish, PROFILE, board(m1=Health.OK, m2=Health.FAILING))

        assert (ladder.groups, ladder.keep) == (("m2", "m1"), "m2-1")
        assert ladder.reasons[0] is Step.TOOL_LOOP

    def test_a_tool_loop_leaves_a_group_that_is_gone(self) -> None:
        """Within its tier."""
        wish = Wish(FAST, held=self.HELD, in_tool_loop=True)

        assert climb(wish, PROFILE, board(m2=Health.UNAVAILABLE)).groups == ("m1", "m2")


class TestLaws:
    @given(wishes, profiles, boards)
    def test_somewhere_to_go_and_never_twice(
        self, wish: Wish, tiers: dict[Tier, tuple[str, ...]], groups: dict[str, list[DeploymentStatus]]
    ) -> None:
        """A complete profile always gives a ladder of distinct groups, all of them the profile's."""
        ladder = climb(wish, tiers, groups)

        assert ladder.groups
        assert len(set(ladder.groups)) == len(ladder.groups)
        assert set(ladder.groups) <= {name for names in tiers.values() for name in names}
        assert not {name for name, _ in ladder.left_out} & set(ladder.groups)

    @given(wishes, profiles, boards)
    def test_no_group_above_the_cap(
        self, wish: Wish, tiers: dict[Tier, tuple[str, ...]], groups: dict[str, list[DeploymentStatus]]
    ) -> None:
        """Whatever is wished, held or overloaded: only groups that an allowed tier names."""
        allowed = TIERS[: TIERS.index(wish.max_tier) + 1]

        ladder = climb(wish, tiers, groups)

        assert set(ladder.groups) <= {name for tier in allowed for name in tiers[tier]}
        assert ladder.tier in allowed

    @given(wishes, boards)
    def test_who_is_well_comes_first(self, wish: Wish, groups: dict[str, list[DeploymentStatus]]) -> None:
        """Outside of sessions and probes, no group that is not well stands before one that is."""
        plain = replace(wish, held=None, needs=Needs(), chance=1.0)
        best = {
            name: min((entry.health.rank for entry in entries), default=0) for name, entries in groups.items()
        }

        ranks = [best[name] for name in climb(plain, PROFILE, groups).groups]

        assert ranks == sorted(ranks)

    @given(wishes, boards)
    def test_a_tool_loop_stays_in_one_tier(
        self, wish: Wish, groups: dict[str, list[DeploymentStatus]]
    ) -> None:
        """The held tier, or the cap below it, and no other."""
        held = wish.held or Held(MEDIUM, "m1")

        ladder = climb(replace(wish, held=held, in_tool_loop=True), PROFILE, groups)

        assert set(ladder.groups) <= set(PROFILE[min(held.tier, wish.max_tier, key=TIERS.index)])
        assert not ladder.was_fallback

    @given(wishes, profiles, boards)
    def test_it_is_a_function(
        self, wish: Wish, tiers: dict[Tier, tuple[str, ...]], groups: dict[str, list[DeploymentStatus]]
    ) -> None:
        """The same facts give the same ladder."""
        assert climb(wish, tiers, groups) == climb(wish, tiers, groups)


def test_a_profile_without_groups_gives_an_empty_ladder() -> None:
    """The caller then leaves the request to LiteLLM."""
    assert climb(Wish(FAST), {}, {}) == FallbackChain(FAST, FAST, (), (Step.CLASSIFIED, Step.NO_GROUP))
