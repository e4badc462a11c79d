"""Features: the same text has the same features wherever it stands, and texts do not mix."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from neuronode_router.classifier import features

texts = st.lists(st.text(st.characters(exclude_characters="\n"), max_size=60), min_size=1, max_size=6)


def rows_of(rows: features.Rows, text: int) -> list[int]:
    return sorted(rows.row[rows.owner == text].tolist())


@given(texts)
@example(["?", "0\ud800"])  # half a character is read as "?"
def test_features_do_not_depend_on_neighbours(given_texts: list[str]) -> None:
    """Hashing texts together gives each the features it has alone: nothing crosses a border."""
    together = features.hash_rows(given_texts)

    for number, text in enumerate(given_texts):
        assert rows_of(together, number) == rows_of(features.hash_rows([text]), 0)


@given(texts)
def test_rows_stay_in_the_table(given_texts: list[str]) -> None:
    """Every feature is a row of the table, and row 0 is nobody's."""
    rows = features.hash_rows(given_texts)

    assert rows.row.min(initial=1) >= 1
    assert rows.row.max(initial=1) < features.ROWS
    assert np.isfinite(rows.count).all()


def test_cues_are_added_to_their_text() -> None:
    """A cue's rows belong to the text in which it was found, and do not change the text's feature count."""
    cue = features.cue_rows("summary", "tldr")
    plain, with_cue = features.hash_rows(["abc", "def"]), features.hash_rows(["abc", "def"], [[], cue])

    added = sorted(set(rows_of(with_cue, 1)) - set(rows_of(plain, 1)))

    assert added == sorted(set(cue))
    assert rows_of(with_cue, 0) == rows_of(plain, 0)
    assert with_cue.count.tolist() == plain.count.tolist()


def test_no_more_than_the_bound_is_looked_at() -> None:
    """The cost is bounded whatever is passed."""
    rows = features.hash_rows(["x" * 100_000])

    assert rows.row.size <= 6 * features.MAX_CHARS


def test_of_no_text_there_are_no_features() -> None:
    """A prompt without a letter has no pieces: that is no failure."""
    rows = features.hash_rows([])

    assert (rows.row.size, rows.owner.size, rows.count.size, rows.words.size) == (0, 0, 0, 0)


def test_words_are_told_apart_and_found_again() -> None:
    """A word falls into the same slot wherever it stands, whatever stands around it."""
    alone = set(features.hash_rows(["summarize"]).words.tolist())
    among = set(features.hash_rows(["please summarize this", "or that"]).words.tolist())

    assert len(alone) == 1
    assert alone < among
    assert len(among) == 5
    assert features.hash_rows(["?!"]).words.size == 0


def test_what_opens_a_sentence_counts_for_itself() -> None:
    """ "List the keys" and "keys the list" share their words, and yet the first says what is asked for."""
    asked = set(rows_of(features.hash_rows(["list the keys"]), 0))
    told = set(rows_of(features.hash_rows(["keys list the"]), 0))
    again = set(rows_of(features.hash_rows(["so far. list the keys"]), 0))

    opening = asked - told
    assert opening & again
    assert len(asked & again) > len(asked & told)


def test_a_question_is_told_from_a_statement() -> None:
    """Whatever is asked, one feature says that something is, once for each sentence that asks."""
    asking = set(rows_of(features.hash_rows(["is it cold?"]), 0)) & set(
        rows_of(features.hash_rows(["who knows?"]), 0)
    )

    assert len(asking) == 1
    counts = [
        sum(row in asking for row in rows_of(features.hash_rows([text]), 0))
        for text in ("is it cold.", "is it cold. who knows?", "is it cold? who knows?")
    ]
    assert counts == [0, 1, 2]
