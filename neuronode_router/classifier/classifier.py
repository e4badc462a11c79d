"""Classify a prompt: cues first, trained weights next, length last; the first layer that is sure enough answers.

It must not know profiles, model groups, load or LiteLLM. Synchronous, no I/O, its cost flat in the prompt's length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neuronode_router.classifier import excerpt, lexicon, tiers, weights
from neuronode_router.classifier.classification import (
    DEFAULT_TIER,
    LABELS,
    Classification,
    Layer,
    Task,
    task_of,
)
from neuronode_router.classifier.features import cue_rows, hash_rows
from neuronode_router.domain import Tier

MAX_EVIDENCE = 8
DECISIVE_SCORE, DECISIVE_LEAD = 4.0, 2.0
"""Two clear cues for one task, and one more than for any other: right 98 of 100 times on unseen sources."""
DECISIVE, LIKELY, DOUBTFUL = 0.98, 0.78, 0.45
"""How often the lexicon is right alone: two clear cues ahead, one ahead, less."""
NO_GUESS, FAMILIAR = 0.15, 0.34
"""Below this share, or with fewer known words and no cue, there is no evidence, and the length decides."""
MERE_TEXT, ASKS = 0.5, 0.15
"""A piece with this share of `document` is mere text; one with this share of what is asked for is not."""
SHORT, LONG = 50, 500
"""The plan's lengths, in characters."""
UNKNOWN_DIFFICULTY = 0.5


@dataclass(frozen=True, slots=True)
class Reading:
    """What the lexicon found in a turn."""

    pieces: tuple[str, ...]
    found: tuple[tuple[lexicon.Rule, ...], ...]
    """The cues of each piece."""

    def cues(self, mere_text: Sequence[bool] = ()) -> list[lexicon.Rule]:
        """Return each cue once, leaving out pieces that are mere text, and the window where there are other pieces."""
        chosen = list(zip(self.found, mere_text or [False] * len(self.found), strict=True))
        rules = (rule for found, mere in chosen[len(chosen) > 1 :] if not mere for rule in found)
        return list({(rule.task, rule.cue): rule for rule in rules}.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the cues alone say: the label with the most weight, and how far it leads."""

    label: str
    score: float
    lead: float

    @property
    def decisive(self) -> bool:
        """Whether the cues alone settle it."""
        return self.score >= DECISIVE_SCORE and self.lead >= DECISIVE_LEAD


class Classifier:
    """A lexicon and, where they could be loaded, weights. Immutable; safe to share between threads and requests."""

    def __init__(self, cues: lexicon.Lexicon, trained: weights.Weights | None) -> None:
        self._lexicon = cues
        self._weights = trained

    def classify(self, messages: Sequence[Mapping[str, object]] | str) -> Classification:
        """Return what the last user turn asks for; low confidence where nothing tells. Never raises."""
        return self.classify_excerpt(excerpt.read(messages))

    def classify_excerpt(self, turn: excerpt.Excerpt) -> Classification:
        """Return what an excerpt asks for: for callers who keep what was said of it before. Never raises."""
        if not turn.pieces:
            return _by_length(turn.length)
        reading = Reading(turn.pieces, tuple(tuple(self._lexicon.find(piece)) for piece in turn.pieces))
        if self._weights is None:
            return _untrained(reading, turn.length)
        return _trained(reading, turn.length, self._weights)


def _trained(reading: Reading, length: int, trained: weights.Weights) -> Classification:
    rows = [[row for rule in rules for row in cue_rows(rule.task, rule.cue)] for rules in reading.found]
    hashed = hash_rows(reading.pieces, rows)
    scores = trained.engine.scores(hashed)
    shares = weights.probabilities(scores)
    difficulty = float(1 / (1 + np.exp(-scores[0, weights.DIFFICULTY])))
    verdict = _by_cues(reading.cues((shares[:, weights.DOCUMENT] >= MERE_TEXT).tolist()))
    merged = weights.combine(shares)
    task, detail, share = weights.best(merged)
    label, confidence, layer = detail or task.value, trained.calibration(share), Layer.TRAINED
    if verdict.decisive:
        label, confidence, layer = verdict.label, DECISIVE, Layer.LEXICON
    cues = reading.cues(_mere_text(reading.pieces, shares, label))
    unfamiliar = verdict.score == 0 and trained.table.familiarity(hashed) < FAMILIAR
    if layer is Layer.TRAINED and (unfamiliar or share < NO_GUESS):
        return _by_length(length, cues=cues, difficulty=difficulty)
    base = tiers.default(task_of(label)[0], difficulty)
    if layer is Layer.TRAINED:
        base = tiers.likeliest(dict(zip(LABELS, merged.tolist(), strict=True)), difficulty)
    return _answer(label, cues, (base, difficulty), confidence=confidence, layer=layer)


def _mere_text(pieces: Sequence[str], shares: weights.Floats, label: str) -> list[bool]:
    """Tell which pieces do not instruct, so that risks named in a contract do not make its summary harder."""
    asks = shares[:, LABELS.index(label)]
    document = shares[:, weights.DOCUMENT]
    return [
        asked < ASKS and (share >= MERE_TEXT or len(piece) > SHORT)
        for piece, asked, share in zip(pieces, asks.tolist(), document.tolist(), strict=True)
    ]


def _untrained(reading: Reading, length: int) -> Classification:
    """Answer without weights: by the cues of the whole turn, or by its length."""
    cues = reading.cues()
    verdict = _by_cues(cues)
    if verdict.lead <= 0:
        return _by_length(length, cues=cues)
    confidence = DECISIVE if verdict.decisive else LIKELY if verdict.lead >= 1 else DOUBTFUL
    base = tiers.default(task_of(verdict.label)[0], UNKNOWN_DIFFICULTY)
    return _answer(
        verdict.label, cues, (base, UNKNOWN_DIFFICULTY), confidence=confidence, layer=Layer.LEXICON
    )


def _by_cues(cues: Sequence[lexicon.Rule]) -> Verdict:
    scores: dict[str, float] = {}
    for rule in cues:
        if rule.task in LABELS:
            scores[rule.task] = scores.get(rule.task, 0.0) + rule.weight
    ranked = [*sorted(scores.items(), key=lambda item: -item[1]), ("", 0.0), ("", 0.0)]
    (label, score), (_, second) = ranked[:2]
    return Verdict(label, score, score - second)


def _answer(
    label: str,
    cues: Sequence[lexicon.Rule],
    weight: tuple[Tier, float],
    *,
    confidence: float,
    layer: Layer,
) -> Classification:
    """`weight` is the tier before cues move it, and the difficulty."""
    base, difficulty = weight
    task, detail = task_of(label)
    harder = [rule.cue for rule in cues if rule.task == lexicon.HARDER]
    easier = [rule.cue for rule in cues if rule.task == lexicon.EASIER]
    return Classification(
        task=task,
        detail=detail,
        tier=tiers.choose(base, harder=harder, easier=easier),
        confidence=confidence,
        calibrated=True,
        source=layer,
        evidence=_evidence(cues),
        difficulty=difficulty,
    )


def _by_length(
    length: int, *, cues: Sequence[lexicon.Rule] = (), difficulty: float = UNKNOWN_DIFFICULTY
) -> Classification:
    """The plan's last resort. Its confidences stay below `CONFIDENT`: a length is hardly evidence."""
    task, confidence = Task.RAG_QUERY, 0.3
    if length < SHORT:
        task, confidence = Task.CHAT, 0.4
    elif length > LONG:
        task, confidence = Task.TRADING_ANALYSIS, 0.3
    return Classification(
        task, "", DEFAULT_TIER[task], confidence, calibrated=False, source=Layer.LENGTH,
        evidence=_evidence(cues), difficulty=difficulty,
    )  # fmt: skip


def _evidence(cues: Sequence[lexicon.Rule]) -> tuple[str, ...]:
    """Return the strongest cues first, in our own words: nothing of the user's text."""
    strongest = sorted(cues, key=lambda rule: -rule.weight)
    return tuple(f"{rule.task}: {rule.cue}" for rule in strongest[:MAX_EVIDENCE])
