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
    RETRIED_SHARE,
    TRIED_SHARE,
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


@given(counts)
def test_outcomes_move_a_tier_the_way_they_surprise(found: OutcomeCounts) -> None:
    """All good never lowers it, however few they are, and all bad never raises it."""
    shift = Sufficiency({(KIND, Tier.FAST): found}).shift(KIND, Tier.FAST)

    assert shift * (found.good - found.expected) >= -1e-6


@pytest.mark.parametrize(
    ("given_chance", "good", "most"), [(0.99, 10, 0.1), (0.99, 300, 0.9), (0.6, 10, 1.0), (0.6, 300, 4.0)]
)
def test_what_was_expected_to_be_good_promises_little(given_chance: float, good: int, most: float) -> None:
    """Log odds near 1 are steep: ten of ten where 9.9 were expected say next to nothing."""
    assert 0 < seen(good, 0, given_chance).shift(KIND, Tier.FAST) < most


@pytest.mark.parametrize("total", [3, 8, 20, 100, 300])
def test_usual_forms_lower_nothing(total: int) -> None:
    """Where 98 % are right, as is usual, chance alone gives fewer now and then: that is no reason for a dearer tier."""
    draw = random.Random(1)
    samples = [sum(draw.random() < 0.98 for _ in range(total)) for _ in range(500)]

    hints = [
        Sufficiency({}, {(KIND, Tier.FAST): OutcomeCounts(good, total - good, 0.98 * total)})
        for good in samples
    ]

    shifts = [known.shift(KIND, Tier.FAST) for known in hints]
    assert max(shifts) == 0
    assert sum(shifts) / len(shifts) > -0.05


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
    """`MOST` of them where they agree with one another."""
    before, after = OutcomeCounts(4000, 1000, 4000), OutcomeCounts(MOST - 180, 80, MOST - 140)

    found = newest([after, before])

    assert (found.total, found.bad) == pytest.approx((MOST, 80 + 20))
    assert newest([OutcomeCounts(), OutcomeCounts(1, 1, 1)]) == OutcomeCounts(1, 1, 1)
    assert newest([]) == OutcomeCounts()


@pytest.mark.parametrize("better", [True, False])
def test_what_a_model_did_before_it_changed_is_forgotten(better: bool) -> None:
    """For the better or the worse: a dozen newer outcomes that cannot be chance outweigh hundreds. Few can be."""

    def outcomes(count: int, *, good: bool) -> OutcomeCounts:
        return OutcomeCounts(count * good, count * (not good), 0.7 * count)

    old = [outcomes(50, good=not better)] * 6

    assert newest([outcomes(12, good=better), *old]) == outcomes(12, good=better)
    assert newest([outcomes(2, good=better), *old]).total == pytest.approx(MOST)
    there_and_back = [
        outcomes(12, good=better),
        outcomes(40, good=not better),
        *[outcomes(50, good=better)] * 6,
    ]
    assert newest(there_and_back) == outcomes(12, good=better)


def test_chance_alone_is_hardly_ever_taken_for_a_change() -> None:
    """Outcomes of one model, hour by hour, at different chances by their text."""
    draw, forgot = random.Random(1), 0
    for _ in range(300):
        spans = []
        for _ in range(60):
            chance = draw.choice([0.6, 0.7, 0.8, 0.9])
            good = sum(draw.random() < chance for _ in range(5))
            spans.append(OutcomeCounts(good, 5 - good, 5 * chance))
        forgot += newest(spans).total < MOST - 1

    assert forgot <= 3


def test_a_tier_is_worth_a_try_until_enough_was_seen() -> None:
    """Of the kind itself: what other kinds show is a guess. Hints say so little that it takes many of them."""
    known = seen(FEW, 0, 0.7)

    assert not known.is_open(KIND, Tier.FAST)
    assert known.is_open(KIND, Tier.MEDIUM)
    assert known.is_open(OTHER, Tier.FAST)
    assert Sufficiency({}, {(KIND, Tier.FAST): OutcomeCounts(MOST - 1, 0, 0)}).is_open(KIND, Tier.FAST)
    assert not Sufficiency({}, {(KIND, Tier.FAST): OutcomeCounts(MOST, 0, 0)}).is_open(KIND, Tier.FAST)
    assert [lighter(tier) for tier in TIERS] == [None, Tier.FAST, Tier.MEDIUM]


def test_what_outcomes_alone_keep_off_a_tier_is_tried_on() -> None:
    """A few of them for ever: nobody would learn that it is better again. What its text keeps off it is not."""
    known = seen(FEW, 0, 0.7)
    shares = [known.tried_share(KIND, Tier.FAST, by_text=tier) for tier in TIERS]

    assert shares == [RETRIED_SHARE, 0.0, 0.0]
    assert known.tried_share(KIND, Tier.MEDIUM, by_text=Tier.COMPLEX) == TRIED_SHARE
    parts = [OutcomeCounts(29, 12, 41), OutcomeCounts(11, 24, 35), OutcomeCounts(200, 100, 300)]
    hints = Sufficiency({}, {(KIND, Tier.FAST): newest(parts * 20)})
    assert hints.is_open(KIND, Tier.FAST) is (hints.counts()[KIND, Tier.FAST].total < MOST - 1)
