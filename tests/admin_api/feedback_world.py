"""The Learning of one worker whose history is on, and requests that callers made through it.

It must not know routes.
"""

from __future__ import annotations

import tempfile
import time
from functools import cache
from pathlib import Path

from neuronode_router import private_files
from neuronode_router.auto.learning import Learning
from neuronode_router.auto.outcome_store import OutcomeStore
from neuronode_router.auto.outcomes import Outcomes
from neuronode_router.background import Failures
from neuronode_router.classifier import classify, excerpt, lexicon
from neuronode_router.classifier.history import Entry, History, Sign
from neuronode_router.classifier.observed import observe, scheme
from neuronode_router.settings import Settings
from neuronode_router.storage.database import Database

TEXT = "Fasse den Bericht über den Zebrafink zusammen."


class Judged:
    """What feedback is given on."""

    def __init__(self, directory: Path, database: Database) -> None:
        switched = dict.fromkeys(("NEURONODE_HISTORY", "NEURONODE_OUTCOMES"), "on")
        settings = Settings.load({"NEURONODE_STATE_DIR": str(directory), **switched})
        outcomes = Outcomes(OutcomeStore(database))
        self.learning = Learning(settings, failures=Failures(), outcomes=outcomes)
        self._history = History(directory)

    def begin(self, call_id: str, *callers: str) -> None:
        """Be the history in which each caller asked `TEXT`, which is made once for all worlds of a run."""
        private_files.make_file(self._history.path)
        self._history.path.write_bytes(_begun(call_id, callers))

    def record(self, call_id: str, *callers: str) -> None:
        """Let each caller (a name, or the hash of a key) have asked `TEXT`, all with one call id."""
        self._history.add([_asked(call_id, caller) for caller in callers])

    def signs(self) -> dict[str, list[Sign]]:
        """Return what was said, by whose request it was."""
        return {entry.caller: found for entry, found in self._history.judged(scheme())}


@cache
def _begun(call_id: str, callers: tuple[str, ...]) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        history = History(Path(directory))
        history.add([_asked(call_id, caller) for caller in callers])
        return history.path.read_bytes()


def _asked(call_id: str, caller: str) -> Entry:
    turn, said = excerpt.read(TEXT), classify(TEXT)
    return Entry(
        call_id=call_id,
        at=time.time(),
        caller=caller,
        scheme=scheme(),
        features=observe(turn, lexicon.shipped()),
        cues=said.evidence,
        label=said.task.value,
        source=said.source,
        confidence=said.confidence,
        tier=said.tier,
        wanted=said.tier,
        sent_to="tier_medium",
    )
