"""Writes down what the classifier decided, features only, in a thread of its own; requests only leave a note.

It must not keep text unless the operator samples prompts, and must never make a request wait.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuronode_router.auto.comparison import Comparison
from neuronode_router.auto.followups import COUNTED_SHARE, GOES_ON, AskedBefore, Followups, features_of
from neuronode_router.auto.outcome_store import OutcomeOf
from neuronode_router.auto.outcomes import Outcomes
from neuronode_router.auto.router import Routed
from neuronode_router.background import Failures
from neuronode_router.classifier import Classification, lexicon
from neuronode_router.classifier.classification import Carrier
from neuronode_router.classifier.excerpt import Excerpt
from neuronode_router.classifier.history import (
    ChosenTier,
    Entry,
    FeedbackOutcome,
    History,
    OutcomeEvidence,
    Sign,
)
from neuronode_router.classifier.observed import observe, scheme
from neuronode_router.domain.decisions import Decision
from neuronode_router.domain.names import Tier
from neuronode_router.routing.sufficiency import RequestKind, suffices

WAITING = 2000
"""Notes that may wait for a slow disk; further ones are dropped and counted."""
BATCH, BATCH_SECONDS = 200, 0.2
MAX_CALL_ID = 128
STOP_SECONDS = 2.0
CHECKS_PASSED = 0.98
"""The share of answers whose form is right where a model is up to its task: what a check is held against. A right form
says little of the answer, a wrong one much.
"""
GOOD = frozenset({FeedbackOutcome.SUFFICED, FeedbackOutcome.JUDGED_ENOUGH})
JUDGED = frozenset({FeedbackOutcome.JUDGED_ENOUGH, FeedbackOutcome.JUDGED_SHORT})
WRITING = "writing the history of decisions"


@dataclass(frozen=True, slots=True)
class _Decided:
    """What a request leaves behind: a few thousand characters at most."""

    at: float
    call_id: str
    caller: str
    excerpt: Excerpt
    classification: Classification
    considered: Decision
    sent_to: str
    chosen: ChosenTier | None
    conversation: bytes | None
    place: int


@dataclass(frozen=True, slots=True)
class _TurnedOut:
    at: float
    call_id: str
    kind: FeedbackOutcome
    callers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Answered:
    call_id: str
    caller: str


_Note = _Decided | _TurnedOut | _Answered


class DecisionRecorder:
    """A watcher of the AutoRouter. `sampled` is the share of decisions whose text is kept, 0 to 1."""

    def __init__(
        self,
        history: History,
        *,
        sampled: float,
        failures: Failures,
        outcomes: Outcomes | None = None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._history = history
        self._sampled = sampled
        self._failures = failures
        self._outcomes = outcomes
        self._clock = clock
        self._chance = chance
        # Bounded by `_leave`: the simple queue costs a request a tenth of what the bounded one does.
        self._notes: queue.SimpleQueue[_Note | None] = queue.SimpleQueue()
        self._followups = Followups()
        self._thread = threading.Thread(target=self._write_all, name="neuronode-history", daemon=True)
        self._ended = False
        self.dropped = 0
        """Notes that were lost because too many waited, or because the file could not be written."""

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        if self._thread.is_alive():
            self._notes.put(None)
            self._thread.join(STOP_SECONDS)

    def __call__(self, routed: Routed, identity: str, body: Mapping[str, Any]) -> None:
        """Note one routed request, if it was classified by what it says. Never waits."""
        call_id = body.get("litellm_call_id")
        if routed.classification is None or not _usable(call_id):
            return
        if routed.excerpt is None or not routed.excerpt.pieces:
            return
        note = _Decided(
            at=self._clock(),
            call_id=str(call_id),
            caller=identity,
            excerpt=routed.excerpt,
            classification=routed.classification,
            considered=routed.considered,
            sent_to=routed.decision.group,
            chosen=_chosen(routed.classification, routed.decision),
            conversation=routed.conversation,
            place=routed.place,
        )
        self._leave(note)

    def answered(self, call_id: str, *, caller: str) -> None:
        """Note that the chosen group has answered a caller's call. Never waits."""
        if _usable(call_id):
            self._leave(_Answered(call_id, caller))

    def outcome(self, call_id: str, kind: FeedbackOutcome, *, callers: tuple[str, ...]) -> None:
        """Note how the decision of a call by one of `callers` turned out; without one, nothing is. Never waits."""
        if _usable(call_id):
            self._leave(_TurnedOut(self._clock(), call_id, kind, callers))

    def judged(self, comparison: Comparison, enough: bool) -> None:
        """Note what the judge said of a light answer. Never waits."""
        kind = FeedbackOutcome.JUDGED_ENOUGH if enough else FeedbackOutcome.JUDGED_SHORT
        self.outcome(comparison.call_id, kind, callers=(comparison.caller,))

    def count(
        self,
        number: int,
        entry: Entry,
        *,
        good: Callable[[Tier], bool],
        evidence: OutcomeEvidence = OutcomeEvidence.VERDICT,
        of_answer: bool = False,
    ) -> None:
        """Count whether the tier that a decision chose was good enough: of verdicts the first is heard, and beside it a
        hint. What is said `of_answer` counts only where that tier's group gave it, and no fallback.

        A verdict is held against the chance that the text gave; a hint against that of its being good where a model is
        up to its task. It blocks; any thread may call it. Raises `HistoryUnavailable`.
        """
        if self._outcomes is None:
            return
        chosen = self._history.count_once(number, evidence, answered=of_answer)
        if chosen is not None:
            hint = evidence is not OutcomeEvidence.VERDICT
            self._outcomes.saw(
                OutcomeOf(RequestKind(chosen.profile, entry.label), chosen.tier, hint=hint),
                good=good(chosen.tier),
                expected=CHECKS_PASSED if hint else chosen.enough,
            )

    def _leave(self, note: _Note) -> None:
        if self._notes.qsize() < WAITING:
            self._notes.put(note)
        else:
            self.dropped += 1

    def _write_all(self) -> None:
        cues = lexicon.shipped()
        while not self._ended:
            notes, written = self._gather(), False
            with self._failures.survived(WRITING):
                self._write(notes, cues)
                written = True
            if not written:
                self.dropped += len(notes)

    def _gather(self) -> list[_Note]:
        """Return the notes of the next moments."""
        notes: list[_Note] = []
        until = 0.0
        while len(notes) < BATCH:
            try:
                note = self._notes.get(timeout=max(0.0, until - time.monotonic()) if notes else None)
            except queue.Empty:
                break
            if note is None:
                self._ended = True
                break
            until = until or time.monotonic() + BATCH_SECONDS
            notes.append(note)
        return notes

    def _write(self, notes: Sequence[_Note], cues: lexicon.Lexicon) -> None:
        read = [(note, self._entry(note, cues) if isinstance(note, _Decided) else None) for note in notes]
        entries = [entry for _, entry in read if entry is not None]
        if entries:
            self._history.add(entries)
        if self._outcomes is not None:
            answered = [(note.call_id, note.caller) for note in notes if isinstance(note, _Answered)]
            if answered:
                self._history.answered(answered)
            self._follow(read, self._outcomes)
        for note in notes:
            if isinstance(note, _TurnedOut):
                self._turned_out(note)

    def _follow(self, read: Sequence[tuple[_Note, Entry | None]], outcomes: Outcomes) -> None:
        """Look, in the order of the notes, whether a request asks again what was asked before."""
        for note, entry in read:
            if isinstance(note, _Answered):
                self._followups.answered(note.call_id)
            elif isinstance(note, _Decided) and entry is not None:
                found = self._followed(note, entry)
                if found is not None and self._chance() < COUNTED_SHARE:
                    outcomes.saw(found[0], good=found[1], expected=GOES_ON)

    def _followed(self, note: _Decided, entry: Entry) -> tuple[OutcomeOf, bool] | None:
        # What another part than the turn asks for is asked again with every turn.
        if (
            note.chosen is None
            or note.conversation is None
            or note.classification.carrier is not Carrier.TURN
        ):
            return None
        of = OutcomeOf(RequestKind(note.chosen.profile, entry.label), note.chosen.tier, hint=True)
        asked = AskedBefore(note.call_id, note.at, note.place, of, features_of(entry.features))
        return self._followups.asked(note.conversation, asked)

    def _turned_out(self, note: _TurnedOut) -> None:
        good = note.kind in GOOD
        for number, entry in self._history.find(note.call_id, callers=note.callers, limit=1):
            if note.kind is not FeedbackOutcome.SUFFICED:
                self._history.note(number, Sign(note.kind, at=note.at))
            hint = OutcomeEvidence.GOOD_HINT if good else OutcomeEvidence.BAD_HINT
            evidence = OutcomeEvidence.VERDICT if note.kind in JUDGED else hint
            self.count(number, entry, good=lambda _: good, evidence=evidence)

    def _entry(self, note: _Decided, cues: lexicon.Lexicon) -> Entry:
        said = note.classification
        return Entry(
            call_id=note.call_id,
            at=note.at,
            caller=note.caller,
            scheme=scheme(),
            features=observe(note.excerpt, cues, said.carrier),
            cues=said.evidence,
            label=said.detail or said.task.value,
            source=said.source,
            confidence=said.confidence,
            tier=said.tier,
            wanted=note.considered.wanted,
            sent_to=note.sent_to,
            text="\n".join(note.excerpt.carrying(said.carrier)) if self._chance() < self._sampled else None,
            chosen=note.chosen,
        )


def _chosen(said: Classification, decision: Decision) -> ChosenTier | None:
    if said.chances is None or decision.profile is None or decision.tier is None:
        return None
    return ChosenTier(decision.profile, decision.tier, suffices(said.chances, decision.tier))


def _usable(call_id: object) -> bool:
    return isinstance(call_id, str) and 0 < len(call_id) <= MAX_CALL_ID
