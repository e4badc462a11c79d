"""Probes: which shape a task has, and what its answer is worth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.names import TASK_ALIASES
from neuronode_router.proof.probes import PROBES, TOOL, ProbeAnswer, ProbeReason, Shape, judge, shape_of

GOOD = [
    (Shape.TEXT, ProbeAnswer("Hello.")),
    (Shape.LABEL, ProbeAnswer("positive")),
    (Shape.LABEL, ProbeAnswer("  **Positive**.\n")),
    (Shape.JSON, ProbeAnswer('{"city": "Berlin"}')),
    (Shape.JSON, ProbeAnswer('```json\n{"city": "berlin", "country": null}\n```')),
    (Shape.TOOL_CALL, ProbeAnswer("", (("other", "{}"), (TOOL, '{"city": "Berlin"}')))),
]
BAD = [
    (Shape.TEXT, ProbeAnswer("  \n"), ProbeReason.NO_ANSWER),
    (Shape.LABEL, ProbeAnswer(""), ProbeReason.NO_ANSWER),
    (Shape.LABEL, ProbeAnswer("negative"), ProbeReason.NO_LABEL),
    (Shape.LABEL, ProbeAnswer("It is positive, not negative."), ProbeReason.NO_LABEL),
    (Shape.LABEL, ProbeAnswer("Der Text ist gut."), ProbeReason.NO_LABEL),
    (Shape.JSON, ProbeAnswer("Berlin"), ProbeReason.NO_JSON),
    (Shape.JSON, ProbeAnswer('{"city": "Rome"}'), ProbeReason.NO_JSON),
    (Shape.JSON, ProbeAnswer('["city"]'), ProbeReason.NO_JSON),
    (Shape.JSON, ProbeAnswer("[" * 100_000), ProbeReason.NO_JSON),
    (Shape.TOOL_CALL, ProbeAnswer("It is sunny."), ProbeReason.NO_TOOL_CALL),
    (Shape.TOOL_CALL, ProbeAnswer("", ((TOOL, "{}"),)), ProbeReason.NO_TOOL_CALL),
    (Shape.TOOL_CALL, ProbeAnswer("", ((TOOL, "Berlin"),)), ProbeReason.NO_TOOL_CALL),
    (Shape.TOOL_CALL, ProbeAnswer("", (("other", '{"city": "Berlin"}'),)), ProbeReason.NO_TOOL_CALL),
]


@pytest.mark.parametrize(("shape", "answer"), GOOD)
def test_a_usable_answer_is_good(shape: Shape, answer: ProbeAnswer) -> None:
    """Also with the marks and fences that chat models like."""
    assert judge(shape, answer) is ProbeReason.ANSWERED


@pytest.mark.parametrize(("shape", "answer", "why"), BAD)
def test_what_an_answer_lacks_is_named(shape: Shape, answer: ProbeAnswer, why: ProbeReason) -> None:
    """By a word of a closed vocabulary, never by its text."""
    assert judge(shape, answer) is why


@given(st.sampled_from(Shape), st.text(), st.lists(st.tuples(st.text(), st.text()), max_size=3))
def test_no_answer_breaks_the_judge(shape: Shape, text: str, calls: list[tuple[str, str]]) -> None:
    """Whatever a provider says."""
    assert judge(shape, ProbeAnswer(text, tuple(calls))) in ProbeReason


def test_every_task_has_a_shape_and_every_shape_a_probe() -> None:
    """A task whose clients send tools needs a tool call; others keep their shape."""
    assert {shape_of(task) for task in TASK_ALIASES} == {Shape.TEXT, Shape.LABEL, Shape.JSON}
    assert shape_of("chat", {"chat"}) is Shape.TOOL_CALL
    assert shape_of("a_task_of_your_own") is Shape.TEXT
    assert set(PROBES) == set(Shape)
