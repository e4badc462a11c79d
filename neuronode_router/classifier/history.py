"""The history of decisions and how they turned out: one SQLite file on this host, readable by its owner only.

It must not know LiteLLM, threads or how weights are made. It holds features; text only where it is given some.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass, fields, replace
from enum import IntFlag, StrEnum
from pathlib import Path
from typing import Any

from neuronode_router import private_files
from neuronode_router.classifier.classification import Layer
from neuronode_router.classifier.features import Rows
from neuronode_router.classifier.observed import Packed, pack, unpack
from neuronode_router.domain.names import Tier
from neuronode_router.errors import HistoryUnavailable
from neuronode_router.foreign import described

FILE = "history.db"
BUSY_SECONDS = 2.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
    number INTEGER PRIMARY KEY, call_id TEXT NOT NULL, at REAL NOT NULL, caller TEXT NOT NULL,
    scheme TEXT NOT NULL, row BLOB NOT NULL, owner BLOB NOT NULL, count BLOB NOT NULL, words BLOB NOT NULL,
    cues TEXT NOT NULL, label TEXT NOT NULL, source TEXT NOT NULL, confidence REAL NOT NULL,
    tier TEXT NOT NULL, wanted TEXT, sent_to TEXT NOT NULL, text TEXT);
CREATE INDEX IF NOT EXISTS decisions_by_call ON decisions (call_id);
CREATE INDEX IF NOT EXISTS decisions_by_time ON decisions (at);
CREATE TABLE IF NOT EXISTS outcomes (
    number INTEGER NOT NULL REFERENCES decisions ON DELETE CASCADE, kind TEXT NOT NULL, giver TEXT NOT NULL,
    at REAL NOT NULL, label TEXT, tier TEXT, PRIMARY KEY (number, kind, giver));
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY REFERENCES decisions ON DELETE CASCADE, profile TEXT NOT NULL, tier TEXT NOT NULL,
    enough REAL NOT NULL, counted INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS answered (number INTEGER PRIMARY KEY REFERENCES decisions ON DELETE CASCADE);
"""

MOST_PURGED = 500
"""Decisions that one transaction deletes: others write, too, and wait for it."""

MOST_FOUND = 100
"""Decisions of one call id that are looked at: a client may give one id to all of its calls."""


class FeedbackOutcome(StrEnum):
    """How a decision turned out."""

    RIGHT = "right"
    WRONG = "wrong"
    ESCALATED = "escalated"
    """The task API went one tier up, because the answer was not good enough."""
    SUFFICED = "sufficed"
    """The task API took the answer as it was. It is counted, and not kept with the decision."""
    LABEL_FAILURE = "label_failure"
    """The answer was no label of the task, or did not fit its schema."""
    UNANSWERED = "unanswered"
    """The provider refused to answer, or the answer broke off though nobody limited it."""
    JUDGED_ENOUGH = "judged_enough"
    """The judge found that the light answer would have done."""
    JUDGED_SHORT = "judged_short"
    """The judge found the next tier's answer clearly better."""


FEEDBACK = (FeedbackOutcome.RIGHT, FeedbackOutcome.WRONG)


class OutcomeEvidence(IntFlag):
    """What an outcome says of the tier that was chosen; a decision keeps which of it was counted."""

    VERDICT = 1
    """Whether the answer was good."""
    GOOD_HINT = 2
    """It was not seen to be bad."""
    BAD_HINT = 4


_SILENCED_BY = {
    OutcomeEvidence.VERDICT: OutcomeEvidence.VERDICT,
    OutcomeEvidence.GOOD_HINT: OutcomeEvidence.GOOD_HINT | OutcomeEvidence.BAD_HINT,
    OutcomeEvidence.BAD_HINT: OutcomeEvidence.BAD_HINT,
}
"""What counts no more, by what was counted before: what says little keeps nobody from saying more."""


@dataclass(frozen=True, slots=True)
class ChosenTier:
    """The tier that was to answer, which load or a trial may have chosen."""

    profile: str
    tier: Tier
    enough: float
    """The chance that its text gave the tier of sufficing, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision of `auto`."""

    call_id: str
    at: float
    """Unix time in seconds."""
    caller: str
    """Whose request it was: the hash of a key, or a name; never a key."""
    scheme: str
    """`observed.scheme()` of the features."""
    features: Rows
    cues: tuple[str, ...]
    """Cues of our lexicon that were found, in our words."""
    label: str
    """What the classifier said: one of `LABELS`."""
    source: Layer
    confidence: float
    tier: Tier
    """What the classifier said, before load, caps and sessions."""
    wanted: Tier | None
    sent_to: str
    """The model group."""
    text: str | None = None
    """What the classifier read of the prompt; None unless the operator samples prompts."""
    chosen: ChosenTier | None = None
    """None where no chances were known. It is read by `count_once` and `judged`."""


@dataclass(frozen=True, slots=True)
class Sign:
    """An outcome as it is kept."""

    kind: FeedbackOutcome
    label: str | None = None
    """What would have been right: one of `LABELS`."""
    tier: Tier | None = None
    giver: str = ""
    """Who says so: a principal's name; empty for ourselves."""
    at: float = 0.0
    """Unix time in seconds."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many decisions a history holds."""

    kept: int
    judged: int
    """Those with an outcome."""
    texts: int
    """Those with text of the prompt."""


class History:
    """The file `history.db` of a directory. Every process of the host may use it at once.

    Every method raises `HistoryUnavailable` when the file cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE

    def add(self, entries: Sequence[Entry]) -> None:
        """Write decisions down, in one transaction."""
        marks = ", ".join("?" * (len(_COLUMNS)))
        with self._open(create=True) as database:
            for entry in entries:
                number = database.execute(
                    f"INSERT INTO decisions ({', '.join(_COLUMNS)}) VALUES ({marks})",  # noqa: S608 - our own names
                    _values(entry),
                ).lastrowid
                if entry.chosen is not None:
                    row = (number, entry.chosen.profile, entry.chosen.tier, entry.chosen.enough)
                    database.execute(
                        "INSERT INTO answers (number, profile, tier, enough) VALUES (?, ?, ?, ?)", row
                    )

    def find(
        self, call_id: str, *, callers: Sequence[str] | None = None, limit: int = MOST_FOUND
    ) -> list[tuple[int, Entry]]:
        """Return the decisions of a call with their numbers, the newest first: clients may choose and repeat ids. Only
        those of `callers`, where they are given.
        """
        if not self.path.exists():
            return []
        whose = "" if callers is None else f" AND caller IN ({', '.join('?' * len(callers))})"
        query = f"{_SELECT} WHERE call_id = ?{whose} ORDER BY number DESC LIMIT ?"
        with self._open() as database:
            return [_entry(row) for row in database.execute(query, (call_id, *(callers or ()), limit))]

    def answered(self, calls: Sequence[tuple[str, str]]) -> None:
        """Note of each call id and caller that the group which its newest decision chose has answered."""
        if not self.path.exists():
            return
        newest = "SELECT number FROM decisions WHERE call_id = ? AND caller = ? ORDER BY number DESC LIMIT 1"
        with self._open() as database:
            database.executemany(f"INSERT OR IGNORE INTO answered {newest}", calls)

    def note(self, number: int, sign: Sign) -> int:
        """Keep the outcome of a decision; of feedback of one giver the newest counts.

        Return 1 if now somebody calls it wrong and nobody did, -1 if nobody does any more, else 0.
        """
        rivals = FEEDBACK if sign.kind in FEEDBACK else (sign.kind,)
        with self._open() as database:
            before = _is_wrong(database, number)
            database.executemany(
                "DELETE FROM outcomes WHERE number = ? AND giver = ? AND kind = ?",
                [(number, sign.giver, kind) for kind in rivals],
            )
            database.execute(
                "INSERT INTO outcomes (number, kind, label, tier, giver, at) VALUES (?, ?, ?, ?, ?, ?)",
                (number, *astuple(sign)),
            )
            return _is_wrong(database, number) - before

    def count_once(
        self, number: int, evidence: OutcomeEvidence, *, answered: bool = False
    ) -> ChosenTier | None:
        """Return the tier that a decision chose, the first time there is such evidence of it; None from then on, and
        if unknown. After a bad hint there is no good one.

        With `answered` it is one that has itself answered: where a fallback did, None.
        """
        only = " AND number IN (SELECT number FROM answered)" if answered else ""
        with self._open() as database:
            found = database.execute(
                f"UPDATE answers SET counted = counted | ? WHERE number = ? AND counted & ? = 0{only} "  # noqa: S608 - our own names
                "RETURNING profile, tier, enough",
                (evidence, number, _SILENCED_BY[evidence]),
            ).fetchall()
        return next((ChosenTier(profile, Tier(tier), enough) for profile, tier, enough in found), None)

    def judged(self, scheme: str) -> Iterator[tuple[Entry, list[Sign]]]:
        """Yield every decision with an outcome whose features are of `scheme`, the oldest first."""
        if not self.path.exists():
            return
        with self._open() as database:
            signs: dict[int, list[Sign]] = {}
            for number, kind, label, tier, giver, at in database.execute(
                "SELECT number, kind, label, tier, giver, at FROM outcomes ORDER BY at"
            ):
                signs.setdefault(number, []).append(
                    Sign(FeedbackOutcome(kind), label, Tier(tier) if tier else None, giver, at)
                )
            query = f"{_JUDGED} WHERE scheme = ? AND number IN (SELECT number FROM outcomes) ORDER BY at"  # noqa: S608 - our own names
            for profile, tier, enough, *row in database.execute(query, (scheme,)):
                number, entry = _entry(row)
                chosen = None if tier is None else ChosenTier(profile, Tier(tier), enough)
                yield replace(entry, chosen=chosen), signs[number]

    def counts(self) -> Counts:
        """Return how many decisions there are."""
        if not self.path.exists():
            return Counts(0, 0, 0)
        with self._open() as database:
            query = (
                "SELECT count(*), (SELECT count(DISTINCT number) FROM outcomes), count(text) FROM decisions"
            )
            return Counts(*database.execute(query).fetchone())

    def purge(self, before: float) -> int:
        """Forget decisions older than `before` (Unix seconds), so that their bytes are gone; returns how many.

        Of many it takes `MOST_PURGED`, the oldest: then there may be more.
        """
        if not self.path.exists():
            return 0
        with self._open() as database:
            oldest = "SELECT number FROM decisions WHERE at < ? ORDER BY at LIMIT ?"
            gone = database.execute(
                f"DELETE FROM decisions WHERE number IN ({oldest})",  # noqa: S608 - our own names
                (before, MOST_PURGED),
            ).rowcount
        if gone:
            with self._open() as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    @contextmanager
    def _open(self, *, create: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            if create and not self.path.exists():
                # Before SQLite sees it: it gives its side files the mode of this one.
                private_files.make_file(self.path)
            with closing(self._connect()) as database, database:
                yield database
        except (sqlite3.Error, OSError) as error:
            raise HistoryUnavailable(
                f"The history of decisions cannot be used ({described(error)})."
            ) from error

    def _connect(self) -> sqlite3.Connection:
        # "rw": a file that was removed is not made anew here, with another mode.
        database = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)
        # Whoever comes first, reader or writer, makes the tables: another process may have made the file just now.
        # Deleted bytes are overwritten: here in the file, and in its log by the checkpoint of `purge`.
        try:
            with suppress(sqlite3.OperationalError):
                # Another connection may be switching this new file just now, and SQLite does not wait for that. The
                # mode is the file's, so it is ours in a moment; what else is wrong is met below.
                database.execute("PRAGMA journal_mode = WAL")
            database.executescript(
                f"{SCHEMA} PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;PRAGMA synchronous = NORMAL;"
            )
        except sqlite3.Error:
            database.close()
            raise
        return database


_COLUMNS = (
    "call_id", "at", "caller", "scheme", *(field.name for field in fields(Packed)), "cues", "label",
    "source", "confidence", "tier", "wanted", "sent_to", "text",
)  # fmt: skip
_SELECT = f"SELECT number, {', '.join(_COLUMNS)} FROM decisions"  # noqa: S608 - our own names
_JUDGED = (
    "SELECT answers.profile, answers.tier, answers.enough, number, "  # noqa: S608 - our own names
    f"{', '.join(f'decisions.{name}' for name in _COLUMNS)} FROM decisions LEFT JOIN answers USING (number)"
)
_CUE_END = "\n"


def _values(entry: Entry) -> tuple[object, ...]:
    return (
        entry.call_id, entry.at, entry.caller, entry.scheme, *astuple(pack(entry.features)),
        _CUE_END.join(entry.cues), entry.label, entry.source, entry.confidence, entry.tier, entry.wanted,
        entry.sent_to, entry.text,
    )  # fmt: skip


def _is_wrong(database: sqlite3.Connection, number: int) -> bool:
    query = "SELECT EXISTS (SELECT 1 FROM outcomes WHERE number = ? AND kind = ?)"
    return bool(database.execute(query, (number, FeedbackOutcome.WRONG)).fetchone()[0])


def _entry(found: Sequence[Any]) -> tuple[int, Entry]:
    number, call_id, at, caller, scheme, row, owner, count, words, cues, label, *rest = found
    source, confidence, tier, wanted, sent_to, text = rest
    entry = Entry(
        call_id=call_id,
        at=at,
        caller=caller,
        scheme=scheme,
        features=unpack(Packed(row, owner, count, words)),
        cues=tuple(filter(None, cues.split(_CUE_END))),
        label=label,
        source=Layer(source),
        confidence=confidence,
        tier=Tier(tier),
        wanted=None if wanted is None else Tier(wanted),
        sent_to=sent_to,
        text=text,
    )
    return number, entry
