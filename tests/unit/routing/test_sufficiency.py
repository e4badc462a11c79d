"""What outcomes teach about tiers: how far, how fast, and what they never do."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.names import TIERS, Tier
from neuronode_router.routing.sufficiency import (
    FEW,
    MOST,
    NOTHING_SEEN,
    OutcomeCounts,
    RequestKind,
    Sufficiency,
    lighter,
    newest,
    suffices,
)

KIND, OTHER = RequestKind("balanced", "summary"), RequestKind("balanced", "extraction")
CHANCES = (0.7, 0.2, 0.1)

counts = st.builds(
    lambda good, bad, share: OutcomeCounts(good, bad, share * (good + bad)),
    st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0, 1),
)  # fmt: skip


def seen(good: float, bad: float, expected: float, tier: Tier = Tier.FAST) -> Sufficiency:
    """Return what is known after outcomes of one kind at one tier; `expected` is a chance."""
    return Sufficiency({(KIND, tier): OutcomeCounts(good, bad, expected * (good + bad))})


def test_without_outcomes_the_text_alone_decides() -> None:
    """Exactly."""
    assert NOTHING_SEEN.adjusted(KIND, CHANCES) == pytest.approx(CHANCES)


@given(st.dictionaries(st.tuples(st.sampled_from([KIND, OTHER]), st.sampled_from(TIERS)), counts))
def test_chances_stay_chances(found: dict[tuple[RequestKind, Tier], OutcomeCounts]) -> None:
    """Whatever was counted: none is negative, they add up to 1, and a heavier tier suffices at least as often."""
    adjusted = Sufficiency(found).adjusted(KIND, CHANCES)

    assert sum(adjusted) == pytest.approx(1.0)
    assert all(0.0 <= chance <= 1.0 for chance in adjusted)
    assert [suffices(adjusted, tier) for tier in TIERS] == sorted(suffices(adjusted, tier) for tier in TIERS)


def test_a_tier_that_fails_where_the_text_trusts_it_is_trusted_less() -> None:
    """And one that does what the text promised is trusted as before."""
    failing, keeping = seen(20, 80, 0.7), seen(70, 30, 0.7)

    assert failing.adjusted(KIND, CHANCES)[0] < 0.3
    assert keeping.adjusted(KIND, CHANCES)[0] == pytest.approx(0.7, abs=0.01)


def test_few_outcomes_move_little() -> None:
    """Two failures are no reason to pay ten times as much."""
    assert seen(0, 2, 0.7).adjusted(KIND, CHANCES)[0] > 0.5
    assert seen(0, 200, 0.7).adjusted(KIND, CHANCES)[0] < 0.05


def test_a_kind_without_outcomes_follows_what_its_tier_shows() -> None:
    """A model that is weak at everything so far is expected to be weak here; other profiles are not concerned."""
    known = seen(20, 80, 0.7)

    assert known.adjusted(OTHER, CHANCES)[0] < 0.5
    assert known.adjusted(RequestKind("premium", "summary"), CHANCES) == pytest.approx(CHANCES)


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_the_true_chance_is_found(given_chance: float, true_chance: float) -> None:
    """With enough outcomes the adjusted chance is the share of good ones, whatever the text says."""
    known = seen(true_chance * MOST, (1 - true_chance) * MOST, given_chance)

    adjusted = known.adjusted(KIND, (given_chance, 1 - given_chance, 0.0))

    assert adjusted[0] == pytest.approx(true_chance, abs=0.08)


@given(counts, st.floats(0.05, 0.95))
def test_hints_never_raise_a_tier(hints: OutcomeCounts, chance: float) -> None:
    """However many, and whatever was expected of them; with verdicts beside them, too."""
    verdicts = {(KIND, Tier.FAST): OutcomeCounts(30, 10, 30)}
    chances = (chance, 1 - chance, 0.0)

    for beside in ({}, verdicts):
        without, with_hints = Sufficiency(beside), Sufficiency(beside, {(KIND, Tier.FAST): hints})
        assert with_hints.adjusted(KIND, chances)[0] <= without.adjusted(KIND, chances)[0] + 1e-9
        assert with_hints.adjusted(OTHER, chances) == without.adjusted(OTHER, chances)


def test_hints_lower_a_tier_whose_answers_fail_them() -> None:
    """One in five of a wrong form, where one in fifty is usual."""
    known = Sufficiency({}, {(KIND, Tier.FAST): OutcomeCounts(80, 20, 98)})

    assert known.adjusted(KIND, CHANCES)[0] < 0.3


def test_which_requests_were_sent_does_not_matter() -> None:
    """Easy ones go to the light tier more often: its good record among them says nothing about hard ones."""
    draw = random.Random(1)
    easy = [draw.uniform(0.8, 0.95) for _ in range(300)]
    good = sum(draw.random() < chance for chance in easy)

    known = Sufficiency({(KIND, Tier.FAST): OutcomeCounts(good, len(easy) - good, sum(easy))})

    assert known.adjusted(KIND, (0.3, 0.4, 0.3))[0] == pytest.approx(0.3, abs=0.07)


def test_the_newest_outcomes_count() -> None:
    """What a model did before it changed is forgotten after `MOST` newer outcomes."""
    before, after = OutcomeCounts(5000, 0, 4000), OutcomeCounts(0, MOST - 100, 200)

    found = newest([after, before])

    assert (found.total, found.bad, found.good) == pytest.approx((MOST, MOST - 100, 100))
    assert newest([OutcomeCounts(), OutcomeCounts(1, 1, 1)]) == OutcomeCounts(1, 1, 1)


def test_a_tier_is_worth_a_try_until_enough_was_seen() -> None:
    """Of the kind itself: what other kinds show is a guess. Hints say so little that it takes many of them."""
    known = seen(FEW, 0, 0.7)

    assert not known.is_open(KIND, Tier.FAST)
    assert known.is_open(KIND, Tier.MEDIUM)
    assert known.is_open(OTHER, Tier.FAST)
    assert Sufficiency({}, {(KIND, Tier.FAST): OutcomeCounts(MOST - 1, 0, 0)}).is_open(KIND, Tier.FAST)
    assert not Sufficiency({}, {(KIND, Tier.FAST): OutcomeCounts(MOST, 0, 0)}).is_open(KIND, Tier.FAST)
    assert [lighter(tier) for tier in TIERS] == [None, Tier.FAST, Tier.MEDIUM]
