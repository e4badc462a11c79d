"""Probes: which shape a task has, and what its answer is worth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain import TASK_ALIASES
from neuronode_router.proof.probes import PROBES, TOOL, Answer, Shape, Why, judge, shape_of

GOOD = [
    (Shape.TEXT, Answer("Hello.")),
    (Shape.LABEL, Answer("positive")),
    (Shape.LABEL, Answer("  **Positive**.\n")),
    (Shape.JSON, Answer('{"city": "Berlin"}')),
    (Shape.JSON, Answer('```json\n{"city": "berlin", "country": null}\n```')),
    (Shape.TOOL_CALL, Answer("", (("other", "{}"), (TOOL, '{"city": "Berlin"}')))),
]
BAD = [
    (Shape.TEXT, Answer("  \n"), Why.NO_ANSWER),
    (Shape.LABEL, Answer(""), Why.NO_ANSWER),
    (Shape.LABEL, Answer("negative"), Why.NO_LABEL),
    (Shape.LABEL, Answer("It is positive, not negative."), Why.NO_LABEL),
    (Shape.LABEL, Answer("Der Text ist gut."), Why.NO_LABEL),
    (Shape.JSON, Answer("Berlin"), Why.NO_JSON),
    (Shape.JSON, Answer('{"city": "Rome"}'), Why.NO_JSON),
    (Shape.JSON, Answer('["city"]'), Why.NO_JSON),
    (Shape.JSON, Answer("[" * 100_000), Why.NO_JSON),
    (Shape.TOOL_CALL, Answer("It is sunny."), Why.NO_TOOL_CALL),
    (Shape.TOOL_CALL, Answer("", ((TOOL, "{}"),)), Why.NO_TOOL_CALL),
    (Shape.TOOL_CALL, Answer("", ((TOOL, "Berlin"),)), Why.NO_TOOL_CALL),
    (Shape.TOOL_CALL, Answer("", (("other", '{"city": "Berlin"}'),)), Why.NO_TOOL_CALL),
]


@pytest.mark.parametrize(("shape", "answer"), GOOD)
def test_a_usable_answer_is_good(shape: Shape, answer: Answer) -> None:
    """Also with the marks and fences that chat models like."""
    assert judge(shape, answer) is Why.ANSWERED


@pytest.mark.parametrize(("shape", "answer", "why"), BAD)
def test_what_an_answer_lacks_is_named(shape: Shape, answer: Answer, why: Why) -> None:
    """By a word of a closed vocabulary, never by its text."""
    assert judge(shape, answer) is why


@given(st.sampled_from(Shape), st.text(), st.lists(st.tuples(st.text(), st.text()), max_size=3))
def test_no_answer_breaks_the_judge(shape: Shape, text: str, calls: list[tuple[str, str]]) -> None:
    """Whatever a provider says."""
    assert judge(shape, Answer(text, tuple(calls))) in Why


def test_every_task_has_a_shape_and_every_shape_a_probe() -> None:
    """A task whose clients send tools needs a tool call; others keep their shape."""
    assert {shape_of(task) for task in TASK_ALIASES} == {Shape.TEXT, Shape.LABEL, Shape.JSON}
    assert shape_of("chat", {"chat"}) is Shape.TOOL_CALL
    assert shape_of("a_task_of_your_own") is Shape.TEXT
    assert set(PROBES) == set(Shape)
