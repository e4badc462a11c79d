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
from neuronode_router.safe_yaml import Source, YamlCaps, read_yaml
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
from neuronode_router.wrong_value import fix_of

MAX_FILES = 256
SUFFIX = ".yaml"
CAPS = YamlCaps(bytes=64 * 1024, depth=20, nodes=5000)
SHIPPED = Path(__file__).with_name("templates")

Catalogue = Mapping[str, TaskTemplate]


@cache
def shipped() -> Catalogue:
    """Return the tasks of this package by name, read once. Raises `TemplatesInvalid` when they were damaged."""
    return load(SHIPPED)


def template_files(folder: Path) -> list[Path]:
    """Return the files of a folder that are meant as templates; hidden ones are editors' own. Raises `OSError`."""
    found = (path for path in folder.iterdir() if path.suffix in {SUFFIX, ".yml"})
    return sorted(path for path in found if not path.name.startswith("."))


def load(folder: Path) -> Catalogue:
    """Return the tasks in a folder's `*.yaml` by name.

    Raises `TemplatesInvalid` with every problem of every file, and `OSError`.
    """
    tasks: dict[str, TaskTemplate] = {}
    problems: list[Problem] = []
    paths = template_files(folder)
    if not paths:
        problems.append(
            Problem("empty", f"{folder.name} has no template.", "Add a file <task>.yaml.", folder.name)
        )
    if len(paths) > MAX_FILES:
        told = f"There are more than {MAX_FILES} templates."
        fix = "Remove those that nobody uses."
        problems.append(Problem("too_many_files", told, fix, paths[MAX_FILES].name))
    for path in paths[:MAX_FILES]:
        if path.suffix != SUFFIX:
            fix = f"Rename it to {path.stem}{SUFFIX}."
            problems.append(Problem("bad_name", f"Templates end in {SUFFIX}.", fix, path.name))
            continue
        try:
            with path.open("rb") as file:
                raw = file.read(CAPS.bytes + 1)
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
    reading = read_yaml(raw, file, caps=CAPS, typed=True)
    if reading.problems:
        return None, list(reading.problems)
    source = reading.source
    try:
        valid = TemplateFile.model_validate(reading.document)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return None, [_schema_problem(source, detail) for detail in details]
    problems = [source.problem("bad_value", *fault) for fault in faults(valid)]
    if valid.name != Path(file).stem:
        fix = f"Write {Path(file).stem}."
        problems.insert(0, source.problem("wrong_name", ("name",), "The name differs from the file's.", fix))
    return (None if problems else _template(valid)), problems


def _schema_problem(source: Source, detail: ErrorDetails) -> Problem:
    path = tuple(step for step in detail["loc"] if step != "[key]")
    if detail["type"] == "extra_forbidden":
        fix = "docs/tasks.md lists the keys."
        return source.problem("unknown_key", path, "This key is not known here.", fix)
    if detail["type"] == "missing":
        return source.problem("missing_key", path, "The key is missing.", f"Add `{path[-1]}:`.")
    return source.problem("bad_value", path, f"{detail['msg']}.", fix_of(detail))


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
