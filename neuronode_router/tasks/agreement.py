"""Whether two answers to one request say the same, as far as that can be told without a reader.

It must not know tasks, nor keep or tell anything of an answer. Every step is linear in the length of the answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from neuronode_router.tasks.answer_form import MAX_CHARS
from neuronode_router.tasks.json_answers import find_object
from neuronode_router.tasks.labels import plain, stands_alone

SHORT = 64
"""Characters of an answer that is taken for a label or a value: "positiv", "12,50 EUR", "Rechnung"."""
WORDY = 400
"""Characters in which the other answer may say the same with more words around it."""
DEEP = 8
"""Levels of a JSON answer that are compared."""
OPENING = 240
"""Characters at the beginning of an answer in which a refusal is looked for."""

_ANYTHING: Mapping[str, Any] = {"type": "object"}
_WITHIN = r"[^.!?\n]{0,60}"
"""Some words of the same sentence."""
_PHRASES = (
    r"\bi(?:'m| am)? (?:(?:really |very |so )?sorry,? (?:but )?)?(?:i )?"
    r"(?:can't|cannot|can not|won't|am unable to|unable to|am not able to|not able to) "
    r"(?:help|assist|comply|do that|provide|fulfill|continue|support)",
    r"\bsorry,? (?:but )?i (?:can't|cannot|won't)\b",
    rf"\b(?:leid|entschuldigung|leider)\b{_WITHIN}\b(?:kann|darf|werde) ich\b{_WITHIN}\b(?:nicht|keine?n?)\b",
    rf"\b(?:leid|entschuldigung)\b{_WITHIN}\bich (?:kann|darf|werde)\b{_WITHIN}\b(?:nicht|keine?n?)\b",
    r"\b(?:dabei|damit|das) (?:kann|darf) ich (?:dir |ihnen |leider )*nicht\b",
    r"\bich kann (?:dir |ihnen )?(?:dabei|damit)(?: leider)? nicht (?:weiter)?helfen\b",
)
"""What declines, in lower case. Each looks at a bounded piece of a bounded text."""
_REFUSES = re.compile("|".join(_PHRASES))


class ComparedBy(StrEnum):
    """What was held against each other."""

    FIELDS = "fields"
    """The fields of JSON answers whose values are short."""
    CALLS = "calls"
    """The tools that are called, and with which arguments."""
    SHORT = "short"
    """Short texts, such as labels."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says. It holds text, and is dropped when it was compared."""

    text: str = ""
    calls: Sequence[tuple[str, str]] = ()
    """Names and arguments, as text, of the tools that it calls."""
    refused: bool = False
    """Whether the provider says that it is a refusal."""
    ended: bool = True
    """Whether it came to its end: false where a limit has cut it off."""


def agreement(one: Said, other: Said) -> tuple[ComparedBy, bool] | None:
    """Return what was compared and whether it is the same; None for free texts, which only a reader can compare.

    `one` is what the client was given: whether it is short or JSON decides what is compared. Never raises.
    """
    if len(one.text) > MAX_CHARS or len(other.text) > MAX_CHARS or not (one.ended and other.ended):
        return None
    if one.calls or other.calls:
        return ComparedBy.CALLS, _calls(one) == _calls(other)
    given = _object(one.text)
    if given is not None:
        wanted = dict(_values(given))
        found = _object(other.text)
        if not wanted:
            return None
        return ComparedBy.FIELDS, found is not None and _same(wanted, dict(_values(found)))
    if not plain(one.text) or len(one.text) > SHORT:
        return None
    return ComparedBy.SHORT, len(other.text) <= WORDY and _says(one.text, other.text)


def refuses(said: Said) -> bool:
    """Return whether an answer declines to do what was asked, in English or German. Never raises."""
    if said.refused:
        return True
    if said.calls:
        return False
    opening = said.text[:OPENING].casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _REFUSES.search(opening) is not None


def _says(one: str, other: str) -> bool:
    """Return whether two answers are the same but for words around: "Die Antwort ist: Rechnung." says "Rechnung"."""
    return plain(one) == plain(other) or stands_alone(one, other) or stands_alone(other, one)


def _calls(said: Said) -> list[tuple[str, object]]:
    return [(name, _json(arguments)) for name, arguments in said.calls]


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _object(text: str) -> dict[str, Any] | None:
    return find_object(text, _ANYTHING)[0] if "{" in text else None


def _same(wanted: Mapping[str, object], found: Mapping[str, object]) -> bool:
    return wanted.keys() == found.keys() and all(_equal(wanted[key], found[key]) for key in wanted)


def _equal(one: object, other: object) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return plain(one) == plain(other) if plain(one) else one == other
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _values(node: object, path: str = "", depth: int = DEEP) -> Iterator[tuple[str, object]]:
    """Yield places and values that are no free text."""
    if isinstance(node, Mapping | list) and depth:
        items = node.items() if isinstance(node, Mapping) else enumerate(node)
        for key, value in items:
            yield from _values(value, f"{path}/{key}", depth - 1)
    elif not isinstance(node, str) or len(node) <= SHORT:
        yield path, node
