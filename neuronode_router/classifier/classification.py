"""The words of the classifier: tasks, kinds of `other`, and what a classification says.

It must not know how a text is classified, or what LiteLLM does with the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from neuronode_router.domain.names import TIERS, TOO_CHEAP, TOO_DEAR, Tier


class Task(StrEnum):
    """What a prompt asks for: the plan's eight types, and an honest `other`."""

    SENTIMENT = "sentiment"
    CLASSIFICATION = "classification"
    EXTRACTION = "extraction"
    SUMMARY = "summary"
    RAG_QUERY = "rag_query"
    TRADING_ANALYSIS = "trading_analysis"
    STRATEGY = "strategy"
    CHAT = "chat"
    OTHER = "other"


KINDS: tuple[str, ...] = ("code", "translation", "maths", "drafting", "rewriting", "reasoning")
"""The details of `other`."""

LABELS: tuple[str, ...] = (*(task.value for task in Task if task is not Task.OTHER), *KINDS)
"""Tasks and kinds, in the order of the columns of every score."""

DEFAULT_TIER: Mapping[Task, Tier] = MappingProxyType(
    {
        Task.SENTIMENT: Tier.FAST,
        Task.CLASSIFICATION: Tier.FAST,
        Task.EXTRACTION: Tier.FAST,
        Task.SUMMARY: Tier.MEDIUM,
        Task.RAG_QUERY: Tier.MEDIUM,
        Task.TRADING_ANALYSIS: Tier.COMPLEX,
        Task.STRATEGY: Tier.COMPLEX,
        Task.CHAT: Tier.FAST,
        Task.OTHER: Tier.MEDIUM,
    }
)
"""The plan's tier of each task, before signs of a harder or simpler request move it."""


class Carrier(StrEnum):
    """Which part of a conversation carries the instruction."""

    TURN = "turn"
    EARLIER = "earlier"
    SYSTEM = "system"


class Layer(StrEnum):
    """Which layer answered."""

    LEXICON = "lexicon"
    TRAINED = "trained"
    LENGTH = "length"


CONFIDENT = 0.5
"""Below this confidence a profile's `uncertain` tier should decide, not the classification's."""


@dataclass(frozen=True, slots=True)
class Classification:
    """What a prompt asks for, how heavy it is, how sure that is, and by which evidence."""

    task: Task
    detail: str
    """The kind of an `other`, else empty."""
    tier: Tier
    confidence: float
    """Chance that `task` is right, 0 to 1."""
    calibrated: bool
    """True when `confidence` was measured on sources not trained on; False for the length rules."""
    source: Layer
    evidence: tuple[str, ...]
    """Cues of our lexicon that were found, as `task: cue`: never the user's text."""
    difficulty: float
    """Chance that the request needs a heavy answer, by its text alone, 0 to 1."""
    gain: float = 0.0
    """How much likelier a large language model answers it right than a small one: ranks requests, -1 to 1."""
    chances: tuple[float, float, float] | None = None
    """Of each tier being the right one, from the lightest; None where only rules answered."""
    carrier: Carrier = Carrier.TURN
    """Where the instruction stands that was classified."""

    def tier_at(self, *, too_cheap: float, too_dear: float) -> Tier:
        """Return the tier whose expected error costs least, at the cost of one tier too light and one too heavy."""
        if self.chances is None:
            return self.tier
        return cheapest(self.chances, too_cheap=too_cheap, too_dear=too_dear)

    @property
    def confident(self) -> bool:
        """Whether the evidence suffices; if not, the profile's `uncertain` tier decides."""
        return self.confidence >= CONFIDENT


def cheapest(chances: Sequence[float], *, too_cheap: float = TOO_CHEAP, too_dear: float = TOO_DEAR) -> Tier:
    """Return the tier whose expected error costs least; `chances` are those of `TIERS`. Never raises."""
    costs = _costs(chances, too_cheap, too_dear)
    return TIERS[costs.index(min(costs))]


def expected_cost(chances: Sequence[float], tier: Tier, *, too_cheap: float, too_dear: float) -> float:
    """Return what taking a request for `tier` costs on average; `chances` are those of `TIERS`. Never raises."""
    return _costs(chances, too_cheap, too_dear)[TIERS.index(tier)]


def _costs(chances: Sequence[float], too_cheap: float, too_dear: float) -> tuple[float, float, float]:
    fast, medium, heavy = chances
    return (
        medium * too_cheap + heavy * 2 * too_cheap,
        fast * too_dear + heavy * too_cheap,
        fast * 2 * too_dear + medium * too_dear,
    )


def task_of(label: str) -> tuple[Task, str]:
    """Return the task and the detail of one of `LABELS`. Raises `ValueError` for another word."""
    return (Task.OTHER, label) if label in KINDS else (Task(label), "")
