"""How a resource lists its routes, and how they are mounted.

It must not know what a route does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter

from admin_api.http.problems import KINDS, Kind, ProblemDocument, documented

READ = (401, 403, 408, 413, 415, 422, 500, 503)
WRITE = (*READ, 404, 409, 412, 429)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route. Its operation id is `neuronode_` and the name of its function."""

    method: str
    path: str
    """Under the prefix of the whole API."""
    answer: Callable[..., Any]
    errors: tuple[int, ...] = READ
    success: dict[str, Any] | None = None
    """How a 200 is documented where the function's return type does not say it."""

    def mount(
        self,
        router: APIRouter,
        prefix: str,
        *,
        tag: str,
        kinds: Mapping[str, Kind] = KINDS,
        in_schema: bool = True,
    ) -> None:
        """Add the route. `kinds` are the errors it is documented with, as far as their status is one of `errors`."""
        responses = documented(*sorted(self.errors), kinds=kinds)
        # Named once as a `model`, so that the schema is part of the OpenAPI page; the others refer to it.
        responses[401]["model"] = ProblemDocument
        options: dict[str, Any] = {}
        if self.success:
            responses[200] = self.success
            options["response_model"] = None
        router.add_api_route(
            prefix + self.path,
            self.answer,
            methods=[self.method],
            tags=[f"neuronode {tag}"],
            operation_id=f"neuronode_{self.answer.__name__}",
            responses=responses,
            include_in_schema=in_schema,
            **options,
        )


def also(media_type: str, description: str, model: Any = None) -> dict[str, Any]:
    """Return how a 200 is documented that can be text of `media_type`, beside the JSON of `model` if there is one."""
    found: dict[str, Any] = {
        "content": {media_type: {"schema": {"type": "string"}}},
        "description": description,
    }
    return found if model is None else {"model": model} | found
