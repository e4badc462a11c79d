"""Find the JSON object in an answer and hold it against a schema; refuse schemas that could cost too much.

It must not know tasks. Nothing is fetched and nothing executed; a problem names places of the schema, never
what the answer says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Set
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry

FENCE = "```"
MAX_STARTS = 16
"""Places in one answer at which an object is looked for."""
COSTLY = frozenset({"pattern", "patternProperties", "uniqueItems", "$dynamicRef"})
"""Keywords whose cost can grow faster than the answer, and which a template can do without."""
UNBOUNDED = frozenset({"$schema", "unevaluatedItems", "unevaluatedProperties"})
"""Keywords that jsonschema follows where nobody can stop it."""
_NAMED_SCHEMAS = frozenset({"properties", "$defs", "dependentSchemas"})
_PLAIN_DATA = frozenset({"enum", "const", "default", "examples", "required"})


def find_object(answer: str, schema: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Return the first object in `answer` that `schema` accepts, or None and why there is none. Never raises."""
    reason = "no_json"
    for found in objects(answer):
        broken = _first_break(found, schema)
        if broken is None and can_be_written(found):
            return found, ""
        if reason == "no_json" and broken is not None:
            reason = broken
    return None, reason


def schema_faults(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a schema, as sentences. Never raises."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield f"This is no JSON Schema: {'.'.join(map(str, error.path)) or 'the whole'} breaks {error.validator}."
        return
    except RecursionError:
        yield "It is nested too deep to be checked."
        return
    if schema.get("type") != "object":
        yield "The answer must be an object: `type: object` is missing."
    yield from _refused(schema, {f"#/$defs/{name}" for name in schema.get("$defs", ())})


def is_checkable(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema of which nothing is known describes an object, and can be checked step by step.

    Raises what Python does of a schema that is none.
    """
    targets = {f"#/$defs/{name}" for name in schema.get("$defs", ())}
    return schema.get("type") == "object" and not any(_refused(dict(schema), targets, COSTLY | UNBOUNDED))


def _refused(node: object, targets: Set[str], costly: Set[str] = COSTLY) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _refused(item, targets, costly)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in costly:
            yield f"The keyword {key} is not allowed."
        elif key == "$ref" and value not in targets:
            yield "A $ref may only lead to an entry of this schema's own `$defs`."
        elif key in _NAMED_SCHEMAS:
            for inner in value.values():
                yield from _refused(inner, targets, costly)
        elif key not in _PLAIN_DATA:
            yield from _refused(value, targets, costly)


def _first_break(found: object, schema: Mapping[str, Any]) -> str | None:
    validator = Draft202012Validator(schema, registry=Registry())
    try:
        error = next(validator.iter_errors(found), None)
    except RecursionError:
        return "too_deep"
    return None if error is None else "schema:" + ".".join(str(step) for step in error.absolute_schema_path)


def objects(answer: str) -> Iterator[dict[str, Any]]:
    """Yield the objects an answer holds: those in fenced blocks first, then those standing free."""
    for text in (*answer.split(FENCE)[1:MAX_STARTS:2], answer):
        position = 0
        for _ in range(MAX_STARTS):
            position = text.find("{", position)
            if position < 0:
                break
            try:
                found, position = _DECODER.raw_decode(text, position)
            except (ValueError, RecursionError):
                position += 1
            else:
                yield found


def can_be_written(found: object) -> bool:
    """An escape such as \\ud83d is half a character: it can be read, and never be sent on."""
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole(number: str) -> int:
    _finite(number)
    return int(number)


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("a number beyond every price")
    return value


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a key stands there twice")
    return entries


_DECODER = json.JSONDecoder(
    parse_float=_finite, parse_int=_whole, parse_constant=_refuse, object_pairs_hook=_once
)
