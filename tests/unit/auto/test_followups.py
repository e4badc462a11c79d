"""What is asked next says whether the answer before it did: nearly the same again, soon, in one conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.auto.followups import GOES_ON, SECONDS, alike
from neuronode_router.auto.history_writer import DecisionRecorder
from neuronode_router.auto.outcome_store import OutcomeStore
from neuronode_router.auto.outcomes import Outcomes
from neuronode_router.auto.router import Caller
from neuronode_router.background import Failures
from neuronode_router.classifier import shipped
from neuronode_router.classifier.history import History
from neuronode_router.storage.database import Database
from tests.support.migrated import migrated
from tests.unit.auto.test_router import ME, TOOLS, Worker

ASKED = "Write a function that sorts a list of dates in Python."
AGAIN = "No, write a function that sorts a list of dates in Python, without libraries."
OTHER = "Translate the second paragraph of that letter into French."
SESSION = Caller("me", session="s-1")


def talk(*said: str) -> list[dict[str, Any]]:
    """Return messages of a conversation: every second one is an answer."""
    return [
        {"role": "assistant" if number % 2 else "user", "content": text} for number, text in enumerate(said)
    ]


@dataclass
class Request:
    """One request of a story."""

    messages: list[dict[str, Any]]
    caller: Caller = ME
    after: float = 1.0
    answered: bool = True
    body: dict[str, Any] = field(default_factory=dict)


OPENS, GOES = Request(talk(ASKED)), Request(talk(ASKED, "def f(): ...", OTHER))
REPHRASED = Request(talk(ASKED, "def f(): ...", AGAIN))
LOOP = [*talk(ASKED), {"role": "assistant", "tool_calls": [{}]}, {"role": "tool", "content": "42"}]
LONG = "Summarise this report. " + " ".join(
    f"In {month} the {thing} of our {owner} was sold."
    for month, thing, owner in zip(
        ("March", "June", "August", "October", "December"),
        ("harbour", "garden", "railway", "theatre", "castle"),
        ("council", "farmers", "museum", "village", "university"),
        strict=True,
    )
)
SHOTS = ("Translate: house", "Haus")


@pytest.mark.parametrize(
    ("story", "seen"),
    [
        ([OPENS, REPHRASED], (0, 1)),
        ([OPENS, GOES], (1, 0)),
        ([OPENS, GOES, GOES], (1, 1)),
        ([OPENS, GOES, Request(talk(ASKED, "def f(): ...", OTHER, "Non.", "Shorter!"))], (2, 0)),
        ([Request(talk(ASKED), SESSION), Request(talk("Hello", "Hi", ASKED), SESSION)], (0, 1)),
        ([OPENS, OPENS], (0, 0)),
        ([OPENS, Request(talk(ASKED, "def f(): ...", AGAIN), after=SECONDS + 1)], (0, 0)),
        ([Request(talk(ASKED), answered=False), REPHRASED], (0, 0)),
        ([OPENS, Request(REPHRASED.messages, Caller("another"))], (0, 0)),
        ([OPENS, Request(talk("Hello", "Hi", ASKED))], (0, 0)),
        ([Request(talk(ASKED), body={"tools": TOOLS}), Request(LOOP, body={"tools": TOOLS})], (0, 0)),
        ([Request(talk(*SHOTS, "Translate: garden")), Request(talk(*SHOTS, "Translate: gardens"))], (0, 0)),
        ([Request(talk(LONG)), Request(talk(LONG, "No.", LONG))], (0, 0)),
    ],
    ids=[
        *("rephrased", "goes on", "asked again at its place", "twice on", "by its session", "a program's"),
        *("too late", "never answered", "another caller", "another conversation", "tool loop", "few shots"),
        "long material",
    ],
)
async def test_only_the_same_again_in_a_conversation_that_went_on_is_not_good(
    tmp_path: Path, story: Sequence[Request], seen: tuple[int, int]
) -> None:
    """Follow-ups that are no rephrasings count as good ones, so that the usual share of rephrasings moves nothing."""
    database = Database(migrated(tmp_path / "control.db"))
    outcomes, now = Outcomes(OutcomeStore(database)), 0.0
    recorder = DecisionRecorder(
        History(tmp_path),
        sampled=0.0,
        failures=Failures(),
        outcomes=outcomes,
        clock=lambda: now,
        chance=lambda: 0.0,
    )
    worker = Worker(watchers=[recorder], chance=lambda: 1.0)
    worker.router.use(shipped())
    worker.router.outcomes = outcomes

    for number, request in enumerate(story):
        now += request.after
        body = {"litellm_call_id": f"call-{number}", **request.body}
        worker.send(request.messages, caller=request.caller, **body)
        if request.answered:
            recorder.answered(f"call-{number}", caller=request.caller.identity)
    recorder.start()
    recorder.stop()
    await outcomes.refresh()
    database.dispose()

    counts = list(outcomes.known.counts().values())
    assert (sum(each.good for each in counts), sum(each.bad for each in counts)) == seen
    assert sum(each.expected for each in counts) == pytest.approx(GOES_ON * sum(seen))


_SETS = st.sets(st.integers(0, 40), max_size=30)


@given(_SETS, _SETS)
def test_alike_is_the_share_in_common(one: set[int], other: set[int]) -> None:
    """In either order; 1 for the very same, 0 without anything in common."""
    a, b = (np.array(sorted(each), dtype=np.uint16) for each in (one, other))

    assert alike(a, b) == alike(b, a) == len(one & other) / max(1, len(one | other))
