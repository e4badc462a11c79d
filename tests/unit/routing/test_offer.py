"""What a name can do now is the least that all guarantee who may answer it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.names import Tier
from neuronode_router.domain.rules import OnOverload
from neuronode_router.routing.inventory import TEXT, Ability, Deployment
from neuronode_router.routing.offer import Guarantee, offer_of, reachable

LADDER = {Tier.FAST: ("small",), Tier.MEDIUM: ("middle", "small"), Tier.COMPLEX: ("large",)}


def deployment(name: str = "d", **known: Any) -> Deployment:
    return Deployment(id=name, group="g", **known)


def test_the_smaller_of_what_is_known_counts() -> None:
    """Windows, answers, what is read and what can be done; prices from the lowest to the highest."""
    wide = deployment(
        "wide",
        context_window=100_000,
        max_tokens=8_000,
        modalities=TEXT | {"image", "pdf"},
        able=frozenset({Ability.TOOLS, Ability.SCHEMA}),
    )
    narrow = deployment(
        "narrow",
        context_window=4_000,
        modalities=TEXT | {"image"},
        able=frozenset({Ability.TOOLS}),
        cannot=frozenset({Ability.SCHEMA}),
    )

    found = offer_of([wide, narrow], {"wide": (3e-6, 9e-6), "narrow": (1e-6, 2e-6)})

    assert found == Guarantee(
        context_window=4_000,
        max_output=4_000,
        modalities=("text", "image"),
        abilities={Ability.TOOLS: True, Ability.SCHEMA: False, Ability.REASONING: None},
        prompt_usd=(1e-6, 3e-6),
        answer_usd=(2e-6, 9e-6),
    )


def test_what_nobody_said_is_no_promise() -> None:
    """Nor is a price that one of them has not, or the window of one that is not there."""
    gone = deployment("gone", context_window=1_000, available=False)

    found = offer_of([deployment("a"), deployment("b", max_tokens=500), gone], {"a": (1e-6, 1e-6)})

    assert (found.context_window, found.max_output, found.prompt_usd) == (None, 500, None)
    assert offer_of([gone], {}).context_window == 1_000
    assert offer_of([], {}) == Guarantee()


@given(st.lists(st.integers(1, 10**6) | st.none(), min_size=1), st.integers(1, 10**6))
def test_one_more_deployment_never_widens_an_offer(windows: list[int | None], more: int) -> None:
    """A client that sizes its prompts by it fits wherever it is sent."""
    before = [deployment(str(n), context_window=window) for n, window in enumerate(windows)]
    after = offer_of([*before, deployment("more", context_window=more)], {}).context_window

    assert after is not None
    assert after <= min(more, offer_of(before, {}).context_window or more)


@pytest.mark.parametrize(
    ("tier", "policy", "max_tier", "groups"),
    [
        (None, OnOverload.DOWN, Tier.COMPLEX, ("small", "middle", "large")),
        (None, OnOverload.DOWN, Tier.FAST, ("small",)),
        (Tier.COMPLEX, OnOverload.STAY, Tier.COMPLEX, ("large",)),
        (Tier.COMPLEX, OnOverload.STAY, Tier.MEDIUM, ("middle", "small")),
        (Tier.FAST, OnOverload.UP, Tier.MEDIUM, ("small", "middle")),
    ],
)
def test_auto_may_be_answered_by_its_whole_ladder(
    tier: Tier | None, policy: OnOverload, max_tier: Tier, groups: tuple[str, ...]
) -> None:
    """As far as cap, forced tier and what overload does allow."""
    assert tuple(reachable(LADDER, tier=tier, policy=policy, max_tier=max_tier)) == groups
