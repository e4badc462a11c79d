"""The classifier of one worker as it learns: new weights are taken up while it runs, feedback reaches the history.

It must not be on the request path, nor know how weights are made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from neuronode_router.access import Principal, Role
from neuronode_router.auto.history_writer import DecisionRecorder
from neuronode_router.auto.outcomes import Outcomes
from neuronode_router.background import Failures
from neuronode_router.classifier import Classifier, lexicon, shipped
from neuronode_router.classifier.artefacts import ArtefactStore, Found, Stamp
from neuronode_router.classifier.history import MOST_PURGED, Entry, FeedbackOutcome, History, Sign
from neuronode_router.domain.names import TIERS
from neuronode_router.errors import ArtefactRefused, UnknownCall
from neuronode_router.settings import Settings
from neuronode_router.tasks.engine import TaskOutcome as TaskOutcome
from neuronode_router.tasks.escalation import EscalationReason
from neuronode_router.threads import in_thread

DAY_SECONDS = 86_400.0
PURGE_SECONDS = 60.0
"""How often a worker forgets decisions that are too old."""

PURGES = 60
"""Transactions of one run at most: the next one goes on."""

PAUSE_SECONDS = 0.1
"""Between two of them: who waits for SQLite's lock looks only now and then."""

RETRY_SECONDS = 10.0
"""How often refused weights are looked at again: they may just be on their way to this host."""


@dataclass(frozen=True, slots=True)
class JudgedDecision:
    """A decision that a caller has just judged."""

    entry: Entry
    turned: int
    """1 if this verdict is the first that calls it wrong, -1 if it takes the last such back, else 0."""


class Learning:
    """What one worker knows of trained weights, of the history, and of feedback."""

    def __init__(
        self,
        settings: Settings,
        *,
        failures: Failures,
        outcomes: Outcomes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._store = ArtefactStore(settings.state_dir)
        self._history = History(settings.state_dir)
        self.outcomes = outcomes
        """None while they are not counted."""
        self._stamp: Stamp | None = None
        self._found: Found | None = None
        self._refusal: str | None = None
        self._cues_only = False
        self._retry_at = 0.0
        self.recorder = (
            DecisionRecorder(
                self._history, sampled=settings.sample_prompts, failures=failures, outcomes=self.outcomes
            )
            if settings.history == "on"
            else None
        )

    def first(self) -> Classifier:
        """Return the classifier to begin with: the trained weights, else the shipped ones, else cues and lengths."""
        self._stamp = self._store.stamp()
        try:
            return self._classifier()
        except ArtefactRefused as refusal:
            self._refusal = f"{refusal.message} {refusal.fix} The shipped weights are in use."
        try:
            return shipped()
        except ArtefactRefused as refusal:
            self._refusal = (
                f"{refusal.message} {refusal.fix} Until then `auto` goes by cues and lengths alone."
            )
            self._cues_only = True
            return Classifier(lexicon.shipped(), None)

    def start(self) -> None:
        """Begin to write the history, if it is on."""
        if self.recorder is not None:
            self.recorder.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        if self.recorder is not None:
            self.recorder.stop()

    async def refresh(self, use: Callable[[Classifier], None]) -> None:
        """Take up what the pointer names since it was last looked at; weights that are refused leave those in use."""
        stamp = self._store.stamp()  # one stat: a thread would take longer
        if stamp != self._stamp or (self._refusal is not None and self._clock() >= self._retry_at):
            self._stamp, self._retry_at = stamp, self._clock() + RETRY_SECONDS
            try:
                use(await in_thread(self._classifier))
            except ArtefactRefused as refusal:
                self._refusal = f"{refusal.message} {refusal.fix} What was in use before stays in use."

    async def purge(self) -> None:
        """Forget decisions that are too old, in many short transactions. Raises `HistoryUnavailable`."""
        oldest = self._clock() - self._settings.history_days * DAY_SECONDS
        for _ in range(PURGES):
            if await in_thread(self._history.purge, oldest) < MOST_PURGED:
                break
            await asyncio.sleep(PAUSE_SECONDS)

    async def judge(self, call_id: str, sign: Sign, *, by: Principal, key_hash: str) -> JudgedDecision:
        """Keep what a caller says of a decision, and return that decision and what it changed.

        Raises `UnknownCall` where there is none, or it is none of the caller's and he is no administrator, and
        `HistoryUnavailable`.
        """
        return await in_thread(self._judge, call_id, sign, by, key_hash)

    def turned_out(self, outcome: TaskOutcome, *, by: Principal, key_hash: str) -> None:
        """Note how a caller's classified request of the task API turned out, by its first answer. Never waits.

        The answer of a fallback says nothing of the tier that was chosen.
        """
        call_id = outcome.first.call_id
        if self.recorder is None or not outcome.automatic or call_id is None or outcome.first.fallback:
            return
        callers = _recorded_as(by, key_hash)
        if outcome.escalated:
            self.recorder.outcome(call_id, FeedbackOutcome.ESCALATED, callers=callers)
        if EscalationReason.INVALID in outcome.reasons:
            self.recorder.outcome(call_id, FeedbackOutcome.LABEL_FAILURE, callers=callers)
        if self.outcomes is not None and not (outcome.escalated or outcome.reasons):
            self.recorder.outcome(call_id, FeedbackOutcome.SUFFICED, callers=callers)

    def status(self) -> Mapping[str, Any]:
        """Return which weights classify here, and whether decisions are kept. JSON-ready."""
        found = self._found
        return {
            "weights": "cues only" if self._cues_only else "trained" if found else "shipped",
            "digest": found.pointer.digest if found else None,
            "since": found.pointer.since if found else None,
            "trained_on": dict(found.trained_on) if found else None,
            "history": self._settings.history,
            "history_dropped": self.recorder.dropped if self.recorder else 0,
        }

    def warnings(self) -> list[str]:
        """Return what an operator must know of it, in words."""
        said = [self._refusal] if self._refusal else []
        if self._settings.sample_prompts > 0:
            said.append(
                f"Text of prompts is kept: {self._settings.sample_prompts:.2%} of what `auto` classifies, for "
                f"{self._settings.history_days} days. NEURONODE_SAMPLE_PROMPTS=0 ends it."
            )
        return said

    def _classifier(self) -> Classifier:
        found = self._store.load()
        classifier = Classifier(lexicon.shipped(), found.weights) if found else shipped()
        self._found, self._refusal, self._cues_only = found, None, False
        return classifier

    def _judge(self, call_id: str, sign: Sign, by: Principal, key_hash: str) -> JudgedDecision:
        callers = None if by.role is Role.ADMIN else _recorded_as(by, key_hash)
        for number, entry in self._history.find(call_id, callers=callers, limit=1):
            turned = self._history.note(number, replace(sign, giver=by.name, at=self._clock()))
            self._count(number, entry, sign)
            return JudgedDecision(entry, turned)
        raise UnknownCall("The history has no decision on this call that you may judge.")

    def _count(self, number: int, entry: Entry, sign: Sign) -> None:
        """Count what a verdict says of the tier that was chosen; a wrong task alone says nothing of it, "right" only
        where that tier has answered.
        """
        needed = sign.tier
        if self.recorder is None or (sign.kind is FeedbackOutcome.WRONG and needed is None):
            return
        self.recorder.count(
            number,
            entry,
            good=lambda tier: needed is None or TIERS.index(needed) <= TIERS.index(tier),
            of_answer=needed is None,
        )


def _recorded_as(by: Principal, key_hash: str) -> tuple[str, ...]:
    """Return the names under which a caller's decisions are kept: callers may choose call ids, and others' too."""
    return key_hash, by.identity
