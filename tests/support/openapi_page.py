"""Our part of the OpenAPI page as schemathesis reads it, and what every answer is held to.

It must not know who serves the routes.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from admin_api.host import AdminHost
from admin_api.router import build_router, build_task_router
from neuronode_router.errors import NotReady

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def page() -> FastAPI:
    """Return an application with all our routes, as far as its OpenAPI page is asked."""

    def nobody() -> AdminHost:
        raise NotReady("This application only shows its page.")

    app = FastAPI()
    app.include_router(build_router(nobody))
    app.include_router(build_task_router(nobody))
    return app


def hold_to_the_page(subtests: pytest.Subtests, *, url: str, key: str, examples: int) -> int:
    """Send every operation the same `examples` each time, inside its schema and outside; return how many there are.

    Not by schemathesis' own tests: those are made when tests are collected, which takes each process ten seconds of
    CPU, and have one name for all operations, of which several processes run one alone.
    """
    operations = _operations()
    for operation in operations:
        cases = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

        @_the_same(examples)
        @given(strategies.one_of(cases))
        def answered_as_documented(case: schemathesis.Case) -> None:
            headers = {"Authorization": f"Bearer {key}"}
            case.call_and_validate(base_url=url, headers=headers, checks=CHECKS, timeout=20)

        with subtests.test(operation.label):
            answered_as_documented()
    return len(operations)


@functools.cache
def _operations() -> list[Any]:
    schema = schemathesis.openapi.from_dict(page().openapi()).exclude(path_regex="/events$")  # it never ends
    return [found.ok() for found in schema.get_all_operations()]


def _the_same(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
