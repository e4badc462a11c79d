"""Fields on the OpenAPI page are described by the docstrings below them, of our own types as of the rooms'."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.support.openapi_page import page

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """What the page says of every document."""
    found: dict[str, Any] = page().openapi()["components"]["schemas"]
    return found


@pytest.mark.parametrize(
    ("schema", "field", "begins"),
    [
        ("StatusDocument", "served_revision", "What the process that answered serves."),
        ("BindingBody", "reason", "Why, for the audit log."),
        ("MeasuredDocument", "unit", "Of `value` and `limit`"),
        ("Receipt", "complete", "True when every worker"),
        ("WorkerAck", "after_ms", "Milliseconds from the commit"),
        ("Problem", "line", "From 1"),
        ("AnalysisResult", "valid", "False when no attempt"),
        ("Routing", "escalated", "True when the answer"),
    ],
)
def test_a_field_is_described(schemas: dict[str, Any], schema: str, field: str, begins: str) -> None:
    """Of a document, of its bases, and of a room's type on its own or inside another."""
    assert schemas[schema]["properties"][field]["description"].startswith(begins)


def test_a_field_without_a_docstring_has_none(schemas: dict[str, Any]) -> None:
    """Nothing is invented."""
    assert "description" not in schemas["Receipt"]["properties"]["profile"]


def test_the_sources_are_read_only_for_the_page() -> None:
    """The start of a worker pays nothing for descriptions: pydantic's own reading of sources is switched on nowhere."""
    for path in (
        path for folder in ("admin_api", "neuronode_router") for path in (ROOT / folder).rglob("*.py")
    ):
        words = {node.arg for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.keyword)}
        assert "use_attribute_docstrings" not in words
