"""Errors as RFC 9457 `application/problem+json`: one table from error code to status and title.

It must not know routes, nor pass on the text of an error that is not ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ConfigDict
from starlette.exceptions import HTTPException

from admin_api.http.schemas import Document
from neuronode_router.errors import CompletionFailed, NeuronodeError, Problem, RevisionConflict
from neuronode_router.wrong_value import FIXES, fix_of, place_of, said_of

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:neuronode:problem:"
NO_STORE = {"Cache-Control": "no-store"}
MAX_TOLD = 50
"""Places of one request that are told; of further ones only how many there are."""


class RequestError(NeuronodeError):
    """The HTTP request itself was refused; `code` is one of `KINDS`."""

    def __init__(
        self, code: str, message: str, *, fix: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, fix=fix)
        self.code = code
        self.headers = dict(headers or {})


class InvalidRequestError(RequestError):
    """A body, a parameter or a header is not as documented; its places are in `problems`.

    `untold` is how many more there are; beyond `MAX_TOLD` they are only counted.
    """

    def __init__(self, problems: Sequence[Problem], *, untold: int = 0) -> None:
        self.problems = tuple(problems[:MAX_TOLD])
        told = [f"{problem.path}: {problem.message}" for problem in self.problems]
        untold += len(problems) - len(told)
        super().__init__(
            "invalid_request",
            "; ".join(told + ([f"and {untold} more."] if untold else [])),
            fix="Compare the request with docs/admin-api.md or the proxy's OpenAPI page.",
        )

    @classmethod
    def at(cls, path: str, code: str, message: str, fix: str) -> Self:
        """Return the error of one place."""
        return cls([Problem(code, message, fix, path=path)])


@dataclass(frozen=True, slots=True)
class Kind:
    """How one error code is presented."""

    status: int
    title: str


KINDS: Mapping[str, Kind] = {
    "not_authenticated": Kind(401, "No key, or an unknown key"),
    "not_allowed": Kind(403, "This key may not do this"),
    "unknown_profile": Kind(404, "No such profile"),
    "unknown_task": Kind(404, "No such task alias"),
    "unknown_revision": Kind(404, "No such revision"),
    "unknown_call": Kind(404, "No such call"),
    "profiles_read_only": Kind(409, "The profile files cannot be written"),
    "stale_files": Kind(409, "The profile files are an old copy"),
    "unproven_profile": Kind(409, "The profile is not proven to answer"),
    "warm_failed": Kind(409, "Local models are not in memory"),
    "unknown_rollout": Kind(404, "No such rollout"),
    "unknown_shadow": Kind(404, "No such shadow comparison"),
    "shadow_refused": Kind(409, "The shadow comparison cannot do that now"),
    "probes_running": Kind(409, "The groups are being asked already"),
    "nothing_held": Kind(409, "Nobody holds a profile"),
    "fact_not_recorded": Kind(422, "Nothing is recorded by which that could be watched"),
    "rollout_refused": Kind(409, "The rollout cannot do that now"),
    "body_too_slow": Kind(408, "The body did not arrive in time"),
    "revision_conflict": Kind(412, "Another revision is current"),
    "body_too_large": Kind(413, "The body is too large"),
    "unsupported_media_type": Kind(415, "The body is not JSON"),
    "invalid_request": Kind(422, "The request is not as documented"),
    "policy_invalid": Kind(422, "The policy has problems"),
    "profiles_invalid": Kind(422, "The profiles have problems"),
    "until_is_over": Kind(422, "The time that it was to hold until has passed"),
    "idempotency_mismatch": Kind(422, "The Idempotency-Key belongs to another request"),
    "precondition_required": Kind(428, "If-Match is required"),
    "rate_limited": Kind(429, "Too many requests"),
    "internal": Kind(500, "Something went wrong here"),
    "admin_closed": Kind(503, "The proxy has no master key"),
    "not_ready": Kind(503, "Nothing has been committed yet"),
    "history_unavailable": Kind(503, "The history of decisions is off or cannot be used"),
    "store_unavailable": Kind(503, "The state store does not answer"),
    "schema_too_new": Kind(503, "A newer release has migrated the state store"),
    "commit_unknown": Kind(503, "Nobody can tell whether the change was committed"),
}
"""Every error code the admin API answers with."""

TASK_KINDS: Mapping[str, Kind] = {
    "completion_refused": Kind(400, "The chat request of the template was refused"),
    "unknown_template": Kind(404, "No such template"),
    "bad_task_input": Kind(422, "The inputs do not fit the template"),
    "completion_limited": Kind(429, "A limit or budget of the key or the provider is reached"),
    "completion_failed": Kind(502, "The chat request of the template failed"),
    "completion_unavailable": Kind(503, "Nobody answers the chat request of the template"),
    "completion_timeout": Kind(504, "The chat request of the template took too long"),
}
"""The error codes that the task API answers with beside those of `KINDS`."""

NO_ROUTE: Mapping[str, Kind] = {
    "no_such_path": Kind(404, "No such path"),
    "method_not_allowed": Kind(405, "The path has other methods"),
}
"""The error codes of paths and methods that no route has."""

INTERNAL = NeuronodeError("The request failed inside the proxy.")


class ProblemDocument(Document):
    """Why a request was refused (RFC 9457), and what to do."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": f"{TYPE_PREFIX}revision-conflict",
                "title": "Another revision is current",
                "status": 412,
                "detail": "The current revision is 8, not 7.",
                "code": "revision_conflict",
                "fix": "Read the status again, look at what changed, and repeat with its ETag.",
                "problems": [],
            }
        },
    )

    type: str
    title: str
    status: int
    detail: str
    code: str
    """Stable, for programs."""
    fix: str
    """What to do about it."""
    problems: list[Problem]
    """All places, where a document has problems."""


def documented(*statuses: int, kinds: Mapping[str, Kind] = KINDS) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` for these error statuses, each with the codes of `kinds` that can come with it."""
    return {
        status: {
            "description": "; ".join(
                f"`{code}`: {kind.title}" for code, kind in kinds.items() if kind.status == status
            ),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status in statuses
    }


def problem_document(error: NeuronodeError) -> ProblemDocument:
    """Return how an error of ours is presented; one without a kind as `internal`."""
    kinds = {**KINDS, **TASK_KINDS, **NO_ROUTE}
    if error.code not in kinds:
        error = INTERNAL
    kind = kinds[error.code]
    return ProblemDocument(
        type=TYPE_PREFIX + error.code.replace("_", "-"),
        title=kind.title,
        status=kind.status,
        detail=error.message,
        code=error.code,
        fix=error.fix,
        problems=list(error.problems),
    )


def problem_response(error: NeuronodeError) -> JSONResponse:
    """Return the answer for an error of ours."""
    document = problem_document(error)
    return JSONResponse(
        document.model_dump(),
        status_code=document.status,
        media_type=MEDIA_TYPE,
        headers=NO_STORE | _headers(error),
    )


def from_validation(error: RequestValidationError) -> InvalidRequestError:
    """Return FastAPI's finding as ours. Values that were sent are not repeated."""
    found = error.errors()
    problems = [
        Problem(
            code=detail["type"],
            message=f"{said_of(detail)}.",
            fix=fix_of(detail),
            path=".".join(str(part) for part in place_of(detail)),
        )
        for detail in found[:MAX_TOLD]
    ]
    return InvalidRequestError(problems, untold=len(found) - len(problems))


def from_http(error: HTTPException) -> NeuronodeError:
    """Return FastAPI's own refusal as ours: it raises 400 for a body that is no JSON."""
    if error.status_code != 400:
        return INTERNAL
    code = "json_invalid"
    return InvalidRequestError.at("body", code, "This is not JSON in UTF-8.", FIXES[code])


def _headers(error: NeuronodeError) -> dict[str, str]:
    if isinstance(error, RequestError):
        return error.headers
    if isinstance(error, CompletionFailed) and error.retry_after:
        return {"Retry-After": error.retry_after}
    if isinstance(error, RevisionConflict):
        return {"ETag": f'"{error.actual}"'}
    return {"WWW-Authenticate": "Bearer"} if error.code == "not_authenticated" else {}
