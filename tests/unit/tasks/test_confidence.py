"""Confidence: the documented formula, its range, and that it never falls for better evidence."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.tasks import Checked, TokenLogprob, confidence, shipped
from neuronode_router.tasks.template import BLIND_CONFIDENCE

SENTIMENT, CHAT, ANALYSIS = shipped()["sentiment"], shipped()["chat"], shipped()["analysis"]
BULLISH, BEARISH = Checked("BULLISH", valid=True), Checked("BEARISH", valid=True)
NOTHING = Checked(None, valid=False, problem="no_label")

logprobs = st.floats(max_value=0, allow_nan=False)
answers = st.lists(st.sampled_from([BULLISH, BEARISH, NOTHING]), max_size=6)


def tokens(*pairs: tuple[str, float]) -> list[TokenLogprob]:
    """Tokens as a provider gives them."""
    return [TokenLogprob(token, logprob) for token, logprob in pairs]


@pytest.mark.parametrize(
    ("given_tokens", "expected"),
    [
        (tokens(("BULLISH", math.log(0.9))), 0.9),
        (tokens(("BULL", math.log(0.5)), ("ISH", math.log(0.5))), 0.25),
        (tokens(("Answer: ", -9.0), (" bullish", math.log(0.8)), (".", -9.0)), 0.8),
        (tokens(("BULLISH", math.log(0.9)), (" as bullish", -9.0)), 0.9),
        (tokens(("<think>bullish?</think>", -9.0), ("BULLISH", math.log(0.7))), 0.7),
        (tokens(("superbullish ", -9.0), ("BULLISH", math.log(0.7))), 0.7),
        (tokens(("BULLISH", -math.inf)), 0.0),
        (tokens(("BULL", 0.5), ("ISH", math.log(0.5))), 0.5),
        (tokens(("BULLISH", math.nan)), BLIND_CONFIDENCE),
        (tokens(("something else", -0.1)), BLIND_CONFIDENCE),
        ([], BLIND_CONFIDENCE),
    ],
)
def test_a_label_is_as_sure_as_the_tokens_that_spell_it(
    given_tokens: list[TokenLogprob], expected: float
) -> None:
    """Tokens around the label do not count; without usable ones it is a valid answer and no more."""
    assert confidence(SENTIMENT, BULLISH, tokens=given_tokens) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("earlier", "expected"),
    [([], 2 / 3), ([BULLISH], 3 / 4), ([BEARISH], 2 / 4), ([NOTHING], 2 / 3), ([BULLISH, BEARISH], 3 / 5)],
)
def test_without_logprobs_agreement_counts(earlier: list[Checked], expected: float) -> None:
    """Laplace's rule over the valid answers to the request."""
    assert confidence(SENTIMENT, BULLISH, earlier=earlier) == pytest.approx(expected)


def test_json_and_free_text_are_worth_their_validity() -> None:
    """Logprobs of a whole text say nothing about its truth."""
    unlikely = tokens(("hello", -50.0))

    assert confidence(CHAT, Checked("hello", valid=True), tokens=unlikely) == BLIND_CONFIDENCE
    assert confidence(ANALYSIS, Checked({}, valid=True), tokens=unlikely) == BLIND_CONFIDENCE
    assert confidence(CHAT, NOTHING) == 0


@given(
    st.lists(st.tuples(st.sampled_from(["BULL", "ISH", "bullish", " ", "x"]), st.floats()), max_size=8),
    answers,
)
def test_confidence_is_always_between_zero_and_one(
    pairs: list[tuple[str, float]], earlier: list[Checked]
) -> None:
    """Infinite, positive and missing logprobs included."""
    for checked in (BULLISH, NOTHING):
        assert 0 <= confidence(SENTIMENT, checked, tokens=tokens(*pairs), earlier=earlier) <= 1


@given(st.lists(logprobs, min_size=2, max_size=2), st.integers(0, 1), logprobs)
def test_a_likelier_token_never_lowers_it(values: list[float], place: int, other: float) -> None:
    """Monotone in every logprob."""
    raised = list(values)
    raised[place] = max(values[place], other)

    low, high = (
        confidence(SENTIMENT, BULLISH, tokens=tokens(("BULL", a), ("ISH", b))) for a, b in (values, raised)
    )

    assert low <= high


@given(answers, st.data())
def test_an_answer_that_turns_to_agree_never_lowers_it(earlier: list[Checked], data: st.DataObject) -> None:
    """Monotone in agreement."""
    turned = [BULLISH if data.draw(st.booleans()) else answer for answer in earlier]

    low, high = (confidence(SENTIMENT, BULLISH, earlier=others) for others in (earlier, turned))

    assert low <= high
