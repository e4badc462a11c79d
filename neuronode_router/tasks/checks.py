"""A template's parts against each other: placeholders and inputs, labels, the schema, the threshold.

It must not know files or YAML: what it is given has the right keys and types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from neuronode_router.safe_yaml import Path
from neuronode_router.tasks.file_schema import OutputPart, PromptPart, TemplateFile
from neuronode_router.tasks.json_answers import schema_faults
from neuronode_router.tasks.labels import plain
from neuronode_router.tasks.template import BLIND_CONFIDENCE, InputKind

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
OWN_PLACEHOLDERS = frozenset({"labels", "json_schema"})

Fault = tuple[Path, str, str]
"""Where, what, and how to fix it."""


def faults(template: TemplateFile) -> Iterator[Fault]:
    """Yield everything in a template that does not fit together. Never raises."""
    yield from _output_faults(template)
    for name in template.inputs.keys() & OWN_PLACEHOLDERS:
        yield ("inputs", name), "This name is taken.", "Choose another name."
    for language in ("de", "en"):
        prompt: PromptPart = getattr(template.prompts, language)
        yield from _prompt_faults(template, prompt, ("prompts", language))
    blind = template.output.labels is None and template.output.labels_from is None
    if blind and template.confidence_threshold > BLIND_CONFIDENCE:
        message = f"Only labels can be trusted more than {BLIND_CONFIDENCE:.2f}: every answer would go up."
        yield ("confidence_threshold",), message, "Lower it."


def label_faults(labels: Iterable[str]) -> Iterator[str]:
    """Yield what keeps labels from being told apart in an answer, without quoting them. Never raises."""
    seen: set[str] = set()
    for position, label in enumerate(labels, start=1):
        form = plain(label)
        if not form or not label.isprintable():
            yield f"Label {position} has no letter or digit, or has a character that cannot be printed."
        elif form in seen:
            yield f"Label {position} differs from an earlier one only in case or punctuation."
        seen.add(form)


def _output_faults(template: TemplateFile) -> Iterator[Fault]:
    output = template.output
    if len(output.model_fields_set) > 1:
        known = ", ".join(OutputPart.model_fields)
        yield ("output",), "Several forms of output are given.", f"Keep one of: {known}."
    for fault in label_faults(output.labels or ()):
        yield ("output", "labels"), fault, "Labels must differ in their letters or digits."
    source = output.labels_from
    if source is not None:
        given = template.inputs.get(source)
        if given is None or given.kind is not InputKind.TEXTS or given.optional:
            fix = "Name an input of kind `texts` that is not optional."
            yield ("output", "labels_from"), "The labels cannot come from there.", fix
    for fault in schema_faults(output.json_schema) if output.json_schema is not None else ():
        yield ("output", "json_schema"), fault, "Write a plain JSON Schema (draft 2020-12) of an object."


def _prompt_faults(template: TemplateFile, prompt: PromptPart, path: Path) -> Iterator[Fault]:
    own = {
        "labels": template.output.labels is not None,
        "json_schema": template.output.json_schema is not None,
    }
    for part in ("system", "retry"):
        for name in PLACEHOLDER.findall(getattr(prompt, part)):
            if not own.get(name, False):
                message = f"{{{name}}} has no place here."
                yield (
                    (*path, part),
                    message,
                    "Inputs belong into `user`; `{labels}` needs labels of the template.",
                )
    used = set(PLACEHOLDER.findall(prompt.user))
    for name in sorted(template.inputs.keys() - used):
        yield (*path, "user"), f"The input {name} is not used.", f"Write {{{name}}} where it belongs."
    for name in sorted(used - template.inputs.keys()):
        yield (*path, "user"), f"There is no input {name}.", f"Add it to `inputs`, or remove {{{name}}}."
    for name, rule in template.inputs.items():
        if rule.verbatim and (prompt.user.strip() != f"{{{name}}}" or rule.kind is not InputKind.TEXT):
            message = f"{name} is verbatim, so it must be the whole turn, and a text."
            yield (*path, "user"), message, f"Write only {{{name}}}, or remove `verbatim`."
