"""Read the last user turn of a conversation through a bounded window, and cut it into short texts.

It must not know tasks or weights; it copies a few thousand characters at most, however long the prompt is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

EDGE = 1200
"""Characters kept from each end of the turn."""
PIECE = 160
"""Characters of a piece: about two sentences."""
MAX_LINES = 3
"""Lines looked at from each end."""
MAX_MESSAGES = 64
MAX_PARTS = 64

_FOLDS = str.maketrans(
    {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "ß": "ss",
        **dict.fromkeys("\u2018\u2019\u201a", "'"),
        **dict.fromkeys("\u201c\u201d\u201e", '"'),
        **dict.fromkeys("\u00ad\u200b\ufeff"),  # soft hyphen, zero-width space, byte order mark
        **dict.fromkeys("\t\u00a0", " "),
        **dict.fromkeys("123456789", "0"),
    }
)
_SENTENCE_END = re.compile(r"[.!?:][\"')]? (?=\S)")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is looked at: folded single-line texts. `pieces[0]` is the window over both ends of the turn."""

    pieces: tuple[str, ...]
    length: int
    """Characters of the whole turn."""


def fold(text: str) -> str:
    """Return the one spelling that cues and weights know: lower case, ae for ä, 0 for digits. Never raises."""
    return unicodedata.normalize("NFC", text).lower().translate(_FOLDS)


def read(messages: Sequence[Mapping[str, object]] | str) -> Excerpt:
    """Return the excerpt of the last user turn that has text; an empty one when there is none. Never raises."""
    head, tail, length = _ends(messages if isinstance(messages, str) else _last_turn(messages))
    lines = _lines(head, tail)
    if not lines:
        return Excerpt((), length)
    flat = " ".join(lines)
    window = flat if len(flat) <= 2 * PIECE else f"{_start(flat)} {_end(flat)}"
    chosen = lines if len(lines) <= 2 * MAX_LINES else [*lines[:MAX_LINES], *lines[-MAX_LINES:]]
    outer = (0, len(chosen) - 1)
    pieces = dict.fromkeys(
        piece for number, line in enumerate(chosen) for piece in _cut(line, further=int(number in outer))
    )
    pieces.pop(window, None)
    return Excerpt((window, *pieces), length)


def _lines(head: str, tail: str) -> list[str]:
    lines = (line.strip() for end in (head, tail) for line in fold(end).splitlines())
    return [line for line in lines if line]


def _ends(text: str) -> tuple[str, str, int]:
    if len(text) <= 2 * EDGE:
        return text, "", len(text)
    return text[:EDGE], text[-EDGE:], len(text)


def _last_turn(messages: Sequence[Mapping[str, object]]) -> str:
    for message in reversed(messages[-MAX_MESSAGES:]):
        if isinstance(message, Mapping) and message.get("role") == "user":
            text = _text_of(message.get("content"))
            if text.strip():
                return text
    return ""


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    parts = (
        content if len(content) <= MAX_PARTS else [*content[: MAX_PARTS // 2], *content[-MAX_PARTS // 2 :]]
    )
    return "\n".join(_bounded(_part_texts(parts)))


def _part_texts(parts: Iterable[object]) -> Iterable[str]:
    for part in parts:
        text = (
            part.get("text")
            if isinstance(part, Mapping) and part.get("type") in ("text", "input_text")
            else part
        )
        if isinstance(text, str):
            yield text


def _bounded(texts: Iterable[str]) -> Iterable[str]:
    """Shorten each part before they are joined: 64 parts of 10 MB must not be copied."""
    for text in texts:
        yield text if len(text) <= 2 * EDGE else f"{text[:EDGE]}\n{text[-EDGE:]}"


def _cut(line: str, *, further: int = 0) -> Iterable[str]:
    """Return the first and the last sentence of a long line, each at most `PIECE` characters.

    `further` is how many more such pieces follow the first: long instructions come to the point late.
    """
    if len(line) <= PIECE:
        return (line,)
    pieces: list[str] = []
    at = 0
    for number in range(1 + further):
        start = _start(line[at:].lstrip())
        ends = [match.end() for match in _SENTENCE_END.finditer(start, 24)]
        pieces.append(start[: ends[0]] if ends and number == 0 else start)
        at += len(pieces[-1])
    end = _end(line)
    begins = [match.end() for match in _SENTENCE_END.finditer(end, 0, PIECE - 24)]
    return (*pieces, end[begins[-1] :] if begins else end)


def _start(line: str) -> str:
    return line[:PIECE].rsplit(" ", 1)[0] or line[:PIECE]


def _end(line: str) -> str:
    return line[-PIECE:].split(" ", 1)[-1] or line[-PIECE:]
