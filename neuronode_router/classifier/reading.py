"""Score the parts of a conversation by the weights, and tell which part carries the instruction.

It must not know tiers, or how an answer is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuronode_router.classifier import decisions, weights
from neuronode_router.classifier.classification import LABELS, Carrier, Task
from neuronode_router.classifier.decisions import PartNumbers
from neuronode_router.classifier.excerpt import Excerpt
from neuronode_router.classifier.features import Hashed, cue_rows, hash_lines
from neuronode_router.classifier.lexicon import Lexicon, Rule

CHAT = LABELS.index(Task.CHAT.value)


@dataclass(frozen=True, slots=True)
class ScoredPart:
    """What cues and weights say of a turn or a system prompt."""

    pieces: tuple[str, ...]
    found: tuple[tuple[Rule, ...], ...]
    """The cues of each piece."""
    window: list[float]
    """The weights' columns of its first piece."""
    shares: list[list[float]]
    """Of each label and of `document`, for each piece."""
    merged: weights.Floats
    """Of each label, for the whole."""
    difficulty: float
    """Log odds that it needs a heavy answer."""
    part: PartNumbers


@dataclass(frozen=True, slots=True)
class ScoredConversation:
    """A scored conversation: its turn, the turns before it, the newest first, and its system prompt if it has one."""

    said: tuple[ScoredPart, ...]
    has_system: bool
    hashed: Hashed

    def counts(self, by: decisions.Decisions) -> list[float]:
        """Return how much the instruction of each of `said` counts; they add up to 1.

        That of the system prompt, where it stands for whatever comes; else the turn's, or, as far as the turn leans
        on the one before, that one's, by the same question.
        """
        counts, left = [0.0] * len(self.said), 1.0
        turns = self.said[: len(self.said) - self.has_system]
        for number, turn in enumerate(turns):
            if self.has_system:
                taken = left * by.system(decisions.of_system(self.said[-1].part, turn.part))
                counts[-1] += taken
                left -= taken
            leans = by.follows(decisions.of_turn(turn.part)) if number + 1 < len(turns) else 0.0
            counts[number] = left * (1 - leans)
            left *= leans
        return counts

    def carrier(self, number: int) -> Carrier:
        """Return what kind of part stands at a place of `said`."""
        if self.has_system and number == len(self.said) - 1:
            return Carrier.SYSTEM
        return Carrier.EARLIER if number else Carrier.TURN


def read(excerpt: Excerpt, cues: Lexicon, trained: weights.Table) -> ScoredConversation:
    """Return what is said of an excerpt that has pieces, computed in one pass."""
    parts = excerpt.parts
    pieces = [piece for part in parts for piece in part]
    found = [tuple(cues.find(piece)) for piece in pieces]
    hashed = hash_lines(
        pieces, [[row for rule in own for row in cue_rows(rule.task, rule.cue)] for own in found]
    )
    scores = trained.scores_of(hashed)
    shares = weights.probabilities(scores)
    turn = len(excerpt.pieces)
    merged = [weights.combine(shares[:turn])]
    if turn < len(pieces):
        merged += [*weights.alone(shares[turn:])]
    instructs = 1 - shares[:, weights.DOCUMENT]
    difficulties = _difficulties(scores[:, weights.DIFFICULTY], instructs, turn)
    columns, each, asks = scores.tolist(), shares.tolist(), instructs.tolist()
    said, at = [], 0
    for number, part in enumerate(parts):
        own = slice(at, at := at + len(part))
        labels, window = merged[number].tolist(), columns[own.start]
        told = PartNumbers(
            share=max(labels),
            chat=labels[CHAT],
            document=each[own.start][weights.DOCUMENT],
            asks=max(asks[own]),
            standing=window[weights.STANDING],
            follows=window[weights.FOLLOWS],
            length=len(part[0]) if number else excerpt.length,
        )
        said.append(
            ScoredPart(part, tuple(found[own]), window, each[own], merged[number], difficulties[number], told)
        )
    return ScoredConversation(tuple(said), bool(excerpt.system), hashed)


def _difficulties(scores: weights.Floats, instructs: weights.Floats, turn: int) -> list[float]:
    """Return that of each part: the mean of its pieces as far as they instruct. Only the first has `turn` of them."""
    told = float(scores[:turn] @ instructs[:turn]) / (float(np.add.reduce(instructs[:turn])) or 1.0)
    if turn == len(scores):
        return [told]
    others = zip((scores[turn:] * instructs[turn:]).tolist(), instructs[turn:].tolist(), strict=True)
    return [told, *(score / (share or 1.0) for score, share in others)]
