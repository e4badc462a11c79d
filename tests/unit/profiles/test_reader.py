"""Reading never crashes, is quick on what was made to hurt, and says where things are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronode_router.profiles.problems import Code
from neuronode_router.profiles.schema import CAPS
from neuronode_router.safe_yaml import MAX_PROBLEMS, read_yaml
from tests.support.work import least_seconds, steps
from tests.unit.profiles.shelf import GOOD, Shelf

LINES = st.sampled_from(GOOD.decode().splitlines())
PIECES = st.one_of(
    LINES, st.text(max_size=20), st.sampled_from(["[", "{", "- ", "? ", "&a", "*a", "!!", "|", "---"])
)

BILLION_LAUGHS = b"a: &a [x, x]\n" + b"".join(
    b"%c: &%c [*%c, *%c]\n" % (c, c, c - 1, c - 1) for c in range(ord("b"), ord("z"))
)
HOSTILE = {
    "bomb": BILLION_LAUGHS,
    "brackets": b"[" * 5000,
    "braces": b"{" * 5000,
    "nested keys": b"[a: " * 5000,
    "dashes": b"- " * 5000,
    "duplicate keys": b"a: 1\n" * 50_000,
    "many keys": b"".join(b"k%d: v\n" % n for n in range(20_000)),
    "many tasks": b"tasks:\n" + b"".join(b"  k%d: v\n" % n for n in range(15_000)),
    "one long text": b"description: " + b"a " * 120_000,
    "one long tag": b"!" * 200_000,
    "comment": b"#" * 250_000,
    "lines": b"\n" * 250_000,
    "commas": b"[" + b"," * 100_000,
    "documents": b"---\n" * 60_000,
    "block": b"description: |\n" + b" a\n" * 80_000,
    "deep": b"".join(b" " * n + b"a:\n" for n in range(700)),
    "too large": b"a: b\n" * CAPS.bytes,
    "nul": b"\x00" * 1000,
}


@given(st.one_of(st.binary(max_size=400), st.lists(PIECES, max_size=30).map(lambda p: "\n".join(p).encode())))
@settings(max_examples=settings().max_examples * 6)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Whatever a file holds, there is a document or a problem, and never an exception."""
    reading = read_yaml(raw, "any.yaml", caps=CAPS)

    assert reading.document is not None or reading.problems
    assert len(reading.problems) <= MAX_PROBLEMS
    assert {problem.code for problem in reading.problems} <= set(Code)


@given(st.lists(PIECES, max_size=30))
@settings(max_examples=settings().max_examples * 3)
def test_any_file_is_loaded_or_refused(tmp_path_factory: pytest.TempPathFactory, pieces: list[str]) -> None:
    """The whole check, schema and host included, never raises on what a file holds."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    shelf.put("any", "\n".join(pieces).encode())

    assert all(problem.message and problem.fix for problem in shelf.check())


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_files_are_refused_quickly(shelf: Shelf, name: str) -> None:
    """A bomb, deep nesting, a giant or a flood of keys is refused for little work, by the whole check."""
    shelf.put("hostile", HOSTILE[name])

    assert "hostile.yaml" in {problem.file for problem in shelf.check()}
    assert steps(shelf.check) < 250_000, "more than a few steps a byte, or what was refused was read on"
    assert least_seconds(shelf.check) < 1


def test_good_file_has_data_and_places() -> None:
    """Every key and list item has line and column; the data are plain."""
    reading = read_yaml(GOOD, "balanced.yaml", caps=CAPS)

    assert reading.problems == ()
    assert reading.document is not None
    assert reading.document["tiers"] == {
        "fast": ["small"],
        "medium": ["small", "large"],
        "complex": ["large", "small"],
    }
    assert reading.source.places["tasks", "chat"] == (17, 3)
    assert reading.source.places["tiers", "medium", 1] == (21, 19)


def test_byte_order_mark_is_no_character() -> None:
    """Editors that put a mark in front of UTF-8 do no harm."""
    marked = read_yaml(b"\xef\xbb\xbf" + GOOD, "x.yaml", caps=CAPS)

    assert marked.document == read_yaml(GOOD, "x.yaml", caps=CAPS).document


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("too_cheap: 1.5", True),
        ("too_dear: 2", True),
        ("too_dear: 0.25", True),
        ("too_cheap: 1e1", False),
        ("too_cheap: 012", False),
        ("too_cheap: 1:30", False),
        ("too_cheap: 0x1", False),
        ("too_cheap: 1_5", False),
        ("too_cheap: .5", False),
        ("too_cheap: no", False),
        ("description: 1.5", False),
        ("tasks: {too_cheap: 1.5}", False),
    ],
)
def test_a_number_needs_no_quotes_where_one_is_meant(text: str, read: bool) -> None:
    """In its plain form only, which every reader of YAML takes for the same number."""
    problems = read_yaml(text.encode(), "a.yaml", caps=CAPS).problems

    assert [problem.code for problem in problems] == ([] if read else ["yaml_trap"])
