"""A task and its inputs -> the messages to send.

It must not know who answers. What a caller gives stands between marks named after the input, and cannot close
them: every sign that could open a tag, ours or a chat template's, is replaced by one that looks alike.
"""

from __future__ import annotations

import json
import re

from neuronode_router.tasks import language as languages
from neuronode_router.tasks.checks import PLACEHOLDER
from neuronode_router.tasks.inputs import Inputs, texts_of
from neuronode_router.tasks.template import JsonShape, Labels, Language, TaskTemplate

MAX_REFUSED_CHARACTERS = 2000

Message = dict[str, str]

_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\U000e0000-\U000e007f]")
"""Control characters, and the tag characters in which instructions are smuggled past readers."""
_TAG_OPENING = re.compile(r"<(?=[^\s\d=])")
_CHAT_MARK = re.compile(r"\[(?=/?[A-Z_]{3,32}\])")
"""Brackets of control tokens such as Mistral's."""


def render(
    task: TaskTemplate, inputs: Inputs, *, language: Language | None = None, refused: str | None = None
) -> list[Message]:
    """Return the messages that ask for the task, in `language` or in the one the inputs are written in.

    `refused` is an earlier answer that was not valid: it is shown (at most 2,000 characters) with the template's
    request to do better. Equal arguments give equal messages. Raises `BadTaskInput`.
    """
    texts = texts_of(task, inputs)
    prompt = task.prompts[language or languages.detect("\n".join(texts.values()))]
    own = _own_texts(task)
    verbatim = {name for name, rule in task.inputs.items() if rule.verbatim}
    places = {name: text if name in verbatim else _marked(name, text) for name, text in texts.items()}
    messages = [
        {"role": "system", "content": _fill(prompt.system, own).strip()},
        {"role": "user", "content": _fill(prompt.user, places).strip()},
    ]
    if refused is not None:
        answer = harmless(refused[:MAX_REFUSED_CHARACTERS]).strip() or "..."
        messages.append({"role": "assistant", "content": answer})
        messages.append({"role": "user", "content": _fill(prompt.retry, own).strip()})
    return messages


def harmless(text: str) -> str:
    """Return `text` without anything that could open or close a mark or a chat template's turn. Never raises."""
    return _CHAT_MARK.sub("\u27e6", _TAG_OPENING.sub("\u2039", _INVISIBLE.sub("", text)))


def _marked(name: str, text: str) -> str:
    return f"<{name}>\n{harmless(text)}\n</{name}>"


def _fill(template: str, texts: dict[str, str]) -> str:
    """One pass: a placeholder inside what is filled in stays as it is."""
    return PLACEHOLDER.sub(lambda match: texts.get(match[1], match[0]), template)


def _own_texts(task: TaskTemplate) -> dict[str, str]:
    match task.output:
        case Labels(labels):
            return {"labels": ", ".join(labels)}
        case JsonShape(schema):
            return {"json_schema": json.dumps(dict(schema), ensure_ascii=False)}
        case _:
            return {}
