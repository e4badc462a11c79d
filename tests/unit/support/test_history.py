"""The history checker accepts a good history and rejects each kind of bad one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.history import History, Seen, Switched

GROUPS = {name: {"chat": f"chat_{name}"} for name in ("premium", "balanced")}
AUDIT = [(2, "balanced"), (3, "premium")]


def seen(revision: int, profile: str, sent_at: float, **changes: Any) -> Seen:
    """Return a good answer of one chunk, changed as asked."""
    good = Seen(
        task="chat",
        sent_at=sent_at,
        answered_at=sent_at + 0.5,
        status=200,
        whole=True,
        profile=profile,
        revision=revision,
        group=f"chat_{profile}",
        names=(f"chat_{profile}",),
        ended_at=sent_at + 0.6,
    )
    return replace(good, **changes)


def good_history() -> History:
    """Return a run of two switches with a request before, between, across and after them."""
    return History(
        first_revision=1,
        first_profile="premium",
        groups=GROUPS,
        requests=[
            seen(1, "premium", 0.0),
            seen(1, "premium", 1.05, answered_at=9.0),
            seen(2, "balanced", 1.05),
            seen(2, "balanced", 1.5),
            seen(3, "premium", 3.0),
        ],
        switches=[
            Switched("balanced", 2, posted_at=1.0, receipt_at=1.1, complete=True),
            Switched("premium", 3, posted_at=2.0, receipt_at=2.1, complete=True),
        ],
    )


def test_a_good_history_has_no_faults() -> None:
    """Requests in flight during a switch may be answered under either revision."""
    assert good_history().faults(AUDIT) == []


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (seen(3, "premium", 4.0, status=500), "failed request"),
        (seen(3, "premium", 4.0, status=200, whole=False), "cut answer"),
        (seen(3, "premium", 4.0, names=("chat_premium", "chat_balanced")), "mixes"),
        (seen(3, "premium", 4.0, names=()), "mixes"),
        (seen(3, "premium", 4.0, group="chat_balanced"), "mixes"),
        (seen(3, "balanced", 4.0), "mixes"),
        (seen(9, "premium", 4.0), "mixes"),
        (seen(2, "balanced", 2.2), "older one"),
        (seen(1, "premium", 1.2), "older one"),
        (seen(2, "balanced", 0.1, answered_at=0.9), "nobody had asked"),
    ],
)
def test_one_bad_answer_is_found(bad: Seen, fault: str) -> None:
    """Each kind of broken promise to a client is one fault that names it."""
    history = good_history()
    history.requests.append(bad)

    faults = history.faults(AUDIT)

    assert len(faults) == 1
    assert fault in faults[0]


def test_an_incomplete_receipt_promises_nothing() -> None:
    """Without a full receipt an older answer is no fault."""
    history = good_history()
    history.switches[1] = replace(history.switches[1], complete=False)

    history.requests.append(seen(2, "balanced", 2.2))

    assert history.faults(AUDIT) == []


def test_revisions_must_increase() -> None:
    """A revision that is used again is found."""
    history = good_history()
    history.switches.append(Switched("premium", 3, posted_at=5.0, receipt_at=5.1, complete=True))

    faults = history.faults([*AUDIT, (3, "premium")])

    assert "revision 3 came after 3" in faults


def test_switches_of_two_operators_at_once_may_come_in_either_order() -> None:
    """Who was posted first may be second, unless the other had its receipt before; no revision has two receipts."""
    history = good_history()
    history.switches.append(Switched("premium", 5, posted_at=5.0, receipt_at=5.2, complete=True))
    history.switches.append(Switched("balanced", 4, posted_at=5.1, receipt_at=5.3, complete=True))
    rows = [*AUDIT, (4, "balanced"), (5, "premium")]

    assert history.faults(rows) == []

    history.switches[-1] = replace(history.switches[-1], posted_at=5.25)
    assert "revision 4 came after 5" in history.faults(rows)


@pytest.mark.parametrize(
    "audit", [AUDIT[:1], [*AUDIT, (4, "premium")], [*AUDIT, AUDIT[0]], [AUDIT[0], (3, "balanced")]]
)
def test_the_audit_log_must_match(audit: list[tuple[int, str]]) -> None:
    """A row that is missing, too many, doubled or wrong is found."""
    faults = good_history().faults(audit)

    assert faults
    assert all("audit" in fault for fault in faults)
