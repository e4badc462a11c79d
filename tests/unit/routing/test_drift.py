"""A light model that gets worse, and better again: what its outcomes make of that, simulated request by request."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from neuronode_router.classifier.classification import cheapest
from neuronode_router.domain.names import Tier
from neuronode_router.routing.sufficiency import (
    MOST,
    NOTHING_SEEN,
    TRIED_SHARE,
    OutcomeCounts,
    RequestKind,
    Sufficiency,
    newest,
)

KIND = RequestKind("balanced", "chat")
SPAN = 50
"""Requests after which what was seen is used."""
BAD_FROM, BAD_TO, END = 3_000, 8_000, 24_000
USUAL = 0.98

Good = Callable[[int, float], float]
"""The chance that an answer to the request of this number, whose text promises so much, is good."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of each request."""

    light: list[bool]
    tried: list[bool]

    def share(self, begin: int, end: int) -> float:
        """Return the share of requests of these numbers that the light model answered."""
        return sum(self.light[begin:end]) / (end - begin)


def replay(good: Good, *, hints: bool, judged: float = 1.0, seed: int = 1) -> Replay:
    """Send requests whose text speaks for the light model; of a share of its answers something is heard."""
    draw, found = random.Random(seed), Replay([], [])
    known, seen, span = NOTHING_SEEN, list[OutcomeCounts](), OutcomeCounts()
    for number in range(END):
        promised = draw.choice([0.7, 0.75, 0.8, 0.85])
        light = cheapest(known.adjusted(KIND, (promised, 1 - promised, 0.0))) is Tier.FAST
        tried = not light and draw.random() < known.tried_share(KIND, Tier.FAST, by_text=Tier.FAST)
        found.light.append(light or tried)
        found.tried.append(tried)
        if (light or tried) and draw.random() < judged:
            is_good = draw.random() < good(number, promised)
            span = span.plus(OutcomeCounts(is_good, not is_good, USUAL if hints else promised))
        if number % SPAN == SPAN - 1 and span.total:
            seen, span = [span, *seen[: int(MOST)]], OutcomeCounts()
            counted = {(KIND, Tier.FAST): newest(seen)}
            known = Sufficiency({}, counted) if hints else Sufficiency(counted)
    return found


def broken_for_a_while(number: int, promised: float) -> float:
    """A fault that is over."""
    return 0.1 if BAD_FROM <= number < BAD_TO else promised


def malformed_for_a_while(number: int, _promised: float) -> float:
    """The same, as the forms of answers show it."""
    return 0.3 if BAD_FROM <= number < BAD_TO else USUAL


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("good", "hints", "judged"),
    [(broken_for_a_while, False, 0.3), (malformed_for_a_while, True, 1.0)],
    ids=["verdicts", "forms"],
)
def test_a_fault_that_is_over_costs_the_light_tier_for_a_while_only(
    good: Good, hints: bool, judged: float, seed: int
) -> None:
    """It is left soon, tried within bounds meanwhile, and back to nearly all once it is sound again."""
    found = replay(good, hints=hints, judged=judged, seed=seed)

    assert found.share(0, BAD_FROM) > 0.95
    assert found.share(BAD_FROM + 1_000, BAD_TO) < TRIED_SHARE + 0.02
    assert found.share(BAD_TO + 10_000, END) > 0.9
    assert sum(found.tried) < 1.2 * TRIED_SHARE * END


@pytest.mark.parametrize("hints", [True, False])
def test_a_model_that_is_as_good_as_its_text_keeps_its_requests(hints: bool) -> None:
    """And so does one that is always good."""
    for good in (lambda _, promised: USUAL if hints else promised, lambda *_: 1.0):
        found = replay(good, hints=hints)
        assert found.share(0, END) > 0.97


@pytest.mark.parametrize("hints", [True, False])
def test_a_model_that_is_always_bad_gets_no_more_than_what_is_tried(hints: bool) -> None:
    """One in twenty until enough is known, then one in a hundred."""
    found = replay(lambda *_: 0.0, hints=hints)

    assert found.share(500, END) <= 1.2 * TRIED_SHARE
    assert found.share(END // 2, END) < 0.02
