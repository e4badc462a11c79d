"""docs/proof.md has every state, finding, shape and gate that there is, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from neuronode_router.domain.names import TASK_ALIASES
from neuronode_router.proof.gate import GateMode
from neuronode_router.proof.matrix import State
from neuronode_router.proof.probes import MAX_TOKENS, ProbeReason, Shape, shape_of
from neuronode_router.proof.runner import RunLimits

PAGE = (Path(__file__).parents[2] / "docs" / "proof.md").read_text()


def rows(head: str) -> dict[str, str]:
    """The rows of the table with this head, by their first cell."""
    _, _, rest = PAGE.partition(f"| {head} |")
    table = rest.split("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|$", table, re.MULTILINE))


def test_words_of_a_closed_vocabulary_are_those_of_the_code() -> None:
    """A reader can look up whatever the API answers."""
    assert rows("state").keys() == set(State)
    assert rows("`why`").keys() == set(ProbeReason)
    assert rows("value").keys() == set(get_args(GateMode))


def test_each_task_stands_with_its_shape() -> None:
    """Those that are not named are text."""
    shapes = rows("shape")

    assert shapes.keys() == set(Shape)
    assert all(task in shapes[shape_of(task)] for task in TASK_ALIASES if shape_of(task) is not Shape.TEXT)


def test_numbers_are_those_of_the_code() -> None:
    """Limits of a probe and of a run."""
    limits = RunLimits()

    assert f"{MAX_TOKENS}\ntokens" in PAGE
    assert f"{limits.probe_seconds:.0f} seconds" in PAGE
    assert f"({limits.max_cost_usd:.2f} USD)" in PAGE
    assert f"({limits.max_seconds:.0f} s)" in PAGE
