"""Classify a conversation: by trained weights, and where they know nothing or are missing, by cues and length.

It must not know profiles, model groups, load or LiteLLM. Synchronous, no I/O, its cost flat in the prompt's length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import mul

import numpy as np

from neuronode_router.classifier import excerpt, lexicon, reading, tiers, weights
from neuronode_router.classifier.classification import (
    DEFAULT_TIER,
    LABELS,
    Classification,
    Layer,
    Task,
    cheapest,
    task_of,
)
from neuronode_router.classifier.decisions import Decisions, chance, of_work
from neuronode_router.domain.names import Tier

SURE_ERRAND = 0.9
"""How sure the tier of an errand is: all of them that our collected prompts have are light ones."""
MAX_EVIDENCE = 8
DECISIVE_SCORE, DECISIVE_LEAD = 4.0, 2.0
"""Two clear cues for one task, and one more than for any other."""
DECISIVE, LIKELY, DOUBTFUL = 0.98, 0.78, 0.45
"""How often the lexicon is right alone: two clear cues ahead, one ahead, less."""
CLEAR_VOTE = np.float32(0.3)
"""The share that clear cues give their label; the weights may still say otherwise."""
NO_GUESS, FAMILIAR = 0.15, 0.34
"""Below this share, or with fewer known words and no cue, there is no evidence, and the length decides."""
MERE_TEXT, ASKS = 0.5, 0.15
"""A piece with this share of `document` is mere text; one with this share of what is asked for is not."""
ASKED_FOR = frozenset(LABELS)
SHORT, LONG = 50, 500
"""The plan's lengths, in characters."""
UNKNOWN_DIFFICULTY = 0.5


@dataclass(frozen=True, slots=True)
class CueVerdict:
    """What the cues alone say: the label with the most weight, and how far it leads."""

    label: str
    score: float
    lead: float

    @property
    def confidence(self) -> float:
        """How often cues like these are right."""
        if self.score >= DECISIVE_SCORE and self.lead >= DECISIVE_LEAD:
            return DECISIVE
        return LIKELY if self.lead >= 1 else DOUBTFUL


NO_VERDICT = CueVerdict("", 0.0, 0.0)


class Classifier:
    """A lexicon and, where they could be loaded, weights. Immutable; safe to share between threads and requests."""

    def __init__(self, cues: lexicon.Lexicon, trained: weights.Weights | None) -> None:
        self._lexicon = cues
        self._weights = trained

    def classify(self, messages: Sequence[Mapping[str, object]] | str) -> Classification:
        """Return what a conversation asks for; low confidence where nothing tells. Never raises."""
        return self.classify_excerpt(excerpt.read(messages))

    def classify_excerpt(self, read: excerpt.Excerpt) -> Classification:
        """Return what an excerpt asks for: for callers who keep what was said of it before. Never raises."""
        said = self._classified(read)
        return said if read.errand is None else _in_passing(said, read.errand)

    def _classified(self, read: excerpt.Excerpt) -> Classification:
        if not read.pieces:
            return _by_length(read.length)
        if self._weights is None:
            return _untrained([tuple(self._lexicon.find(piece)) for piece in read.pieces], read.length)
        return _trained(reading.read(read, self._lexicon, self._weights.table), read.length, self._weights)


@dataclass(frozen=True, slots=True)
class MergedRequest:
    """A conversation as one request: its parts by how much their instructions count."""

    counts: list[float]
    first: int
    """The part that counts most."""
    shares: list[float]
    """Of `LABELS`."""
    difficulty: float
    """Log odds that it needs a heavy answer."""
    cues: list[lexicon.Rule]
    """Those of the part that counts most, where it instructs."""
    verdict: CueVerdict
    """What they say."""


def merge(said: reading.ScoredConversation, by: Decisions) -> MergedRequest:
    """Return what a conversation asks for."""
    counts = said.counts(by)
    first = max(range(len(counts)), key=counts.__getitem__)
    carrying = said.said[first]
    merged = _mixed(counts, said)
    shares: list[float] = merged.tolist()
    difficulty = sum(map(mul, counts, (part.difficulty for part in said.said)))
    if not any(carrying.found):
        return MergedRequest(counts, first, shares, difficulty, [], NO_VERDICT)
    task, detail, _ = weights.best(shares)
    cues = _cues(carrying.found, _mere_text(carrying, detail or task.value))
    verdict = _by_cues(cues)
    if verdict.confidence == DECISIVE:
        merged *= 1 - CLEAR_VOTE
        merged[LABELS.index(verdict.label)] += CLEAR_VOTE
        shares = merged.tolist()
    return MergedRequest(counts, first, shares, difficulty, cues, verdict)


def _mixed(counts: Sequence[float], said: reading.ScoredConversation) -> weights.Floats:
    """Return the shares of `LABELS` of all parts by their counts."""
    mixed: weights.Floats = np.float32(counts[0]) * said.said[0].merged
    for count, part in zip(counts[1:], said.said[1:], strict=True):
        mixed += np.float32(count) * part.merged
    return mixed


def work_numbers(said: reading.ScoredConversation, by: Decisions) -> tuple[float, ...]:
    """Return what the decisions about the tier go by."""
    return _work(merge(said, by))


def _work(merged: MergedRequest) -> tuple[float, ...]:
    signs = {rule.task for rule in merged.cues}
    return of_work(
        tiers.masses(merged.shares),
        merged.difficulty,
        harder=lexicon.HARDER in signs,
        easier=lexicon.EASIER in signs,
    )


def _trained(said: reading.ScoredConversation, length: int, trained: weights.Weights) -> Classification:
    by = trained.decisions
    merged = merge(said, by)
    task, detail, share = weights.best(merged.shares)
    difficulty = chance(merged.difficulty)
    window = said.said[merged.first].window
    gain = by.large((window[weights.LARGE_RIGHT],)) - by.small((window[weights.SMALL_RIGHT],))
    known = merged.verdict.score > 0 or trained.table.familiarity(said.hashed.words) >= FAMILIAR
    if not known or share < NO_GUESS:
        return replace(_by_length(length, cues=merged.cues), difficulty=difficulty, gain=gain)
    numbers = _work(merged)
    more = by.medium(numbers)
    most = min(more, by.complex(numbers))
    chances = (1 - more, more - most, most)
    return Classification(
        task=task,
        detail=detail,
        tier=cheapest(chances),
        confidence=trained.calibration(share * (1 - chance(window[weights.FOREIGN]))),
        calibrated=True,
        source=Layer.TRAINED,
        evidence=_evidence(merged.cues),
        difficulty=difficulty,
        gain=gain,
        chances=chances,
        carrier=said.carrier(merged.first),
    )


def _in_passing(said: Classification, errand: str) -> Classification:
    """Return what is asked about a conversation in passing: as light as it is, whatever the conversation is about."""
    return replace(
        said,
        tier=Tier.FAST,
        chances=(1.0, 0.0, 0.0),
        confidence=max(said.confidence, SURE_ERRAND),
        evidence=(f"errand: {errand}", *said.evidence)[:MAX_EVIDENCE],
    )


def _cues(found: Sequence[Sequence[lexicon.Rule]], mere_text: Sequence[bool] = ()) -> list[lexicon.Rule]:
    """Return each cue once, leaving out pieces that are mere text, and the window where there are other pieces."""
    chosen = list(zip(found, mere_text or [False] * len(found), strict=True))
    rules = (rule for own, mere in chosen[len(chosen) > 1 :] if not mere for rule in own)
    return list({(rule.task, rule.cue): rule for rule in rules}.values())


def _mere_text(said: reading.ScoredPart, label: str) -> list[bool]:
    """Tell which pieces do not instruct, so that risks named in a contract do not make its summary harder."""
    asked = LABELS.index(label)
    return [
        shares[asked] < ASKS and (shares[weights.DOCUMENT] >= MERE_TEXT or len(piece) > SHORT)
        for piece, shares in zip(said.pieces, said.shares, strict=True)
    ]


def _untrained(found: Sequence[Sequence[lexicon.Rule]], length: int) -> Classification:
    """Answer without weights: by the cues of the whole turn, or by its length."""
    cues = _cues(found)
    verdict = _by_cues(cues)
    if verdict.lead <= 0:
        return _by_length(length, cues=cues)
    task, detail = task_of(verdict.label)
    harder = [rule.cue for rule in cues if rule.task == lexicon.HARDER]
    easier = [rule.cue for rule in cues if rule.task == lexicon.EASIER]
    tier = tiers.choose(DEFAULT_TIER[task], harder=harder, easier=easier)
    return Classification(
        task, detail, tier, verdict.confidence, calibrated=True, source=Layer.LEXICON,
        evidence=_evidence(cues), difficulty=UNKNOWN_DIFFICULTY,
    )  # fmt: skip


def _by_cues(cues: Sequence[lexicon.Rule]) -> CueVerdict:
    scores: dict[str, float] = {}
    for rule in cues:
        if rule.task in ASKED_FOR:
            scores[rule.task] = scores.get(rule.task, 0.0) + rule.weight
    if not scores:
        return NO_VERDICT
    ranked = [*sorted(scores.items(), key=lambda item: -item[1]), ("", 0.0), ("", 0.0)]
    (label, score), (_, second) = ranked[:2]
    return CueVerdict(label, score, score - second)


def _by_length(length: int, *, cues: Sequence[lexicon.Rule] = ()) -> Classification:
    """The plan's last resort. Its confidences stay below `CONFIDENT`: a length is hardly evidence."""
    task, confidence = Task.RAG_QUERY, 0.3
    if length < SHORT:
        task, confidence = Task.CHAT, 0.4
    elif length > LONG:
        task, confidence = Task.TRADING_ANALYSIS, 0.3
    return Classification(
        task, "", DEFAULT_TIER[task], confidence, calibrated=False, source=Layer.LENGTH,
        evidence=_evidence(cues), difficulty=UNKNOWN_DIFFICULTY,
    )  # fmt: skip


def _evidence(cues: Sequence[lexicon.Rule]) -> tuple[str, ...]:
    """Return the strongest cues first, in our own words: nothing of the user's text."""
    if not cues:
        return ()
    strongest = sorted(cues, key=lambda rule: -rule.weight)
    return tuple(f"{rule.task}: {rule.cue}" for rule in strongest[:MAX_EVIDENCE])
