"""The history of decisions: features and outcomes, found by call id, erased in time, readable by its owner only."""

from __future__ import annotations

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuronode_router.classifier import Layer, excerpt, lexicon
from neuronode_router.classifier.history import (
    MOST_FOUND,
    MOST_PURGED,
    Counts,
    Entry,
    FeedbackOutcome,
    History,
    Sign,
)
from neuronode_router.classifier.observed import observe
from neuronode_router.domain.names import Tier
from neuronode_router.errors import HistoryUnavailable

ENTRY = Entry(
    call_id="call-1",
    at=1000.0,
    caller="app",
    scheme="one",
    features=observe(excerpt.read("Fasse den Bericht zusammen."), lexicon.shipped()),
    cues=("summary: fass* ... zusammen", "harder: ausfuehrlich*"),
    label="summary",
    source=Layer.TRAINED,
    confidence=0.8,
    tier=Tier.MEDIUM,
    wanted=None,
    sent_to="tier_medium",
)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def same(one: Entry, other: Entry) -> bool:
    """Compare entries; arrays have no truth value of their own."""
    pairs = ((getattr(one.features, n), getattr(other.features, n)) for n in ("row", "owner", "count"))
    arrays = all(np.array_equal(left, right) for left, right in pairs)
    return arrays and replace(one, features=other.features) == other


def test_a_decision_comes_back_as_it_was(history: History) -> None:
    """Every field, None included, survives the file."""
    sampled = replace(ENTRY, call_id="call-2", wanted=Tier.COMPLEX, cues=(), text="fasse\nden bericht")
    history.add([ENTRY, sampled])

    (first,), (second,) = history.find("call-1"), history.find("call-2")

    assert same(first[1], ENTRY)
    assert same(second[1], sampled)
    assert history.counts() == Counts(2, 0, 1)


def test_a_repeated_call_id_names_several_decisions(history: History) -> None:
    """Clients may choose the id: the newest comes first, and none hides another."""
    history.add([ENTRY, replace(ENTRY, caller="other")])

    assert [entry.caller for _, entry in history.find("call-1")] == ["other", "app"]


def test_a_call_id_that_comes_again_and_again_costs_no_more(history: History) -> None:
    """Of whoever asks, and only as many as are asked for: a client may give one id to all of its calls."""
    history.add([ENTRY, replace(ENTRY, tier=Tier.FAST), *[replace(ENTRY, caller="other")] * (MOST_FOUND + 1)])

    assert len(history.find("call-1")) == MOST_FOUND
    ((_, newest),) = history.find("call-1", callers=("nobody", "app"), limit=1)
    assert (newest.caller, newest.tier) == ("app", Tier.FAST)
    assert history.find("call-1", callers=("nobody",)) == []
    assert history.find("call-1", callers=()) == []


def test_of_one_givers_feedback_the_last_counts(history: History) -> None:
    """Somebody may change his mind; others, and our own signs, are kept beside it."""
    history.add([ENTRY])
    ((number, _),) = history.find("call-1")

    said = [
        Sign(FeedbackOutcome.RIGHT, giver="app", at=1),
        Sign(FeedbackOutcome.ESCALATED, at=2),
        Sign(FeedbackOutcome.WRONG, "chat", Tier.FAST, giver="app", at=3),
        Sign(FeedbackOutcome.RIGHT, giver="admin", at=4),
    ]
    assert [history.note(number, sign) for sign in said] == [0, 0, 1, 0]
    ((_, signs),) = history.judged("one")
    assert signs == [
        Sign(FeedbackOutcome.ESCALATED, at=2),
        Sign(FeedbackOutcome.WRONG, "chat", Tier.FAST, giver="app", at=3),
        Sign(FeedbackOutcome.RIGHT, giver="admin", at=4),
    ]


def test_only_judged_decisions_of_the_same_features_teach(history: History) -> None:
    """What nobody judged, and features of another version, are left out."""
    history.add([ENTRY, replace(ENTRY, call_id="call-2"), replace(ENTRY, call_id="call-3", scheme="two")])
    for call in ("call-1", "call-3"):
        history.note(history.find(call)[0][0], Sign(FeedbackOutcome.RIGHT, at=1))

    assert [entry.call_id for entry, _ in history.judged("one")] == ["call-1"]


def test_what_is_too_old_is_erased(history: History) -> None:
    """Retention removes decisions with their outcomes and text, and their bytes from every file."""
    history.add([replace(ENTRY, text="kanarienvogel"), replace(ENTRY, call_id="new", at=2000.0)])
    history.note(history.find("call-1")[0][0], Sign(FeedbackOutcome.RIGHT, at=1))

    assert history.purge(1500.0) == 1

    assert history.counts() == Counts(1, 0, 0)
    assert not any(b"kanarienvogel" in file.read_bytes() for file in history.path.parent.iterdir())


def test_much_that_is_too_old_goes_little_by_little(history: History) -> None:
    """Whoever writes decisions meanwhile waits for one portion of them, not for all."""
    old = [replace(ENTRY, call_id=f"call-{number}", at=float(number)) for number in range(MOST_PURGED + 3)]
    history.add([*reversed(old), replace(ENTRY, call_id="new", at=9000.0)])

    assert history.purge(9000.0) == MOST_PURGED
    assert [bool(history.find(f"call-{number}")) for number in (0, MOST_PURGED - 1, MOST_PURGED)] == [
        False,
        False,
        True,
    ]
    assert history.purge(9000.0) == 3
    assert history.counts().kept == 1


def test_only_the_owner_may_read_it(history: History) -> None:
    """Features can confirm a guess of the text, so no file of the history is open to others."""
    history.add([ENTRY])

    with history._open():
        modes = {stat.S_IMODE(file.stat().st_mode) for file in history.path.parent.iterdir()}

    assert modes == {0o600}


def test_without_a_file_there_is_nothing(history: History) -> None:
    """Reading makes no file."""
    assert history.find("call-1") == []
    assert list(history.judged("one")) == []
    assert history.purge(9e9) == 0
    assert not history.path.exists()


def test_a_file_that_is_removed_is_made_anew(history: History) -> None:
    """An operator may delete the history while the proxy runs."""
    history.add([ENTRY])
    for file in list(history.path.parent.iterdir()):
        file.unlink()

    history.add([ENTRY])

    assert len(history.find("call-1")) == 1
    assert stat.S_IMODE(history.path.stat().st_mode) == 0o600


def test_a_file_that_is_no_database_is_refused(history: History) -> None:
    """Whatever lies there is told as our error, with the mend."""
    history.path.write_bytes(b"no database" * 100)

    with pytest.raises(HistoryUnavailable) as caught:
        history.find("call-1")
    assert "NEURONODE_HISTORY" in caught.value.fix


def test_many_writers_may_begin_at_once(tmp_path: Path) -> None:
    """Workers of one host make the file together, and none loses a decision."""
    ready = threading.Barrier(8)

    def write(number: int) -> None:
        ready.wait()
        for turn in range(5):
            History(tmp_path).add([replace(ENTRY, call_id=f"call-{number}-{turn}")])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))

    assert History(tmp_path).counts() == Counts(40, 0, 0)
