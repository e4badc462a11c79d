"""Where requests went, as an audit has it: nothing that may have left is counted as having stayed."""

from __future__ import annotations

import pytest

from neuronode_router.usage.buffer import MAX_KEYS, UsageBuffer
from neuronode_router.usage.finished import FinishedRequest
from neuronode_router.usage.periods import TimeSpan
from neuronode_router.usage.whereabouts import Whereabouts, whereabouts
from tests.support.usage import NOW, finished

KINDS = ("within", "elsewhere", "unknown", "unasked", "refused_residency", "refused_personal_data")
SPAN = TimeSpan(int(NOW) - 60, int(NOW) + 60)


def went(*requests: FinishedRequest) -> Whereabouts:
    """Return what is told of these requests, where only `local` and `de` are within."""
    buffer = UsageBuffer()
    for request in requests:
        buffer.count(request)
    batch = buffer.take()
    assert batch is not None
    return whereabouts(batch.rows, {}, span=SPAN, is_within={"local", "de"}.__contains__)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"location": "local"}, "within"),
        ({"location": "de+local"}, "within"),
        ({"location": "local+openai"}, "elsewhere"),
        ({"location": "openai+unknown"}, "elsewhere"),
        ({"location": "local+unknown"}, "unknown"),
        ({"location": "local", "outcome": "timeout"}, "within"),
        ({"location": "openai", "outcome": "cancelled"}, "elsewhere"),
        ({"location": ""}, "unknown"),
        ({"location": "", "outcome": "cached"}, "unasked"),
        ({"location": "", "deployment": "", "outcome": "bad_request"}, "unasked"),
        ({"location": "", "deployment": "", "outcome": "refused_access"}, "unasked"),
        ({"location": "", "deployment": "", "outcome": "refused_residency"}, "refused_residency"),
        ({"location": "", "deployment": "", "outcome": "refused_personal_data"}, "refused_personal_data"),
        ({"location": "openai", "outcome": "refused_residency"}, "elsewhere"),
    ],
)
def test_a_request_counts_at_the_worst_place_that_it_was_sent_to(changes: dict[str, str], kind: str) -> None:
    """Retries and fallbacks included; what was counted before places were is unknown."""
    found = went(finished(**changes))

    assert {name: getattr(found, name) for name in KINDS} == {name: int(name == kind) for name in KINDS}


def test_what_is_not_told_apart_any_more_keeps_its_place() -> None:
    """Callers who choose many names cannot hide that one of them was sent elsewhere."""
    many = [finished(task=f"task-{n}", location="local") for n in range(MAX_KEYS)]

    found = went(*many, finished(task="one more", location="openai"))

    assert (found.requests, found.within, found.elsewhere) == (MAX_KEYS + 1, MAX_KEYS, 1)
    assert found.places == {"local": MAX_KEYS, "openai": 1}
