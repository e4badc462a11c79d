"""What a caller gives a task -> the texts that stand in its prompt, or every reason why not.

It must not know prompts. A refusal names inputs and limits, never what an input says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice

from neuronode_router.errors import BadTaskInput
from neuronode_router.tasks.checks import label_faults
from neuronode_router.tasks.file_schema import MAX_LABEL_CHARACTERS, MAX_LABELS
from neuronode_router.tasks.template import GivenLabels, InputKind, InputRule, Labels, TaskTemplate

MAX_TEXTS = 256
MAX_UNKNOWN = 8
"""Unknown inputs that a refusal tells of."""

Inputs = Mapping[str, object]


class _Unfit(Exception):
    """One input cannot be used; the message is a sentence about it."""


def texts_of(task: TaskTemplate, inputs: Inputs) -> dict[str, str]:
    """Return every input of the task as text, an absent optional one as "". Raises `BadTaskInput`."""
    reasons = [f"Input {n} is not one that {task.name} has." for n in _unknown(task, inputs)]
    texts: dict[str, str] = {}
    for name, rule in task.inputs.items():
        try:
            texts[name] = _text(inputs.get(name), rule)
        except _Unfit as reason:
            reasons.append(f"{name} {reason}")
    if isinstance(task.output, GivenLabels) and task.output.source in texts:
        reasons += _label_reasons(inputs[task.output.source])
    if reasons:
        known = ", ".join(task.inputs)
        raise BadTaskInput(" ".join(reasons), fix=f"The inputs of {task.name} are: {known} (docs/tasks.md).")
    return texts


def labels_of(task: TaskTemplate, inputs: Inputs) -> tuple[str, ...]:
    """Return the labels an answer may be; none where the task has no labels. `inputs` were accepted before."""
    if isinstance(task.output, Labels):
        return task.output.labels
    if isinstance(task.output, GivenLabels):
        given = inputs[task.output.source]
        assert isinstance(given, list | tuple)
        return tuple(given)
    return ()


def _unknown(task: TaskTemplate, inputs: Inputs) -> Iterator[int]:
    found = (position for position, name in enumerate(inputs, start=1) if name not in task.inputs)
    return islice(found, MAX_UNKNOWN)


def _text(value: object, rule: InputRule) -> str:
    if value is None:
        if rule.optional:
            return ""
        raise _Unfit("is missing.")
    text = _FORMS[rule.kind](value)
    if len(text) > rule.max_characters:
        raise _Unfit(f"is longer than {rule.max_characters} characters.")
    if not text.strip() and not rule.optional:
        raise _Unfit("is empty.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _Unfit("has a character that is not valid Unicode.") from error
    return text


def _one_text(value: object) -> str:
    if not isinstance(value, str):
        raise _Unfit("must be a text.")
    return value


def _list_of_texts(value: object) -> str:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise _Unfit("must be a list of texts.")
    if len(value) > MAX_TEXTS:
        raise _Unfit(f"has more than {MAX_TEXTS} texts.")
    return "\n".join(f"- {item}" for item in value)


def _json_data(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise _Unfit("must be data that JSON can say, without NaN and not nested too deep.") from error


_FORMS = {InputKind.TEXT: _one_text, InputKind.TEXTS: _list_of_texts, InputKind.DATA: _json_data}


def _label_reasons(given: object) -> list[str]:
    assert isinstance(given, list | tuple)
    reasons = list(label_faults(given))
    if not 2 <= len(given) <= MAX_LABELS:
        reasons.append(f"There must be 2 to {MAX_LABELS} labels.")
    if any(len(label) > MAX_LABEL_CHARACTERS for label in given):
        reasons.append(f"A label is longer than {MAX_LABEL_CHARACTERS} characters.")
    return reasons
