"""Labels within answers: one that begins another, one that is denied, and what is said before and after them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.tasks import labels as room
from neuronode_router.tasks.labels import plain


def find(answer: str, labels: list[str]) -> str | None:
    """Return the label alone."""
    found = room.find(answer, labels)
    return None if found is None else found.label


SENTIMENTS = ["BULLISH", "BEARISH", "NEUTRAL"]

_WORDS = st.sampled_from(
    ["node", "JS", "1", "5", "Billing", "refund", "St", "Gallen", "C++", "risk", "Größe"]
)
_BETWEEN = st.sampled_from(
    [" ", ".", ". ", ": ", ":", " - ", " \u2013 ", "; ", " | ", "/", "-", " (", ", ", ") ", "_"]
)
LABELS = st.builds(
    lambda first, rest, last: first + "".join(map("".join, rest)) + last,
    _WORDS,
    st.lists(st.tuples(_BETWEEN, _WORDS), max_size=2),
    st.sampled_from(["", ")", "!", "."]),
)
LEAD_INS = st.sampled_from(
    ["", "**", "- ", "Category: ", "Die Kategorie ist: ", "The answer is ", "**Answer:** "]
)
ENDS = st.sampled_from([". ", ".\n", "\n", ": ", "; ", " - ", " \u2014 ", " (", "**\n", '". ', "**: "])


@given(
    labels=st.lists(LABELS, min_size=2, max_size=6, unique_by=plain),
    lead_in=LEAD_INS,
    end=ENDS,
    said=st.lists(_WORDS | _BETWEEN | st.integers(0, 5), max_size=8),
)
def test_a_label_is_never_taken_for_another(
    labels: list[str], lead_in: str, end: str, said: list[str | int]
) -> None:
    """Whatever the labels and whatever an explanation says of the others: the one that was given, or none."""
    words = (labels[word % len(labels)] if isinstance(word, int) else word for word in said)
    answer = f"{lead_in}{labels[0]}{end}because {' '.join(words)}"

    assert find(answer, labels) in (labels[0], None)


@given(labels=st.lists(LABELS, min_size=2, max_size=6, unique_by=plain), lead_in=LEAD_INS, end=ENDS)
def test_lead_in_and_explanation_do_not_matter(labels: list[str], lead_in: str, end: str) -> None:
    """However a label is made up, and whichever others begin like it."""
    assert find(f"{lead_in}{labels[0]}{end}because it fits.", labels) == labels[0]
    assert find(f"{lead_in}{labels[0].upper()}.", labels) == labels[0]


@pytest.mark.parametrize(
    ("labels", "answer", "label"),
    [
        (["1", "2"], "Answer: 1.5", None),
        (["10", "30"], "Answer: 10:30", None),
        (["12", "50"], "12,50 EUR", None),
        (["Billing", "Billing: refund"], "Category: Billing - refund", None),
        (["Billing", "Billing: refund"], "The category is Billing (refund)", None),
        (["high", "low"], "high. Risk is growing", "high"),
        (["St", "St. Gallen"], "Category: St.\nGallen is far", None),
        (["Node", "Node.js"], "Node. Node.js is another thing.", "Node"),
        (SENTIMENTS, "It is bullish. Bearish.", None),
        (SENTIMENTS, "Options: bullish, bearish, neutral.\nAnswer: bearish", "BEARISH"),
        ([], "BULLISH", None),
    ],
)
def test_where_two_readings_differ_there_is_none(labels: list[str], answer: str, label: str | None) -> None:
    """Numbers within numbers, labels spelt otherwise, and labels that are taken back."""
    assert find(answer, labels) == label


@pytest.mark.parametrize(
    "answer",
    [
        "I don't think this is bullish",
        "I don\N{RIGHT SINGLE QUOTATION MARK}t think this is bullish",
        "I can't call this bullish",
        "I cant call this bullish",
        "This wasn't bullish at all",
        "It won't stay bullish",
        "This cannot be bullish",
        "hardly bullish",
        "anything but bullish",
        "non-bullish",
        "without a bullish sign",
        "the opposite of bullish",
        "Not: BULLISH",
        "Das ist niemals bullish",
        "Das ist keineswegs bullish",
        "kaum bullish",
        "ohne bullish zu sein",
        "Nein, bullish ist das nie",
        "Das Gegenteil von bullish",
    ],
)
def test_a_label_that_is_denied_is_no_answer(answer: str) -> None:
    """In both languages, with and without apostrophes."""
    assert find(answer, SENTIMENTS) is None


@pytest.mark.parametrize(
    ("labels", "answer", "label"),
    [
        (["can't say", "sure"], "The answer is can't say", "can't say"),
        (["never", "always"], "It is never", "never"),
        (["No", "Yes"], "Nein heißt: No", "No"),
        (SENTIMENTS, "I want to say bullish", "BULLISH"),
        (SENTIMENTS, "Weder bullish noch bearish: NEUTRAL", "NEUTRAL"),
    ],
)
def test_a_label_may_be_a_negation(labels: list[str], answer: str, label: str) -> None:
    """What a label holds denies nothing."""
    assert find(answer, labels) == label


LETTERS = ["A", "B", "C"]


@pytest.mark.parametrize(
    ("labels", "answer", "label"),
    [
        (LETTERS, "a complaint", None),
        (LETTERS, "This is a complaint", None),
        (LETTERS, "A customer complains", None),
        (["in", "out"], "It stands in the text", None),
        (["Ab", "Zu"], "Das hängt ab von ihm", None),
        (LETTERS, "It is a complaint. B", "B"),
        (LETTERS, "It is a complaint, so the answer is B.", "B"),
        (LETTERS, "A customer complains: C", "C"),
        (LETTERS, "The answer is a", "A"),
        (LETTERS, "I think it is a, because it is a complaint", "A"),
        (LETTERS, "**B** because it fits", "B"),
        (LETTERS, "(B) fits", "B"),
        (LETTERS, "B - it fits", "B"),
        (["Ja", "Nein"], "Ja, der Kunde beschwert sich", "Ja"),
        (["C", "C++", "C#"], "It is C++ code", "C++"),
        (["1", "2"], "I give it 2 points", "2"),
    ],
)
def test_a_letter_or_two_are_a_label_only_before_a_pause(
    labels: list[str], answer: str, label: str | None
) -> None:
    """In the middle of a sentence they are words; numbers and signs are none."""
    assert find(answer, labels) == label
