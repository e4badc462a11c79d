"""The tasks there are: a folder of templates, read and checked as a whole.

It must not know what a task is used for. A new task is a new file; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from neuronode_router.errors import Problem, TemplatesInvalid
from neuronode_router.tasks import yaml_reader
from neuronode_router.tasks.checks import faults
from neuronode_router.tasks.file_schema import OutputPart, TemplateFile
from neuronode_router.tasks.template import (
    FreeText,
    GivenLabels,
    InputRule,
    JsonShape,
    Labels,
    Language,
    Output,
    Prompt,
    TaskTemplate,
)
from neuronode_router.tasks.yaml_reader import Document

MAX_FILES = 256
SHIPPED = Path(__file__).with_name("templates")

Catalogue = Mapping[str, TaskTemplate]


@cache
def shipped() -> Catalogue:
    """Return the tasks of this package by name, read once. Raises `TemplatesInvalid` when they were damaged."""
    return load(SHIPPED)


def load(folder: Path) -> Catalogue:
    """Return the tasks in a folder's `*.yaml` by name. Raises `TemplatesInvalid` with every problem of every file."""
    tasks: dict[str, TaskTemplate] = {}
    problems: list[Problem] = []
    paths = sorted(folder.glob("*.yaml"))[:MAX_FILES]
    if not paths:
        problems.append(
            Problem("empty", f"{folder.name} has no template.", "Add a file <task>.yaml.", folder.name)
        )
    for path in paths:
        try:
            with path.open("rb") as file:
                raw = file.read(yaml_reader.MAX_BYTES + 1)
        except OSError as error:
            fix = "Make it readable, or remove it."
            problems.append(Problem("unreadable", f"It cannot be read: {error.strerror}.", fix, path.name))
            continue
        template, found = parse(raw, path.name)
        problems.extend(found)
        if template is not None:
            tasks[template.name] = template
    if problems:
        raise TemplatesInvalid(problems)
    return MappingProxyType(tasks)


def parse(raw: bytes, file: str) -> tuple[TaskTemplate | None, list[Problem]]:
    """Return the task that a file's bytes describe, or None and all its problems. Never raises."""
    document = yaml_reader.read(raw, file)
    if document.problems:
        return None, document.problems
    try:
        valid = TemplateFile.model_validate(document.data)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            _note(document, detail)
        return None, document.problems
    if valid.name != Path(file).stem:
        document.add(
            "wrong_name", ("name",), "The name differs from the file's.", f"Write {Path(file).stem}."
        )
    for path, message, fix in faults(valid):
        document.add("bad_value", path, message, fix)
    return (None if document.problems else _template(valid)), document.problems


def _note(document: Document, detail: ErrorDetails) -> None:
    path = tuple(step for step in detail["loc"] if step != "[key]")
    if detail["type"] == "extra_forbidden":
        document.add("unknown_key", path, "This key is not known here.", "docs/tasks.md lists the keys.")
    elif detail["type"] == "missing":
        document.add("missing_key", path, "The key is missing.", f"Add `{path[-1]}:`.")
    else:
        document.add("bad_value", path, f"{detail['msg']}.", "Correct the value; quote it when it is a text.")


def _template(valid: TemplateFile) -> TaskTemplate:
    prompts = {language: getattr(valid.prompts, language.value) for language in Language}
    return TaskTemplate(
        name=valid.name,
        description=valid.description,
        tier=valid.tier,
        prompts=MappingProxyType({key: Prompt(**dict(part)) for key, part in prompts.items()}),
        inputs=MappingProxyType({name: InputRule(**dict(part)) for name, part in valid.inputs.items()}),
        output=_output(valid.output),
        max_tokens=valid.max_tokens,
        temperature=valid.temperature,
        confidence_threshold=valid.confidence_threshold,
    )


def _output(part: OutputPart) -> Output:
    if part.labels is not None:
        return Labels(tuple(part.labels))
    if part.labels_from is not None:
        return GivenLabels(part.labels_from)
    return FreeText() if part.json_schema is None else JsonShape(MappingProxyType(part.json_schema))
