"""What is counted of one deployment in one slot of time: a flat map of field to integer, so that tallies add up.

The same fields are counted in memory and in Redis. It must not know which attempts deserve to be counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from neuronode_router.histogram import BUCKETS, Histogram, bucket_of

Tally = Counter[str]

ANSWERS, ERRORS, TOKENS, GENERATING_MS = "answers", "errors", "tokens", "generating_ms"
TOTAL, FIRST_TOKEN, SHORT_ANSWER = "total", "first", "short"

SHORT_ANSWER_TOKENS = 16
"""Length of the answer that a deployment's expected latency speaks of."""

FASTEST_TOKEN_MS = 0.2
"""No deployment writes a token in less: 5,000 a second. LiteLLM cuts a finished answer into a stream of 20,000."""

MOST_ATTEMPTS = 50_000
"""Attempts at one deployment in one slot, of all processes: 5,000 a second."""

MOST_OF_ONE = 86_400_000
"""Milliseconds of one answer (a day), and tokens: what lies beyond is no evidence where it is counted either."""

_HISTOGRAMS = {
    kind: tuple(f"{kind}.{bucket}" for bucket in range(BUCKETS))
    for kind in (TOTAL, FIRST_TOKEN, SHORT_ANSWER)
}
_BUCKET_OF_FIELD = {
    name: (kind, bucket) for kind, names in _HISTOGRAMS.items() for bucket, name in enumerate(names)
}

FIELDS = frozenset((ANSWERS, ERRORS, TOKENS, GENERATING_MS, *_BUCKET_OF_FIELD))
"""Every field there is: anything else that is found in Redis is not ours."""


def count_error(tally: Tally) -> None:
    """Count one attempt that failed."""
    tally[ERRORS] += 1


def count_answer(
    tally: Tally, total_ms: float, *, first_token_ms: float | None, tokens: int, thought: int = 0
) -> None:
    """Count one answer: finite times in milliseconds, tokens of the answer (0 where unknown), and of its thoughts."""
    generating_ms = _generating(total_ms, first_token_ms or 0.0, tokens, thought)
    tally[ANSWERS] += 1
    _add_value(tally, TOTAL, total_ms)
    if first_token_ms is not None:
        _add_value(tally, FIRST_TOKEN, first_token_ms)
    if tokens > 0:
        tally[TOKENS] += tokens
        tally[GENERATING_MS] += max(1, round(generating_ms))
    # An answer of 2,000 tokens takes long on an idle deployment too: count it as if it had been a short one.
    shortened = generating_ms * min(1.0, SHORT_ANSWER_TOKENS / max(tokens, 1))
    _add_value(tally, SHORT_ANSWER, total_ms - generating_ms + shortened)


def _generating(total_ms: float, first_token_ms: float, tokens: int, thought: int) -> float:
    """Return how long it took to write the tokens, in milliseconds."""
    seen_ms = total_ms - first_token_ms
    seen = tokens - thought if thought < tokens else tokens  # some providers do not count thoughts as tokens
    if seen_ms < seen * FASTEST_TOKEN_MS:  # kept until its end: no more than a plain answer
        return total_ms
    # A thought that nobody was shown took as long a token, before the first one.
    return seen_ms + min(first_token_ms, thought * seen_ms / max(seen, 1))


def merge(tallies: Iterable[Mapping[str, int]]) -> Tally:
    """Return the sum. Never raises."""
    merged: Tally = Counter()
    for tally in tallies:
        merged.update(tally)
    return merged


def believable(tally: Mapping[str, int]) -> Tally:
    """Return what of a tally that somebody else counted can be: no more than a busy proxy does in a slot, and times and
    tokens only of as many answers as it tells of. Never raises.
    """
    answers = min(tally.get(ANSWERS, 0), MOST_ATTEMPTS)
    believed = Counter({ANSWERS: answers, ERRORS: min(tally.get(ERRORS, 0), MOST_ATTEMPTS)})
    for name in (TOKENS, GENERATING_MS):
        believed[name] = min(tally.get(name, 0), answers * MOST_OF_ONE)
    for names in _HISTOGRAMS.values():
        left = answers
        for name in names:
            believed[name] = min(tally.get(name, 0), left)
            left -= believed[name]
    return +believed


def histograms(tally: Mapping[str, int]) -> Mapping[str, Histogram]:
    """Return the histograms of `TOTAL`, `FIRST_TOKEN` and `SHORT_ANSWER`. Never raises."""
    counts: dict[str, dict[int, int]] = {kind: {} for kind in _HISTOGRAMS}
    for name, count in tally.items():
        if name in _BUCKET_OF_FIELD:
            kind, bucket = _BUCKET_OF_FIELD[name]
            counts[kind][bucket] = count
    return {kind: Histogram(found) for kind, found in counts.items()}


def _add_value(tally: Tally, kind: str, value: float) -> None:
    tally[_HISTOGRAMS[kind][bucket_of(value)]] += 1
