"""Tiers: what several doubtful tasks agree on, the plan's signs, and the price of errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.classifier import DEFAULT_TIER, Task, tiers
from neuronode_router.classifier.classification import LABELS, cheapest
from neuronode_router.domain.names import TIERS, Tier

shares = st.lists(st.floats(0, 1), min_size=len(LABELS), max_size=len(LABELS))
chances = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)).filter(lambda found: sum(found) > 0.01)
prices = st.floats(0.1, 10)


def test_doubtful_tasks_of_one_tier_outweigh_a_doubtful_task_of_another() -> None:
    """Three fast tasks at a fifth each say "fast" more clearly than one medium task at a third says "medium"."""
    doubtful = {"rag_query": 0.35, "sentiment": 0.22, "classification": 0.22, "extraction": 0.21}

    medium, heavy, other = tiers.masses([doubtful.get(label, 0.0) for label in LABELS])

    assert 1 - medium - heavy - other > medium


@given(shares)
def test_every_share_speaks_for_one_tier_or_for_none(given_shares: list[float]) -> None:
    """The tasks of the plan speak for the plan's tier, the kinds of `other` for none; nothing is counted twice."""
    medium, heavy, other = tiers.masses(given_shares)

    named = zip(LABELS, given_shares, strict=True)
    fast = sum(share for label, share in named if tiers.TIER_OF_LABEL.get(label) is Tier.FAST)
    assert fast + medium + heavy + other == pytest.approx(sum(given_shares))


@pytest.mark.parametrize("task", [task for task in Task if task is not Task.OTHER])
def test_the_plans_tasks_have_the_plans_tiers(task: Task) -> None:
    """Before the work asked for is looked at, a task of the plan has the plan's tier, and `other` has none."""
    assert tiers.TIER_OF_LABEL[task.value] == DEFAULT_TIER[task]
    assert "code" not in tiers.TIER_OF_LABEL


@pytest.mark.parametrize(
    ("base", "harder", "easier", "tier"),
    [
        (Tier.FAST, ("risks",), (), Tier.MEDIUM),
        (Tier.COMPLEX, ("risks", "compare"), (), Tier.COMPLEX),
        (Tier.MEDIUM, (), ("briefly",), Tier.FAST),
        (Tier.FAST, (), ("briefly",), Tier.FAST),
        (Tier.MEDIUM, ("risks",), ("briefly",), Tier.MEDIUM),
    ],
)
def test_signs_move_a_tier_by_one_at_most(
    base: Tier, harder: tuple[str, ...], easier: tuple[str, ...], tier: Tier
) -> None:
    """Several signs of one kind are one step, and the ladder has ends."""
    assert tiers.choose(base, harder=harder, easier=easier) == tier


@pytest.mark.parametrize(
    ("found", "too_cheap", "tier"),
    [
        ((1.0, 0.0, 0.0), 1.0, Tier.FAST),
        ((0.6, 0.4, 0.0), 1.0, Tier.FAST),
        ((0.6, 0.4, 0.0), 2.0, Tier.MEDIUM),
        ((0.4, 0.2, 0.4), 1.0, Tier.MEDIUM),
        ((0.1, 0.5, 0.4), 2.0, Tier.COMPLEX),
        ((0.0, 0.3, 0.7), 0.1, Tier.MEDIUM),
    ],
)
def test_the_tier_is_the_one_whose_expected_error_costs_least(
    found: tuple[float, float, float], too_cheap: float, tier: Tier
) -> None:
    """Doubt between two ends goes to the middle, and the dearer a light answer that fails, the higher it goes."""
    assert cheapest(found, too_cheap=too_cheap, too_dear=1.0) == tier


@given(chances, prices, prices)
def test_a_higher_price_of_cheap_errors_never_lowers_the_tier(
    found: tuple[float, float, float], low: float, high: float
) -> None:
    """`too_cheap` moves requests up, `too_dear` down, never the other way round."""
    low, high = sorted((low, high))

    assert TIERS.index(cheapest(found, too_cheap=low)) <= TIERS.index(cheapest(found, too_cheap=high))
    assert TIERS.index(cheapest(found, too_dear=low)) >= TIERS.index(cheapest(found, too_dear=high))


@given(chances, prices, st.sampled_from((0.5, 2.0, 4.0)))
def test_only_the_ratio_of_the_prices_counts(
    found: tuple[float, float, float], too_cheap: float, factor: float
) -> None:
    """Both prices twice as high choose the same."""
    assert cheapest(found, too_cheap=too_cheap, too_dear=1.0) == cheapest(
        found, too_cheap=too_cheap * factor, too_dear=factor
    )
