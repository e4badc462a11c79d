"""Whether there is an answer at all, and whether it has the form demanded: JSON, a schema, arguments of tools.

It must not know LiteLLM, nor keep or tell anything of an answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from neuronode_router.tasks.demanded_schema import fits

MAX_CHARS = 65_536
"""Longer answers are not checked: it would hold up the event loop."""

REFUSED, CUT = "content_filter", "length"


def is_unanswered(finish_reason: str | None, *, limited: bool) -> bool:
    """Return whether the provider refused to answer, or an answer broke off though neither request nor operator
    (`limited`) had limited its length. Never raises.
    """
    return finish_reason == REFUSED or (finish_reason == CUT and not limited)


def has_form(
    *,
    content: str | None,
    arguments: Sequence[str] = (),
    finish_reason: str | None = None,
    response_format: Mapping[str, Any] | None = None,
) -> bool | None:
    """Return whether an answer is what its request demanded, None where it demanded nothing that can be checked.

    `arguments` are those of the answer's tool calls, as text. Never raises.
    """
    found = list(_checks(content or "", arguments, response_format or {}, cut=finish_reason == CUT))
    return all(found) if found else None


def _checks(
    content: str, arguments: Sequence[str], wanted: Mapping[str, Any], *, cut: bool
) -> Iterator[bool]:
    if cut or len(content) > MAX_CHARS or sum(map(len, arguments)) > MAX_CHARS:
        return  # an answer that a limit cut off says nothing of the model
    yield from map(_is_json, arguments)
    if arguments or wanted.get("type") not in ("json_object", "json_schema"):
        return
    about = wanted.get("json_schema")
    schema = about.get("schema") if isinstance(about, Mapping) else None
    found = fits(content, schema) if isinstance(schema, Mapping) else None
    yield _is_json(content) if found is None else found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
