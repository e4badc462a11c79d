"""Evaluation: what a way is said to do follows from the rows alone, and chance has no edge over itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.classifier import evaluation
from neuronode_router.classifier.evaluation import LoggedRequest, compare, judge, read_log
from neuronode_router.domain.names import TIERS, Tier

RIGHT = {Tier.FAST: 0.0, Tier.MEDIUM: 1.0, Tier.COMPLEX: 1.0}

requests = st.lists(
    st.builds(
        LoggedRequest,
        tier=st.sampled_from(TIERS),
        length=st.integers(0, 1000),
        allowed=st.frozensets(st.sampled_from(TIERS)),
        right=st.none() | st.fixed_dictionaries({tier: st.floats(0, 1) for tier in TIERS}),
    ),
    min_size=1,
    max_size=20,
)


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "DRAWS", 40)


@pytest.mark.parametrize(
    ("tier", "allowed", "step", "hard"),
    [
        (Tier.FAST, {Tier.FAST}, 0, False),
        (Tier.FAST, {Tier.MEDIUM, Tier.COMPLEX}, -1, True),
        (Tier.FAST, {Tier.COMPLEX}, -2, True),
        (Tier.COMPLEX, {Tier.FAST, Tier.MEDIUM}, 1, False),
        (Tier.MEDIUM, {Tier.FAST, Tier.COMPLEX}, 0, False),
    ],
)
def test_a_tier_is_held_against_the_lightest_and_the_heaviest_allowed(
    tier: Tier, allowed: set[Tier], step: int, *, hard: bool
) -> None:
    """Below the lightest is too light, beyond the heaviest too heavy, in tiers."""
    found = judge(tier, allowed)

    assert (found.step, found.hard) == (step, hard)


@given(requests)
def test_every_way_is_judged_on_the_same_rows(given: list[LoggedRequest]) -> None:
    """Shares add up to 1, fixed tiers cost what they cost, and the means lie within their intervals."""
    found = {way.name: way for way in compare(given)}

    for way in found.values():
        assert sum(way.shares.values()) == pytest.approx(1)
        assert way.cost.rows == len(given)
        told = (way.cost, way.too_light, way.too_heavy, way.hard_sent_light, way.right)
        assert all(each is None or each.low <= each.high for each in told)
        assert (way.too_light is None) is not any(request.allowed for request in given)
        assert (way.right is None) is all(request.right is None for request in given)
    assert found["random, shares of auto"].shares == found["auto"].shares
    for tier, cost in evaluation.COSTS.items():
        fixed = found[f"always {tier}"]
        assert (fixed.shares[tier], fixed.cost.value) == (1, cost)
        assert fixed.over_random is None or fixed.over_random.value == pytest.approx(0)


def test_who_sends_only_hard_work_up_beats_chance() -> None:
    """Where half of the rows need the heavy tier and exactly these get it, all is right at half the price."""
    hard = LoggedRequest(Tier.COMPLEX, 10, frozenset({Tier.COMPLEX}), RIGHT)
    easy = LoggedRequest(Tier.FAST, 10, frozenset({Tier.FAST}), dict.fromkeys(TIERS, 1.0))

    auto = compare([hard, easy] * 50)[0]

    assert auto.right is not None
    assert auto.over_random is not None
    assert (auto.cost.value, auto.right.value) == (5.5, 1.0)
    assert auto.over_random.value == pytest.approx(0.25)
    assert auto.over_random.low > 0


@pytest.mark.parametrize("untried", [Tier.FAST, Tier.MEDIUM])
def test_chance_is_dealt_the_shares_of_the_rows_that_were_tried(untried: Tier) -> None:
    """One tier for all tried rows is chance, whatever rows without answers got."""
    tried = LoggedRequest(Tier.COMPLEX, 10, right=RIGHT)

    for way in compare([tried, LoggedRequest(untried, 10, frozenset({untried}))] * 50):
        if way.name.startswith(("auto", "always")):
            assert way.over_random is not None
            assert way.over_random.value == pytest.approx(0)


def test_rows_without_text_are_left_out() -> None:
    """What cannot be classified is no request of `auto`."""
    rows = [{"text": "a"}, {"input": []}]

    found = list(read_log(rows, lambda row: (Tier.FAST, 1) if "text" in row else None))

    assert found == [LoggedRequest(Tier.FAST, 1)]


@pytest.mark.parametrize(
    "marks",
    [
        {"tier": "heavy"},
        {"right": {"fast": 10**400, "medium": 1, "complex": 1}},
        {"ok_tiers": "fast"},
        {"ok_tiers": [1]},
        {"right": 1},
        {"right": {"fast": 1}},
        {"right": {"fast": 2, "medium": 0, "complex": 0}},
        {"right": {"fast": None, "medium": 0, "complex": 0}},
    ],
)
def test_marks_that_are_none_are_refused_by_row(marks: dict[str, object]) -> None:
    """A typo in a mark would be a wrong figure: the row is named."""
    with pytest.raises(ValueError, match="row 2"):
        list(read_log([{}, marks], lambda _: (Tier.FAST, 1)))


def test_nothing_to_compare_is_refused() -> None:
    """No rows make no figures."""
    with pytest.raises(ValueError, match="no requests"):
        compare([])
