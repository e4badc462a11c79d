"""Which attempts count, and as what."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from neuronode_router.stats.evidence import Attempt, Ending, Evidence, evidence_of, timeout_ending

ANSWERED = Attempt(total_ms=200.0, first_token_ms=50.0, tokens=20)


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        ({}, Evidence.ANSWER),
        ({"first_token_ms": None}, Evidence.ANSWER),
        ({"status": 201}, Evidence.ANSWER),
        ({"cold": True}, Evidence.NONE),
        ({"ending": Ending.CLIENT_TIMEOUT}, Evidence.NONE),
        ({"ending": Ending.CLIENT_TIMEOUT, "status": 0}, Evidence.NONE),
        ({"ending": Ending.CLIENT_LEFT}, Evidence.NONE),
        ({"ending": Ending.CLIENT_LEFT, "status": 500}, Evidence.NONE),
        ({"ending": Ending.SERVER_TIMEOUT}, Evidence.ERROR),
        ({"ending": Ending.SERVER_TIMEOUT, "cold": True}, Evidence.ERROR),
        ({"status": 0}, Evidence.ERROR),
        ({"status": 302}, Evidence.NONE),
        *(({"status": status}, Evidence.NONE) for status in (400, 405, 409, 413, 422)),
        *(({"status": status}, Evidence.ERROR) for status in (401, 402, 403, 404, 408, 429)),
        *(({"status": status}, Evidence.ERROR) for status in (500, 502, 503, 504, 529)),
        ({"total_ms": math.nan}, Evidence.NONE),
        ({"total_ms": math.inf}, Evidence.NONE),
        ({"total_ms": -1.0, "first_token_ms": None}, Evidence.NONE),
        ({"first_token_ms": 201.0}, Evidence.NONE),
        ({"first_token_ms": math.nan}, Evidence.NONE),
        ({"tokens": -1}, Evidence.NONE),
        ({"tokens": 10**30}, Evidence.NONE),
        ({"thought": 21}, Evidence.ANSWER),
        ({"thought": -1}, Evidence.NONE),
    ],
)
def test_what_an_attempt_says(change: dict[str, object], evidence: Evidence) -> None:
    """Only what the deployment itself did is evidence."""
    assert evidence_of(replace(ANSWERED, **change)) is evidence  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wished", "allowed", "ending"),
    [
        (0.001, 120.0, Ending.CLIENT_TIMEOUT),
        (0.001, None, Ending.CLIENT_TIMEOUT),
        (120.0, 120.0, Ending.SERVER_TIMEOUT),
        (600.0, 120.0, Ending.SERVER_TIMEOUT),
        (None, 120.0, Ending.SERVER_TIMEOUT),
        (None, None, Ending.SERVER_TIMEOUT),
    ],
)
def test_whose_time_out_it_was(wished: float | None, allowed: float | None, ending: Ending) -> None:
    """The shorter of both ran out: only a caller who waits less than the operator allows says nothing."""
    assert timeout_ending(wished_seconds=wished, allowed_seconds=allowed) is ending
