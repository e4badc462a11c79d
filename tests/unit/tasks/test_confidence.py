"""Confidence: the documented formula, its range, and that it never falls for better evidence."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.tasks import Checked, TokenLogprob, check, confidence, shipped
from neuronode_router.tasks.template import BLIND_CONFIDENCE

SENTIMENT, CLASSIFY = shipped()["sentiment"], shipped()["classify"]
CHAT, ANALYSIS = shipped()["chat"], shipped()["analysis"]
BULLISH, BEARISH = (check(SENTIMENT, label, {"text": "x"}) for label in ("BULLISH", "BEARISH"))
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
        (tokens(("Not bearish but bullish: ", -9.0), ("bullish", math.log(0.8))), 0.8),
    ],
)
def test_a_label_is_as_sure_as_the_tokens_that_spell_it(
    given_tokens: list[TokenLogprob], expected: float
) -> None:
    """Tokens around the label do not count, nor others that spell it where it is not what the answer means."""
    answer = "".join(token.token for token in given_tokens)

    checked = check(SENTIMENT, answer, {"text": "x"})

    assert checked.value == "BULLISH"
    assert confidence(SENTIMENT, checked, tokens=given_tokens) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("categories", "given_tokens"),
    [
        (["Node", "Node.js"], tokens(("It is not Node", -3.0), (".js. ", -3.0), ("Node", math.log(0.9)))),
        (["risk-on", "risk-off"], tokens(("risk", math.log(0.9)), (" on", 0.0))),
        (["STRASSE", "Gasse"], tokens(("Stra", math.log(0.9)), ("\N{LATIN SMALL LETTER SHARP S}e", 0.0))),
        (["A", "B"], tokens(("a complaint", -3.0), (": ", -3.0), ("A", math.log(0.9)), ("!", -3.0))),
    ],
)
def test_a_label_is_looked_for_where_it_was_found(
    categories: list[str], given_tokens: list[TokenLogprob]
) -> None:
    """Within a longer label and within a word it is not what the answer means; it may be spelt in other ways."""
    answer = "".join(token.token for token in given_tokens)
    checked = check(CLASSIFY, answer, {"text": "x", "categories": categories})

    assert checked.value == categories[0]
    assert confidence(CLASSIFY, checked, tokens=given_tokens) == pytest.approx(0.9)


@pytest.mark.parametrize(
    "given_tokens",
    [[], tokens(("something else", -0.1)), tokens(("BULLISH", math.nan)), tokens(("BULL", -0.1))],
)
def test_without_usable_tokens_it_is_a_valid_answer_and_no_more(given_tokens: list[TokenLogprob]) -> None:
    """Some providers give none, or bytes of letters."""
    assert confidence(SENTIMENT, BULLISH, tokens=given_tokens) == BLIND_CONFIDENCE


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
