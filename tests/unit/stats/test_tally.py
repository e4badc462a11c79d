"""What is believed of counts that somebody else has made."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.stats.tally import (
    ANSWERS,
    ERRORS,
    FIELDS,
    MOST_ATTEMPTS,
    Tally,
    believable,
    count_answer,
    count_error,
    histograms,
)

ANSWERED = st.tuples(
    st.floats(0, 86_400_000), st.none() | st.floats(0, 1), st.integers(0, 10_000_000), st.booleans()
)


@given(st.lists(ANSWERED, max_size=30))
def test_what_was_counted_here_is_believed_as_it_is(
    attempts: list[tuple[float, float | None, int, bool]],
) -> None:
    """No honest count is cut."""
    tally: Tally = Counter()
    for total_ms, share, tokens, failed in attempts:
        if failed:
            count_error(tally)
        else:
            first = None if share is None else total_ms * share
            count_answer(tally, total_ms, first_token_ms=first, tokens=tokens)

    assert believable(tally) == +tally


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.integers(0, 999_999_999)))
def test_no_claim_goes_beyond_what_can_be(claimed: dict[str, int]) -> None:
    """No more attempts than a busy proxy makes, and times of no more answers than there were."""
    believed = believable(claimed)

    assert believed[ANSWERS] <= MOST_ATTEMPTS
    assert believed[ERRORS] <= MOST_ATTEMPTS
    for found in histograms(believed).values():
        assert sum(found.counts.values()) <= believed[ANSWERS]
    assert all(believed[name] <= claimed[name] for name in believed)
