"""How a resource lists its routes, and how they are mounted.

It must not know what a route does.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints

from fastapi import APIRouter, Request

from admin_api.http.problems import KINDS, InvalidRequestError, Kind, ProblemDocument, documented
from admin_api.http.schemas import storable
from neuronode_router.errors import Problem
from neuronode_router.wrong_value import WrongValue

READ = (401, 403, 408, 413, 415, 422, 500, 503)
WRITE = (*READ, 404, 409, 412, 429)

ASKED = "neuronode_asked"
"""The parameter by which a route is handed its request, where its function has none of its own."""

_ANY_TEXT = re.compile(r"\{(subject|call_id)\}")
"""What others name."""


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

    @property
    def pattern(self) -> str:
        """The path as it is looked for: what others name may have a slash, which a server decodes before that."""
        return _ANY_TEXT.sub(r"{\1:path}", self.path)

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
            prefix + self.pattern,
            _overlooking_nothing(self.answer),
            methods=[self.method],
            tags=[f"neuronode {tag}"],
            operation_id=f"neuronode_{self.answer.__name__}",
            responses=responses,
            include_in_schema=in_schema,
            **options,
        )


def _overlooking_nothing(answer: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return a route's function, which refuses what it would not read: a dry run that was overlooked would be real.

    Who may not ask at all is told that. Queries and bodies that are read are models, and refuse what they do not know.
    """
    read = signature(answer)
    hints = get_type_hints(answer, include_extras=True)
    parameters = [each.replace(annotation=hints[each.name]) for each in read.parameters.values()]
    # FastAPI hands the request to one parameter only: to the function's own, where it has one.
    own = next((each.name for each in parameters if each.annotation is Request), None)

    @wraps(answer)
    async def checked(**given: Any) -> Any:
        asked: Request = given[own] if own else given.pop(ASKED)
        problems = list(_unstorable(asked.path_params))
        if asked.method not in ("GET", "HEAD"):
            problems += await _unread(asked, reads=read.parameters.keys())
        if problems:
            raise InvalidRequestError(problems)
        return await answer(**given)

    if own is None:
        parameters.append(Parameter(ASKED, Parameter.KEYWORD_ONLY, annotation=Request))
    returned = hints.get("return", Signature.empty)
    vars(checked)["__signature__"] = Signature(parameters, return_annotation=returned)
    return checked


async def _unread(asked: Request, *, reads: Collection[str]) -> list[Problem]:
    problems = []
    if "query" not in reads:
        fix = "Send options as fields of the JSON body." if "body" in reads else "Leave it out."
        problems += [
            Problem("query_unknown", "Not known here.", fix, path=f"query.{name}")
            for name in asked.query_params
        ]
    if "body" not in reads and await asked.body():
        fix = "Send options as parameters of the query." if "query" in reads else "Send none."
        problems.append(Problem("body_unknown", "No body is read here.", fix, path="body"))
    return problems


def _unstorable(names: Mapping[str, str]) -> Iterator[Problem]:
    for place, name in names.items():
        try:
            storable(name)
        except WrongValue as error:
            yield Problem("value_error", f"{error}.", error.fix, path=f"path.{place}")


def also(media_type: str, description: str, model: Any = None) -> dict[str, Any]:
    """Return how a 200 is documented that can be text of `media_type`, beside the JSON of `model` if there is one."""
    found: dict[str, Any] = {
        "content": {media_type: {"schema": {"type": "string"}}},
        "description": description,
    }
    return found if model is None else {"model": model} | found
