"""A revised text says what was asked, and every byte that need not change is as it was."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.profiles.splice import NotUnderstood, dump, revise
from neuronode_router.yaml11 import read

TEXT = """\
# top
router_settings:   # odd spacing stays
    num_retries: 2
    model_group_alias:
        # ours
        "classification":  "classification_premium"   # said aloud
        'extraction': 'extraction_premium'
        gone: x   # goes with its line
        own: {model: x, hidden: true}

    # belongs to the fallbacks
    fallbacks:
    - a: [b]
    - c:
        - d
        - e   # last

profile_settings:
    current_profile: >-
      premium

    empty:
# the end, without a line end"""

LEAVES = st.one_of(st.text(max_size=8), st.booleans(), st.integers(), st.none())
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text(min_size=1, max_size=5), TREES, min_size=1, max_size=4)


def edited(**aliases: str) -> dict[str, Any]:
    """Return TEXT's data with some aliases changed."""
    wanted: dict[str, Any] = copy.deepcopy(read(TEXT))
    wanted["router_settings"]["model_group_alias"] |= aliases
    return wanted


@given(DOCUMENTS)
def test_dump_reads_back_equal(document: dict[str, Any]) -> None:
    """A new text reads as the document it was made of."""
    assert read(dump(document)) == document


@given(DOCUMENTS, DOCUMENTS)
def test_revise_says_what_is_wanted(before: dict[str, Any], wanted: dict[str, Any]) -> None:
    """From any of our own texts to any document: the result reads as wanted, or it is refused, never wrong."""
    try:
        revised = revise(dump(before), wanted)
    except NotUnderstood:
        return

    assert read(revised) == wanted


@given(DOCUMENTS)
def test_nothing_changes_when_nothing_is_wanted(document: dict[str, Any]) -> None:
    """Revising to what a text already says returns the very same text."""
    text = dump(document)

    assert revise(text, document) == text


def test_only_the_scalar_changes() -> None:
    """One other value is one other word: quotes, comment and spacing around it stay."""
    revised = revise(TEXT, edited(classification="classification_balanced"))

    assert revised == TEXT.replace("classification_premium", "classification_balanced")


def test_there_and_back_is_the_same_text() -> None:
    """Changing values and changing them back restores every byte."""
    wanted = edited(classification="no", extraction="extraction_b")

    assert revise(revise(TEXT, wanted), read(TEXT)) == TEXT


def test_traps_are_quoted() -> None:
    """A value that YAML 1.1 would take for false gets quotes, also where none stood before."""
    wanted = copy.deepcopy(read(TEXT))
    wanted["profile_settings"]["current_profile"] = "no"

    assert 'current_profile: "no"\n' in revise(TEXT, wanted)


def test_entries_come_and_go_by_whole_lines() -> None:
    """A new entry stands under the last one with its indentation; a removed one takes its comment along."""
    wanted = edited(added="large")
    del wanted["router_settings"]["model_group_alias"]["gone"]
    wanted["router_settings"]["fallbacks"][1]["c"].append("f")

    revised = revise(TEXT, wanted)

    expected = TEXT.replace("        gone: x   # goes with its line\n", "")
    expected = expected.replace("hidden: true}\n", "hidden: true}\n        added: large\n")
    assert revised == expected.replace("- e   # last\n", "- e   # last\n        - f\n")


def test_empty_places_are_filled() -> None:
    """`key:` and `key: {}` become blocks under their key."""
    for empty in ("empty:", "empty: {}", "empty: null  # why"):
        text = TEXT.replace("empty:", empty)
        wanted = copy.deepcopy(read(text))
        wanted["profile_settings"]["empty"] = {"a": "b"}

        assert "\n    empty:\n      a: b" in revise(text, wanted)


def test_flow_mappings_keep_their_form() -> None:
    """Aliases on one line, as LiteLLM's documentation writes them, keep their quotes and comments."""
    text = 'a: {"x": "y",\n  b: \'c\',  # why\n  d: [e, "f"] }\n'

    revised = revise(text, {"a": {"x": "y", "b": "no", "d": ["g", "f"], "new": "on"}})

    assert revised == text.replace("'c'", "'no'").replace("[e,", "[g,").replace('"f"]', '"f"], new: "on"')
    assert revise(text, {"a": {"x": "z"}}) == "a: {x: z}\n"


def test_line_ends_are_kept() -> None:
    """A file with Windows line ends has only those afterwards, in new lines too."""
    text = TEXT.replace("\n", "\r\n")

    revised = revise(text, edited(added="large", classification="small"))

    assert revised.count("\n") == revised.count("\r\n") == text.count("\r\n") + 1


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: c}\nd: *x\n",
        "base: &x\n  b: c\na:\n  <<: *x\n",
        "a: [\n",
        "- a\n",
        "a: !!python/name:os.system ''\n",
        "a: {b: d}\n---\na: {b: d}\n",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    """Where a change would reach what was not meant, or the text is no mapping, nothing is returned."""
    with pytest.raises(NotUnderstood):
        revise(text, {"a": {"b": "other"}, "d": {"b": "c"}, "base": {"b": "c"}})
