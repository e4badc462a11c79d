"""How a conversation has grown, as one request shows it: how it opened, what was asked at each place, and the answers.

It must not know who asks, LiteLLM or what is remembered: it refers to a body's text and is dropped with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from neuronode_router.routing.conversation import (
    LOOKED_AT,
    Turn,
    is_answer,
    is_persons,
    is_reminder,
    kind_of,
    parts_of,
    raw_turns,
    shortened,
    texts_of,
)

RESULT_IDS = ("tool_call_id", "tool_use_id", "call_id")
"""By which a tool's result names its call."""
TRANSLATED = "litellm_encrypted_reasoning:"
"""What LiteLLM puts before encrypted reasoning in the messages format."""


class Marks(NamedTuple):
    """What tells one answer from others, the surest first; empty where the answer has none of it."""

    seal: str = ""
    """The first thing in it that only its maker can read."""
    call: str = ""
    """The id of its first call of a tool."""
    text: str = ""

    def are_of(self, other: Marks) -> bool:
        """Return whether both are of one answer: clients leave seals out, so the surest that both have tells."""
        return next((one == its for one, its in zip(self, other, strict=True) if one and its), False)

    def are_surely_of(self, other: Marks) -> bool:
        """Return whether they are by more than what it says, which others may have said too."""
        return any(one == its for one, its in zip(self[:2], other[:2], strict=True) if one)


@dataclass(frozen=True, slots=True)
class Growth:
    """The turns of one request, or the items of the responses format."""

    turns: Sequence[object]
    opening: int
    """Where a person opened it, -1 where nobody did."""
    opened: tuple[str, ...]
    """What a person opened with: all that a conversation's first request can be known by."""
    end: int
    """Where the answer to this request will begin."""

    def places(self) -> Iterator[int]:
        """Yield where its answers begin, the newest first."""
        yield from (at for at in range(self.end - 1, -1, -1) if begins(self.turns, at))

    def asked(self, place: int) -> tuple[str, ...]:
        """Return what the answer at `place` answered: ids of the calls whose results were handed in, else texts."""
        if place == self.opening + 1 and self.opened:
            return self.opened
        turn = self.turns[place - 1] if place else None
        if not isinstance(turn, Mapping):
            return ()
        holders = (turn, *parts_of(turn.get("content")))
        ids = [one[key] for one in holders if isinstance(one, Mapping) for key in RESULT_IDS if key in one]
        return tuple(map(str, ids)) or _said(turn)

    def answer(self, place: int) -> Marks:
        """Return the marks of the answer that begins at `place`, in clear."""
        end = place + 1
        while end < self.end and is_answer_turn(self.turns[end]) and not begins(self.turns, end):
            end += 1
        return marks_of(turn for turn in self.turns[place:end] if isinstance(turn, Mapping))


def read_growth(body: Mapping[str, object]) -> Growth:
    """Return how the conversation of a body of any format has grown. Never raises."""
    raw, _ = raw_turns(body)
    turns = [{"role": "user", "content": raw}] if isinstance(raw, str) else raw
    for at, turn in enumerate(turns[:LOOKED_AT]):
        if isinstance(turn, dict) and is_persons(turn):
            return Growth(turns, at, _said(turn), len(turns))
    return Growth(turns, -1, (), len(turns))


def begins(turns: Sequence[object], place: int) -> bool:
    """Return whether an answer begins at a place. Items of one answer follow each other; messages are one each."""
    turn = turns[place]
    if not is_answer_turn(turn):
        return False
    return "type" not in turn or not place or not is_answer_turn(turns[place - 1])  # type: ignore[operator]


def is_answer_turn(turn: object) -> bool:
    """Return whether something in the place of a turn is one that an assistant wrote."""
    return isinstance(turn, dict) and is_answer(turn)


def marks_of(answer: Iterable[Turn]) -> Marks:
    """Return the marks of an answer's turns or items, in clear. It looks at a bounded part of each."""
    turns = list(islice(answer, LOOKED_AT))
    text = "".join(text for turn in turns if kind_of(turn) != "reasoning" for text in _words(turn))
    return Marks(next(_seals(turns), ""), next(_calls(turns), ""), shortened(text.strip()))


def _said(turn: Turn) -> tuple[str, ...]:
    return tuple(shortened(text) for text in islice(texts_of(turn), LOOKED_AT) if not is_reminder(text))


def _words(turn: Turn) -> Iterator[str]:
    parts = turn.get("parts")
    if isinstance(parts, list):  # Gemini says by a flag what was only thought
        parts = [part for part in parts if not (isinstance(part, Mapping) and part.get("thought"))]
        turn = {"parts": parts}
    yield from islice(texts_of(turn), LOOKED_AT)


def _seals(turns: Sequence[Turn]) -> Iterator[str]:
    for part in _within(turns, "thinking_blocks", "reasoning_items", "content"):
        hidden = part.get("data") if kind_of(part) == "redacted_thinking" else None
        for seal in (part.get("signature"), hidden, part.get("encrypted_content")):
            if isinstance(seal, str) and seal:
                yield seal.removeprefix(TRANSLATED)


def _calls(turns: Sequence[Turn]) -> Iterator[str]:
    for part in _within(turns, "tool_calls", "content"):
        key = "id" if "function" in part or kind_of(part) == "tool_use" else "call_id"
        if isinstance(name := part.get(key), str):
            yield name


def _within(turns: Sequence[Turn], *names: str) -> Iterator[Turn]:
    """Yield turns, and the parts that they hold under these names."""
    for turn in turns:
        held = (part for name in names for part in parts_of(turn.get(name)))
        yield from (part for part in (turn, *held) if isinstance(part, dict | Mapping))
