"""What can be learned from: judged decisions of one's own history, or a labelled file. Both become features.

It must not know how weights are fitted. No text is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuronode_router.classifier import excerpt, lexicon, weights
from neuronode_router.classifier.classification import LABELS, Layer
from neuronode_router.classifier.classifier import Classifier
from neuronode_router.classifier.features import Rows
from neuronode_router.classifier.history import FEEDBACK, Entry, FeedbackOutcome, History, Sign
from neuronode_router.classifier.observed import observe, scheme
from neuronode_router.classifier.training import labelled
from neuronode_router.domain.names import Tier

FAILED = frozenset({FeedbackOutcome.ESCALATED, FeedbackOutcome.LABEL_FAILURE, FeedbackOutcome.JUDGED_SHORT})


@dataclass(frozen=True, slots=True)
class Lesson:
    """A turn's features, what was said about it, and what would have been right."""

    features: Rows
    said: str
    """The label that the classifier gave."""
    source: Layer
    has_cues: bool
    """Whether a cue for some label was found."""
    label: str | None = None
    """The right label; None where it is not known."""
    hard: bool | None = None
    """Whether it needs a heavy answer; None where it is not known."""
    day: str = ""
    """When it was asked; empty for files."""
    giver: str = ""
    """Who said what is right; empty for files and for our own signs."""


def from_history(history: History) -> list[Lesson]:
    """Return every decision that has an outcome. Raises `HistoryUnavailable`."""
    return [_lesson(entry, signs) for entry, signs in history.judged(scheme())]


@dataclass(frozen=True, slots=True)
class Taught:
    """How many rows of a file teach what; a row may teach both."""

    rows: int
    labels: int
    easy: int
    hard: int
    nothing: int
    """Rows without any letter, or with neither a label nor the tier fast or complex."""


def from_file(path: Path, in_use: weights.Weights) -> tuple[list[Lesson], Taught]:
    """Return the lines of a file with `text` and `label`, `tier` or both, and what they teach. Raises `LabelError`."""
    classifier = Classifier(lexicon.shipped(), in_use)
    rows = labelled.placed_rows(path)
    found = [_marked(row, place, classifier) for place, row in rows.items()]
    lessons = [lesson for lesson in found if lesson is not None]
    taught = Taught(
        rows=len(rows),
        labels=sum(lesson.label is not None for lesson in lessons),
        easy=sum(lesson.hard is False for lesson in lessons),
        hard=sum(lesson.hard is True for lesson in lessons),
        nothing=len(rows) - len(lessons),
    )
    return lessons, taught


def _marked(row: Mapping[str, Any], place: str, classifier: Classifier) -> Lesson | None:
    text, label = labelled.text_of(row, place), labelled.label_of(row, place)
    hard = _hard(labelled.tier_of(row, place) or "")
    turn = excerpt.read(text)
    if not turn.pieces or (label is None and hard is None):
        return None
    said = classifier.classify_excerpt(turn)
    return Lesson(
        features=observe(turn, lexicon.shipped()),
        said=said.detail or said.task.value,
        source=said.source,
        has_cues=any_cue(said.evidence),
        label=label,
        hard=hard,
    )


def any_cue(evidence: Sequence[str]) -> bool:
    """Return whether one of `task: cue` speaks for a label: "harder" and "easier" do not."""
    return any(cue.partition(":")[0] in LABELS for cue in evidence)


def _lesson(entry: Entry, signs: Sequence[Sign]) -> Lesson:
    feedback = next((sign for sign in reversed(signs) if sign.kind in FEEDBACK), None)
    label, hard = None, None
    if feedback is not None:
        right = feedback.kind is FeedbackOutcome.RIGHT
        label = entry.label if right else feedback.label
        # Of a tier that load, a session or prices chose, "right" does not say that the classifier's would have done.
        own = entry.tier if entry.chosen is None or entry.chosen.tier is entry.tier else ""
        hard = _hard(feedback.tier or (own if right else ""))
    kinds = {sign.kind for sign in signs}
    if hard is None and kinds & FAILED:
        hard = True
    elif hard is None and FeedbackOutcome.JUDGED_ENOUGH in kinds:
        hard = False
    return Lesson(
        features=entry.features,
        said=entry.label,
        source=entry.source,
        has_cues=any_cue(entry.cues),
        label=label,
        hard=hard,
        day=datetime.fromtimestamp(entry.at, UTC).date().isoformat(),
        giver=feedback.giver if feedback else "",
    )


def _hard(tier: str) -> bool | None:
    """A medium request is neither."""
    return {Tier.COMPLEX.value: True, Tier.FAST.value: False}.get(tier)
