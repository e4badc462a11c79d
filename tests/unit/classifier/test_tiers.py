"""Tiers: the task's default, what several doubtful tasks agree on, and the plan's signs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.classifier import DEFAULT_TIER, Task, tiers
from neuronode_router.classifier.classification import LABELS
from neuronode_router.domain import Tier

shares = st.fixed_dictionaries({label: st.floats(0, 1) for label in LABELS})


def test_doubtful_tasks_of_one_tier_outweigh_a_doubtful_task_of_another() -> None:
    """Three fast tasks at a fifth each say "fast" more clearly than one medium task at a third says "medium"."""
    doubtful = {"rag_query": 0.35, "sentiment": 0.22, "classification": 0.22, "extraction": 0.21}

    assert tiers.likeliest(doubtful, difficulty=0.5) == Tier.FAST


@given(shares, st.floats(0, 1))
def test_the_likeliest_tier_is_one_that_something_speaks_for(
    given_shares: dict[str, float], hard: float
) -> None:
    """A task with more than half of the shares settles the tier, whatever the rest says."""
    total = sum(given_shares.values())
    certain = {label: share for label, share in given_shares.items() if share > total / 2}

    for label in certain:
        task = Task(label) if label in set(Task) else Task.OTHER
        assert tiers.likeliest(given_shares, hard) == tiers.default(task, hard)


@pytest.mark.parametrize("task", [task for task in Task if task is not Task.OTHER])
def test_difficulty_moves_only_what_the_plan_leaves_out(task: Task) -> None:
    """A task of the plan has the plan's tier however hard its text looks."""
    assert tiers.default(task, 0.0) == tiers.default(task, 1.0) == DEFAULT_TIER[task]
    assert (tiers.default(Task.OTHER, 0.0), tiers.default(Task.OTHER, 1.0)) == (Tier.FAST, Tier.COMPLEX)


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
