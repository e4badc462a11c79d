"""Hold an answer against what the task allows: `check(task, answer_text, inputs)`.

It must not know who answered, nor how sure it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from neuronode_router.tasks import json_answers, labels
from neuronode_router.tasks.inputs import Inputs, labels_of
from neuronode_router.tasks.labels import MAX_ANSWER_CHARACTERS, LabelPlace
from neuronode_router.tasks.template import FreeText, JsonShape, TaskTemplate
from neuronode_router.tasks.thoughts import spoken

Value = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """What an answer means to its task."""

    value: Value | None
    """The label as the task spells it, the JSON object, or the text; None when not valid."""
    valid: bool
    problem: str = ""
    """`empty`, `cut`, `unfinished`, `too_long`, `no_label`, `no_json`, `too_deep`, or `schema:` and the keyword that
    was broken. Never text of the answer."""
    place: LabelPlace | None = field(default=None, compare=False)
    """Where the answer says the label; None where none is looked for."""


def check(task: TaskTemplate, answer_text: str, inputs: Inputs, *, cut: bool = False) -> Checked:
    """Return what the answer means. `inputs` are those it was asked with, accepted by `render`. Never raises.

    `cut` tells that a limit of length ended it: a label at its very end may have been the beginning of another.
    """
    checked = _checked(task, answer_text, inputs)
    if (
        cut
        and isinstance(checked.value, str)
        and labels.may_go_on(checked.value, answer_text, labels_of(task, inputs))
    ):
        return Checked(None, valid=False, problem="cut")
    return replace(checked, problem="cut") if cut and not checked.valid else checked


def _checked(task: TaskTemplate, answer_text: str, inputs: Inputs) -> Checked:
    if len(answer_text) > MAX_ANSWER_CHARACTERS:
        return Checked(None, valid=False, problem="too_long")
    answer = spoken(answer_text, prose=isinstance(task.output, FreeText))
    if answer is None:
        return Checked(None, valid=False, problem="unfinished")
    if not answer:
        return Checked(None, valid=False, problem="empty")
    match task.output:
        case FreeText():
            return Checked(answer, valid=True)
        case JsonShape(schema):
            found, problem = json_answers.find_object(answer, schema)
            return Checked(found, valid=found is not None, problem=problem)
        case _:
            meant = labels.find(answer, labels_of(task, inputs))
            if meant is None:
                return Checked(None, valid=False, problem="no_label")
            return Checked(meant.label, valid=True, place=meant.place)
