"""How a resource lists its routes, and how they are mounted.

It must not know what a route does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from admin_api.http.problems import KINDS, InvalidRequestError, Kind, ProblemDocument, documented
from admin_api.http.schemas import storable
from neuronode_router.errors import Problem
from neuronode_router.wrong_value import WrongValue

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
            dependencies=[Depends(_nothing_is_overlooked)],
            **options,
        )


async def _nothing_is_overlooked(request: Request) -> None:
    """Refuse a write with options that its route does not read there: a dry run that was overlooked would be real.

    Queries that are read are models, which refuse what they do not know themselves.
    """
    route: APIRoute = request.scope["route"]
    problems = list(_unstorable(request.path_params))
    if request.method not in ("GET", "HEAD"):
        if not any(_queries(route.dependant)):
            fix = "Send options as fields of the JSON body." if route.body_field else "Leave it out."
            problems += [
                Problem("query_unknown", "Not known here.", fix, path=f"query.{name}")
                for name in request.query_params
            ]
        if route.body_field is None and await request.body():
            fix = (
                "Send options as parameters of the query." if any(_queries(route.dependant)) else "Send none."
            )
            problems.append(Problem("body_unknown", "No body is read here.", fix, path="body"))
    if problems:
        raise InvalidRequestError(problems)


def _unstorable(names: Mapping[str, str]) -> Iterator[Problem]:
    for place, name in names.items():
        try:
            storable(name)
        except WrongValue as error:
            yield Problem("value_error", f"{error}.", error.fix, path=f"path.{place}")


def _queries(dependant: Dependant) -> Iterator[Any]:
    yield from dependant.query_params
    for each in dependant.dependencies:
        yield from _queries(each)


def also(media_type: str, description: str, model: Any = None) -> dict[str, Any]:
    """Return how a 200 is documented that can be text of `media_type`, beside the JSON of `model` if there is one."""
    found: dict[str, Any] = {
        "content": {media_type: {"schema": {"type": "string"}}},
        "description": description,
    }
    return found if model is None else {"model": model} | found
