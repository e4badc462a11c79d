"""What is believed of counts that somebody else has made."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.stats.tally import (
    ANSWERS,
    ERRORS,
    FIELDS,
    FIRST_TOKEN,
    GENERATING_MS,
    MOST_ATTEMPTS,
    SHORT_ANSWER,
    Tally,
    believable,
    count_answer,
    count_error,
    histograms,
)

ANSWERED = st.tuples(
    st.floats(0, 86_400_000),
    st.none() | st.floats(0, 1),
    st.integers(0, 10_000_000),
    st.integers(0, 10_000_000),
    st.booleans(),
)


@given(st.lists(ANSWERED, max_size=30))
def test_what_was_counted_here_is_believed_as_it_is(
    attempts: list[tuple[float, float | None, int, int, bool]],
) -> None:
    """No honest count is cut."""
    tally: Tally = Counter()
    for total_ms, share, tokens, thought, failed in attempts:
        if failed:
            count_error(tally)
        else:
            first = None if share is None else total_ms * share
            count_answer(tally, total_ms, first_token_ms=first, tokens=tokens, thought=thought)

    assert believable(tally) == +tally


@pytest.mark.parametrize("written_in_ms", [0.0, 10.0, 399.0])
def test_a_stream_that_comes_at_its_end_is_a_plain_answer(written_in_ms: float) -> None:
    """A gateway or LiteLLM itself has cut it up: the wait before its first token was the writing of all 2,000."""
    plain, streamed = _answered(None), _answered(20_000 - written_in_ms)

    assert histograms(streamed)[SHORT_ANSWER] == histograms(plain)[SHORT_ANSWER]
    assert streamed[GENERATING_MS] == plain[GENERATING_MS]
    assert histograms(streamed)[FIRST_TOKEN].samples == 1


@pytest.mark.parametrize(
    ("waited_ms", "short_ms"),
    [(0.0, 160), (4_000.0, 4_160)],
)
def test_what_was_thought_before_the_first_token_is_no_wait(waited_ms: float, short_ms: float) -> None:
    """A long thought makes no healthy deployment slow, and hides no queue: 1,800 of 2,000 tokens at 10 ms each."""
    tally: Tally = Counter()
    count_answer(tally, waited_ms + 20_000, first_token_ms=waited_ms + 18_000, tokens=2000, thought=1800)

    assert histograms(tally)[SHORT_ANSWER].quantile(0.5) == pytest.approx(short_ms, rel=0.05)
    assert tally[GENERATING_MS] == 20_000


def test_where_all_was_thought_nothing_is_known_of_the_wait() -> None:
    """Nor where the text came at once."""
    for thought in (1999, 2000, 9000):
        tally: Tally = Counter()
        count_answer(tally, 20_000.0, first_token_ms=20_000.0, tokens=2000, thought=thought)

        assert tally == _answered(None) + Counter({"first.103": 1})


def test_a_stream_tells_its_wait_from_its_writing() -> None:
    """As long as somebody can have written so fast."""
    short = histograms(_answered(19_000.0))[SHORT_ANSWER].quantile(0.5)

    assert short == pytest.approx(19_008, rel=0.05)


def _answered(first_token_ms: float | None) -> Tally:
    tally: Tally = Counter()
    count_answer(tally, 20_000.0, first_token_ms=first_token_ms, tokens=2000)
    return tally


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.integers(0, 999_999_999)))
def test_no_claim_goes_beyond_what_can_be(claimed: dict[str, int]) -> None:
    """No more attempts than a busy proxy makes, and times of no more answers than there were."""
    believed = believable(claimed)

    assert believed[ANSWERS] <= MOST_ATTEMPTS
    assert believed[ERRORS] <= MOST_ATTEMPTS
    for found in histograms(believed).values():
        assert sum(found.counts.values()) <= believed[ANSWERS]
    assert all(believed[name] <= claimed[name] for name in believed)
