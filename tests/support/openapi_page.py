"""Our part of the OpenAPI page as schemathesis reads it, and what every answer is held to.

It must not know who serves the routes.
"""

from __future__ import annotations

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
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


SCHEMA = schemathesis.openapi.from_dict(page().openapi()).exclude(path_regex="/events$")  # it never ends


def the_same(examples: int) -> settings:
    """Let hypothesis try the same few examples of each operation every time."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def check(case: schemathesis.Case, *, url: str, key: str) -> None:
    """Send one case and hold its answer to the page."""
    headers = {"Authorization": f"Bearer {key}"}
    case.call_and_validate(base_url=url, headers=headers, checks=CHECKS, timeout=20)
