"""Puts the docstrings below the fields of a class into its JSON Schema, when somebody asks for the OpenAPI page.

Pydantic can do it too (`use_attribute_docstrings`), but as soon as a class is defined: reading the sources then took
two seconds of every worker's start.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

PACKAGES = ("admin_api.", "neuronode_router.")


class Described:
    """A model whose schema has the docstrings of its own fields, and of those of the rooms' types in it."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the schema with its descriptions."""
        schema = handler(core_schema)
        _describe(schema, handler, set())
        return schema


def _describe(schema: Any, handler: GetJsonSchemaHandler, seen: set[int]) -> None:
    """Describe an object, and every object that it leads to."""
    if isinstance(schema, list):
        for part in schema:
            _describe(part, handler, seen)
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        try:
            schema = handler.resolve_ref_schema({"$ref": schema["$ref"]})
        except LookupError:  # comes later
            return
    if id(schema) in seen:
        return
    seen.add(id(schema))
    texts = _of_class(schema["title"]) if "properties" in schema and "title" in schema else {}
    for name, field in schema.get("properties", {}).items():
        if name in texts:
            field.setdefault("description", texts[name])
    for part in list(schema.values()):
        _describe(part, handler, seen)


@cache
def _of_class(name: str) -> Mapping[str, str]:
    """Return the docstrings of the fields of one of our classes: no two of them have the same name."""
    for module in list(sys.modules.values()):
        found = getattr(module, name, None) if module.__name__.startswith(PACKAGES) else None
        if isinstance(found, type):
            ours = (base for base in reversed(found.__mro__) if base.__module__.startswith(PACKAGES))
            return {field: text for base in ours for field, text in _own(base)}
    return {}


def _own(base: type) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(inspect.getsource(base)).body
    assert isinstance(definition, ast.ClassDef)
    for field, text in pairwise(definition.body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                yield name, inspect.cleandoc(said)
