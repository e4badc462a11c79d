"""Read a conversation through bounded windows, and cut the last user turn and its context short.

It must not know tasks or weights; it copies a few thousand characters at most, however long the prompt is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from neuronode_router.classifier.classification import Carrier
from neuronode_router.classifier.errand import END, START, errand_of
from neuronode_router.domain.normal_form import normalized

EDGE = 1200
"""Characters kept from each end of the turn."""
PIECE = 160
"""Characters of a piece: about two sentences."""
MAX_LINES = 3
"""Lines looked at from each end of the last turn."""
EARLIER = 2
"""User turns before the last one that are looked at: a follow-up may follow a follow-up."""
SHARED_PARTS = 4
"""Parts of one turn of which each is looked at: tools put reminders before and after a question."""
FENCE = "```"
SYSTEM_ROLES = ("system", "developer")
MAX_MESSAGES = 64
MAX_PARTS = 64

_FOLDS = {
    "ä": "ae",
    "ö": "oe",
    "ü": "ue",
    "ß": "ss",
    **dict.fromkeys("\u2018\u2019\u201a", "'"),
    **dict.fromkeys("\u201c\u201d\u201e", '"'),
    **dict.fromkeys("\u00ad\u200b\ufeff", ""),  # soft hyphen, zero-width space, byte order mark
    **dict.fromkeys("\t\u00a0", " "),
    **dict.fromkeys("123456789", "0"),
}
"""No spelling holds a character that is folded itself: they may be put in one after the other."""
_ASCII_FOLDS = str.maketrans(_FOLDS)
_SENTENCE_END = re.compile(r"[.!?:][\"')]? (?=\S)")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is looked at: folded single-line texts. The first piece of each part is the window over both its ends."""

    pieces: tuple[str, ...]
    """Of the last user turn that has text."""
    length: int
    """Characters of that turn."""
    earlier: tuple[str, ...] = ()
    """The windows of the user turns before it, the newest first."""
    system: str = ""
    """The window of the system prompt."""
    errand: str | None = None
    """What kind of errand the turn is, see `errand`."""

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """The pieces of the turn, of the earlier turns, and of the system prompt where there is one."""
        windows = (*self.earlier, self.system) if self.system else self.earlier
        return (self.pieces, *((window,) for window in windows))

    def carrying(self, carrier: Carrier) -> tuple[str, ...]:
        """Return the pieces of the part that carries the instruction; the turn's where there is no such part."""
        if carrier is Carrier.SYSTEM and self.system:
            return (self.system,)
        return self.earlier[:1] if carrier is Carrier.EARLIER and self.earlier else self.pieces


def fold(text: str) -> str:
    """Return the one spelling that cues and weights know: lower case, ae for ä, 0 for digits. Never raises."""
    if text.isascii():
        return text.lower().translate(_ASCII_FOLDS)
    folded = normalized("NFC", text).lower()
    for character, spelling in _FOLDS.items():  # a quarter of the time that `translate` takes beyond ASCII
        if character in folded:
            folded = folded.replace(character, spelling)
    return folded


def read(messages: Sequence[Mapping[str, object]] | str, *, system: str = "") -> Excerpt:
    """Return the excerpt of a conversation; an empty one when no user turn has text. Never raises.

    `system` is a system prompt that stands beside the messages.
    """
    if isinstance(messages, str):
        turns: list[Sequence[str]] = [[messages]]
        found = ""
    else:
        turns, found = _user_turns(messages), _system(messages)
    if not turns:
        return Excerpt((), 0)
    system = system or found
    return Excerpt(
        _pieces(turns[0]),
        sum(map(len, turns[0])),
        tuple(filter(None, (_window(list(map(_lines, _outer(turn, SHARED_PARTS)))) for turn in turns[1:]))),
        _window([_lines(system)]) if system else "",
        errand_of(*_ends(turns[0]), fold(system[:START])),
    )


def _ends(parts: Sequence[str]) -> tuple[str, str]:
    """Return both ends of a turn as an errand is looked for in them: a short text is looked at once."""
    if len(parts) == 1 and len(parts[0]) <= END:
        return fold(parts[0]), ""
    return fold(parts[0][:START]), fold(parts[-1][-END:])


def _pieces(parts: Sequence[str]) -> tuple[str, ...]:
    """Return the window over both ends of the joined parts, and short texts from the ends of each."""
    found = [own for part in _outer(parts, SHARED_PARTS) if (own := _lines(part))]
    if not found:
        return ()
    window = _window(found)
    each = MAX_LINES if len(found) == 1 else 1
    chosen = [line for own in found for line in _outer(_spoken(own), 2 * each)]
    outer = (0, len(chosen) - 1)
    pieces = dict.fromkeys(
        piece for number, line in enumerate(chosen) for piece in _cut(line, further=int(number in outer))
    )
    pieces.pop(window, None)
    return (window, *pieces)


def _spoken(lines: Sequence[str]) -> Sequence[str]:
    """Return the lines outside fenced code, with its fences; all of them where nothing else is said."""
    outside: list[str] = []
    fenced = False
    for line in lines:
        if line.startswith(FENCE):
            fenced = not fenced
            outside += [line] if fenced else []
        elif not fenced:
            outside.append(line)
    return outside if any(not line.startswith(FENCE) for line in outside) else lines


def _window(parts: Sequence[Sequence[str]]) -> str:
    """Return the two ends of the joined lines."""
    flat = " ".join(line for lines in parts for line in lines)
    return flat if len(flat) <= 2 * PIECE else f"{_start(flat)} {_end(flat)}"


def _outer(items: Sequence[str], count: int) -> Sequence[str]:
    """Return at most `count` items, half of them from each end."""
    return items if len(items) <= count else [*items[: count // 2], *items[-(count // 2) :]]


def _lines(text: str) -> list[str]:
    ends = (text,) if len(text) <= 2 * EDGE else (text[:EDGE], text[-EDGE:])
    lines = (line.strip() for end in ends for line in fold(end).splitlines())
    return [line for line in lines if line]


def _user_turns(messages: Sequence[Mapping[str, object]]) -> list[Sequence[str]]:
    """Return the texts of the last user turns that have any, the newest first."""
    found: list[Sequence[str]] = []
    for message in reversed(messages[-MAX_MESSAGES:]):
        if isinstance(message, Mapping) and message.get("role") == "user":
            texts = [text for text in _texts_of(message.get("content")) if text.strip()]
            if texts:
                found.append(texts)
        if len(found) == 1 + EARLIER:
            break
    return found


def _system(messages: Sequence[Mapping[str, object]]) -> str:
    """Return the system prompt that opens a conversation, or an empty text."""
    first = messages[0] if messages else None
    if not isinstance(first, Mapping) or first.get("role") not in SYSTEM_ROLES:
        return ""
    return "\n".join(_texts_of(first.get("content")))


def _texts_of(content: object) -> Sequence[str]:
    if isinstance(content, str):
        return [content]
    if not isinstance(content, Sequence):
        return []
    parts = (
        content if len(content) <= MAX_PARTS else [*content[: MAX_PARTS // 2], *content[-MAX_PARTS // 2 :]]
    )
    return list(_bounded(_part_texts(parts)))


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
