"""Whether two answers say the same, by tables in German and English; and that nothing they say raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.tasks.agreement import ComparedBy, Said, agreement, refuses

SHORT: list[tuple[str, str, bool]] = [
    ("positiv", "Positiv.", True),
    ("positive", "  **Positive**\n", True),
    ("Rechnung", "Die Kategorie ist: Rechnung", True),
    ("Die Kategorie ist: Rechnung", "rechnung", True),
    ("positive", "Label: positive", True),
    ("Positive", "Positive. The review praises the battery.", True),
    ("Positiv", "Positiv - das Lob überwiegt", True),
    ("Größe", "GRÖSSE", True),
    ("ja", "Ja, das stimmt", False),
    ("positiv", "nicht positiv", False),
    ("risk", "high risk", False),
    ("Rechnung", "Mahnung", False),
    ("Rechnung", "Das ist keine Rechnung.", False),
    ("not spam", "spam", False),
    ("C", "C++", False),
    ("Node", "Node.js", False),
    ("50", "12.50", False),
    ("12,50", "12,50", True),
    ("yes", "yes " * 120, False),
    ("😀", "😀", True),
]
"""What the client was given, what the other profile says, and whether that is the same."""

FIELDS: list[tuple[Any, Any, bool | None]] = [
    ({"city": "Berlin"}, {"city": "berlin"}, True),
    ({"city": "Berlin"}, {"city": "Bonn"}, False),
    ({"n": 1}, {"n": 1.0}, True),
    ({"n": 1}, {"n": True}, False),
    ({"n": None}, {"n": None}, True),
    ({"a": 1}, {"a": 1, "b": 2}, False),
    ({"tags": ["Rot", "Grün"]}, {"tags": ["rot", "grün"]}, True),
    ({"tags": ["rot", "grün"]}, {"tags": ["grün", "rot"]}, False),
    ({"label": "spam", "why": "x" * 80}, {"label": "Spam", "why": "y" * 90}, True),
    ({"why": "x" * 80}, {"why": "y" * 80}, None),
    ({"sign": "+"}, {"sign": "-"}, False),
    ({}, {}, None),
]


@pytest.mark.parametrize(("one", "other", "same"), SHORT)
def test_short_answers(one: str, other: str, same: bool) -> None:
    """Case, punctuation and a sentence around them do not count; negations and longer labels do."""
    if not any(map(str.isalnum, one)):
        assert agreement(Said(one), Said(other)) is None
        return
    assert agreement(Said(one), Said(other)) == (ComparedBy.SHORT, same)


@pytest.mark.parametrize(("one", "other", "same"), FIELDS)
def test_fields_of_json(one: Any, other: Any, same: bool | None) -> None:
    """Short values must be equal, free texts need not be; a fence or words around the JSON do not count."""
    fenced = f"Gern:\n```json\n{json.dumps(other)}\n```"

    found = agreement(Said(json.dumps(one)), Said(fenced))

    assert found == (None if same is None else (ComparedBy.FIELDS, same))


def test_json_against_words_differs() -> None:
    """Who was given JSON would miss it."""
    assert agreement(Said('{"city": "Berlin"}'), Said("Berlin")) == (ComparedBy.FIELDS, False)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([("find", '{"q": "x", "n": 2}')], [("find", '{"n": 2,"q":"x"}')], True),
        ([("find", '{"q": "x"}')], [("find", '{"q": "y"}')], False),
        ([("find", "{}")], [("look", "{}")], False),
        ([("find", "{}")], [], False),
        ([], [("find", "{}")], False),
        ([("find", "{broken")], [("find", "{broken")], True),
    ],
)
def test_calls_of_tools(one: list[tuple[str, str]], other: list[tuple[str, str]], same: bool) -> None:
    """The same tools with the same arguments, however those are written."""
    assert agreement(Said("Moment.", one), Said("", other)) == (ComparedBy.CALLS, same)


def test_free_texts_are_for_readers() -> None:
    """So is what a limit has cut off."""
    assert agreement(Said("A long answer. " * 9), Said("Another one.")) is None
    assert agreement(Said("yes"), Said("yes", ended=False)) is None
    assert agreement(Said(""), Said("yes")) is None


@pytest.mark.parametrize(
    ("text", "declined"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I\N{RIGHT SINGLE QUOTATION MARK}m sorry, I cannot assist with this request.", True),
        ("I am unable to provide that information.", True),
        ("Sorry, I won't do that.", True),
        ("Es tut mir leid, aber ich kann dir dabei nicht helfen.", True),
        ("Leider kann ich diese Anfrage nicht beantworten.", True),
        ("Entschuldigung, dazu darf ich keine Auskunft geben.", True),
        ("Dabei kann ich Ihnen leider nicht weiterhelfen.", True),
        ("Das kann ich nicht tun.", True),
        ("I'm sorry to hear that your parcel is late. Here is what you can do.", False),
        ("Der Kunde schreibt: Das Gerät kann nicht geladen werden.", False),
        ("You can't divide by zero.", False),
        ("Leider ist der Zug verspätet.", False),
        ("Yes, I can help with that.", False),
        ("", False),
    ],
)
def test_refusals(text: str, declined: bool) -> None:
    """In both languages, in the first sentences; a word of regret alone is none."""
    assert refuses(Said(text)) is declined


def test_providers_say_that_they_refuse() -> None:
    """Whatever the text is; who calls a tool does not refuse."""
    assert refuses(Said("", refused=True))
    assert not refuses(Said("I'm sorry, I can't help with that.", [("find", "{}")]))


_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)
_TEXTS = st.text(max_size=80) | _JSON.map(json.dumps)


@given(one=_TEXTS, other=_TEXTS)
def test_an_answer_agrees_with_itself(one: str, other: str) -> None:
    """Nothing raises, and what is compared at all is the same as itself."""
    assert agreement(Said(one), Said(one)) in (None, *((basis, True) for basis in ComparedBy))
    agreement(Said(one), Said(other))
    refuses(Said(other))


def test_a_refusal_is_looked_for_in_linear_time() -> None:
    """No text makes the expression try again and again: only its beginning is looked at."""
    assert not refuses(Said("leider " * 100_000))
    assert not refuses(Said("i am sorry, i " * 100_000))
