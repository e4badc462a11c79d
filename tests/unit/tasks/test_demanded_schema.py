"""Schemas that clients demand: what holds is told, and none of them takes longer than it may."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from neuronode_router.tasks.demanded_schema import CHECK_SECONDS, fits

STEP = CHECK_SECONDS / 100
"""What each look at the clock of these tests takes."""


def doubling(levels: int) -> dict[str, Any]:
    """Return a schema each of whose definitions refers to the next one twice."""
    refers = {f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(levels)}
    return {"type": "object", "$ref": "#/$defs/d0", "$defs": refers | {f"d{levels}": {"type": "object"}}}


def nested(levels: int) -> str:
    return '{"a":' * levels + "{}" + "}" * levels


RECURSIVE = {
    "type": "object",
    "$ref": "#/$defs/n",
    "$defs": {"n": {"allOf": [{"properties": {"a": {"$ref": "#/$defs/n"}}}] * 2}},
}
LONG = {"type": "object", "properties": {"rows": {"items": {"anyOf": [{"type": "string"}] * 500}}}}
ROWS = json.dumps({"rows": [1] * 20_000})


@pytest.mark.parametrize(
    ("answer", "schema"),
    [("{}", doubling(40)), (nested(40), RECURSIVE), (ROWS, LONG)],
    ids=["references that double", "recursion that doubles", "a long schema times a long answer"],
)
def test_a_check_ends_when_its_time_is_up(answer: str, schema: dict[str, Any]) -> None:
    """However often its parts refer to each other: then nobody can tell."""
    looks = itertools.count()

    assert fits(answer, schema, clock=lambda: next(looks) * STEP) is None
    assert next(looks) < 110


@pytest.mark.parametrize(
    ("answer", "schema", "told"),
    [
        ('{"n": 1}', {"type": "object", "properties": {"n": {"type": "integer"}}}, True),
        ('Here: ```{"n": 1}```', {"type": "object", "required": ["n"]}, True),
        ('{"n": "one"}', {"type": "object", "properties": {"n": {"type": "integer"}}}, False),
        ("n is 1", {"type": "object"}, False),
        ("{}", {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}, True),
        ("{}", doubling(3), True),
        (nested(3), RECURSIVE, True),
        ("{}", {"type": "array"}, None),
        ("{}", {"type": "object", "properties": {"n": {"$schema": "http://json-schema.org/schema#"}}}, None),
        ("{}", {"type": "object", "unevaluatedProperties": False}, None),
        ("{}", {"type": "object", "properties": []}, None),
        ("{}", {"type": "object", "required": 5}, None),
        ('{"n": 1}', {"type": "object", "properties": {"n": {"type": "whole"}}}, None),
        ("{}", {"type": "object", "$ref": []}, None),
        ("{}", {"type": "object", "$defs": 3}, None),
        (
            "{}",
            {"type": "object", "$ref": "#/$defs/x", "$defs": {"x": {"$id": "y", "$ref": "#/$defs/x"}}},
            None,
        ),
        ("{}", {"type": "object", "title": "x" * 70_000}, None),
    ],
)
def test_what_can_be_checked_is_told(answer: str, schema: dict[str, Any], told: bool | None) -> None:
    """And nothing of what is no schema, or none that can be checked step by step."""
    assert fits(answer, schema, clock=lambda: 0.0) is told


def test_a_schema_as_deep_as_json_may_be_does_no_harm() -> None:
    """Python gives up on it somewhere."""
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(5000):
        schema = {"type": "object", "properties": {"a": schema}}

    assert fits(nested(200), schema, clock=lambda: 0.0) is None
