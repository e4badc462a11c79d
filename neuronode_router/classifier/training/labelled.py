"""Read labelled prompts from JSON lines: one's own history, or the shared evaluation data.

It must not keep text anywhere but in memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuronode_router.classifier.classification import LABELS
from neuronode_router.classifier.training.corpus import Example
from neuronode_router.domain.names import TIERS, Tier
from neuronode_router.errors import NeuronodeError

SHOWN = 60
"""Characters of a wrong value that a message shows."""
_FAMILY_END = re.compile(r"[:#]| \+ ")
_NOT_PLAINLY_OPEN = ("terms", "review text", "tweets", "fiqa", "own licences", "text bbc")


class LabelError(NeuronodeError):
    """A labelled file cannot be used."""

    code = "labels_invalid"
    fix = 'Write one JSON object a line: {"text": "...", "label": "summary"}; docs/classifier.md lists the labels.'


@dataclass(frozen=True, slots=True)
class Graded:
    """A prompt of which it is known how hard it is."""

    text: str
    hard: bool
    group: str
    """What it is compared with: difficulty between unlike groups says nothing."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A prompt that a small and a large language model answered."""

    text: str
    small: bool
    """Whether the small one was right."""
    large: bool


def read_rows(path: Path) -> list[Mapping[str, Any]]:
    """Return the objects of a JSONL file. Raises `LabelError` with the line that is not one."""
    return list(placed_rows(path).values())


def placed_rows(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return the objects of a JSONL file by file and line. Raises `LabelError` with the line that is not one."""
    rows: dict[str, Mapping[str, Any]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path} cannot be read: {error}.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise LabelError(f"{place} is not JSON, or too deep.") from error
        if not isinstance(row, dict):
            raise LabelError(f"{place} is not an object.")
        rows[place] = row
    return rows


def text_of(row: Mapping[str, Any], place: str) -> str:
    """Return the text of a row. Raises `LabelError` where there is none."""
    text = row.get("text")
    if not isinstance(text, str):
        raise LabelError(f"{place} has no text.")
    return text


def label_of(row: Mapping[str, Any], place: str) -> str | None:
    """Return what a row says that it asks for, None where it says nothing. Raises `LabelError` for a strange label."""
    label = row.get("label") or row.get("task_type") or row.get("kind")
    if label is None or (isinstance(label, str) and label in LABELS):
        return label
    raise LabelError(f"{place} has the label {_shown(label)}.")


def tier_of(row: Mapping[str, Any], place: str) -> Tier | None:
    """Return the tier that a row names, None where it names none. Raises `LabelError` for another word."""
    tier = row.get("tier")
    if tier is not None and tier not in TIERS:
        raise LabelError(f"{place} has the tier {_shown(tier)}: write fast, medium or complex.")
    return None if tier is None else Tier(tier)


def _shown(value: object) -> str:
    return f"{value!r:.{SHOWN}}"


def examples(rows: Iterable[Mapping[str, Any]]) -> list[Example]:
    """Return the labelled rows; those of unknown type are left out. Raises `LabelError` for a strange label."""
    found = []
    for number, row in enumerate(rows, start=1):
        place = f"Row {number}"
        if label := label_of(row, place):
            source = family(str(row.get("source", "own history")))
            found.append(Example(text_of(row, place), label, str(row.get("lang", "")), source))
    return found


def plainly_open(rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows that the shipped weights may be trained on: none under somebody's terms, no tweets, no reviews."""
    for row in rows:
        licence = str(row.get("licence", "")).lower()
        if not any(word in licence for word in _NOT_PLAINLY_OPEN):
            yield row


def graded(prompts: Iterable[Mapping[str, Any]], outcomes: Iterable[Mapping[str, Any]]) -> list[Graded]:
    """Return what is known of difficulty: tiers with evidence, and items that a large model solved and a small one not.

    A source whose prompts are all hard (chosen for it) is left out: it would teach its topics, not difficulty.
    """
    found = [
        Graded(row["text"], row["tier"] == "complex", family(row["source"]))
        for row in prompts
        if row.get("tier") in ("fast", "complex")
    ]
    found += [
        Graded(row["prompt"], not row["correct_small"], family(row["source"]))
        for row in outcomes
        if row["correct_large"]
    ]
    easy = {item.group for item in found if not item.hard}
    return [item for item in found if item.group in easy]


def tried(outcomes: Iterable[Mapping[str, Any]]) -> list[Tried]:
    """Return what became of prompts at a small and a large language model."""
    return [Tried(row["prompt"], bool(row["correct_small"]), bool(row["correct_large"])) for row in outcomes]


def family(source: str) -> str:
    """Return the source's family: what must be held out together."""
    return _FAMILY_END.split(source)[0].removesuffix("-role").replace("euroeval-de", "euroeval")
