"""Normal forms of texts that a client chose: in linear time, and the same as Python's wherever anybody writes so."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.classifier.excerpt import fold
from neuronode_router.domain.normal_form import MARKS, normalized
from neuronode_router.routing.personal_data import kinds
from neuronode_router.tasks.labels import plain

FORMS = ("NFC", "NFKC")
STARTING_AS_MARKS = [
    letter
    for letter in map(chr, range(sys.maxunicode + 1))
    if unicodedata.combining(unicodedata.normalize("NFKD", letter)[0])
]
LETTERS = st.text(
    st.sampled_from("aeou cdsAEOU-\u00a0\uff76\u1100\u1161\u05d0\u0915"), min_size=1, max_size=3
)
WORD = st.tuples(LETTERS, st.text(st.sampled_from(STARTING_AS_MARKS), max_size=MARKS // 2)).map("".join)


def marks_together(form: str, text: str) -> int:
    """Return how many marks Python sorts at most, when it is asked for a text's normal form."""
    decomposed = unicodedata.normalize(form.replace("C", "D"), text)
    return max(
        (len(list(run)) for mark, run in groupby(decomposed, unicodedata.combining) if mark), default=0
    )


@given(st.lists(WORD).map("".join) | st.text(), st.sampled_from(FORMS))
def test_it_is_the_form_that_python_knows(text: str, form: Literal["NFC", "NFKC"]) -> None:
    """Of whatever somebody writes: composed, compatible, in every script."""
    assert normalized(form, text) == unicodedata.normalize(form, text)


READING: dict[str, Callable[[str], object]] = {
    "NFC": partial(normalized, "NFC"),
    "NFKC": partial(normalized, "NFKC"),
    "labels": plain,
    "excerpt": fold,
    "personal data": lambda text: kinds([text]),
}
MANY = {
    "every": "".join(STARTING_AS_MARKS),
    "two kinds": "\u0301" * 200 + "\u0323" * 200,
    "letters": "\u0301\uff9e" * 200,
}


@pytest.mark.parametrize("marks", MANY)
@pytest.mark.parametrize("reading", READING)
def test_no_text_has_python_sort_more_marks_than_a_letter_carries(
    reading: str, marks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sorts them by the square of their number: 128 kB took six seconds, with every other request waiting."""
    asked: list[tuple[str, str]] = []
    own = unicodedata.normalize
    with monkeypatch.context() as patched:
        patched.setattr(unicodedata, "normalize", lambda *given: (asked.append(given), own(*given))[1])
        READING[reading](f"a{MANY[marks]} 0170\u00a01234567 {MANY[marks]}")

    # Two marks may be written as one.
    assert asked
    assert max(marks_together(*given) for given in asked) <= 2 * MARKS
