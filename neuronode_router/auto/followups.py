"""What a caller asks next in a conversation, held against what it asked before: nearly the same says it got no answer.

By hashed features only, in bounded memory, in the thread that writes the history: never on the request path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from neuronode_router.auto.outcome_store import OutcomeOf
from neuronode_router.classifier.features import Rows

ALIKE = 0.6
"""The share of features, of those that either has, from which two requests are nearly the same."""
SECONDS = 120.0
"""How soon the second must come."""
KEPT = 1000
"""Conversations of which the last request is kept, and answered calls."""
MOST_ROWS = 600
"""Requests with more features (some 200 characters) are not compared: another question on the same long text is nearly
the same text.
"""

GOES_ON = 0.9
"""The share of follow-ups that are no rephrasings where answers do, as we assume it: what they are held against. People
also ask the same of two things one after the other.
"""
COUNTED_SHARE = 0.1
"""Of the follow-ups: they are many and say little, and must not drown what forms say."""

Features = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class AskedBefore:
    """The last request of a conversation."""

    call_id: str
    at: float
    """Unix time in seconds."""
    place: int
    """The number of its turn in the conversation, 0 where nobody has answered before it."""
    of: OutcomeOf
    features: Features


class Followups:
    """The conversations of one worker. For one thread."""

    def __init__(self) -> None:
        self._last: LRUCache[bytes, AskedBefore] = LRUCache(KEPT)
        self._answered: LRUCache[str, bool] = LRUCache(KEPT)

    def answered(self, call_id: str) -> None:
        """Note that the group that was chosen for a request has answered it: only then a second one says something."""
        self._answered[call_id] = True

    def asked(self, conversation: bytes, asked: AskedBefore) -> tuple[OutcomeOf, bool] | None:
        """Remember a request, and return what the one before it was counted by and whether it was good; None where this
        one says nothing of it.

        In a conversation that went on, nearly the same again is a rephrasing; at the same place only the very same, for
        programs ask about one thing after another with the same examples before it. What opens a conversation follows
        nothing: programs ask the same twice on purpose.
        """
        before = self._last.get(conversation)
        self._last[conversation] = asked
        if before is None or before.call_id not in self._answered or asked.at - before.at > SECONDS:
            return None
        if asked.place == 0 or max(before.features.size, asked.features.size) > MOST_ROWS:
            return None
        share = alike(before.features, asked.features)
        if asked.place > before.place:
            return before.of, share < ALIKE
        return (before.of, False) if asked.place == before.place and share == 1.0 else None


def features_of(rows: Rows) -> Features:
    """Return which rows of the table a text touches, each once."""
    return np.unique(rows.row).astype(np.uint16)


def alike(one: Features, other: Features) -> float:
    """Return the share of features that both have, of those that either has, 0 to 1."""
    both = np.intersect1d(one, other, assume_unique=True).size
    return float(both / max(1, one.size + other.size - both))
