"""What is refused on purpose: the answer that it becomes, and the mark by which usage counts it.

It must not know who may do what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi import HTTPException

from neuronode_router.domain.decisions import Decision, Reason
from neuronode_router.errors import (
    DoesNotFit,
    HoldsPersonalData,
    InvalidRequest,
    LeavesResidency,
    NeuronodeError,
    NotAllowed,
    UnknownProfile,
    UnknownTier,
)
from neuronode_router.litellm_plugin.hooks import request_metadata
from neuronode_router.litellm_plugin.hooks.usage_reading import outcome_of

REFUSALS: Mapping[type[NeuronodeError], int] = {
    NotAllowed: 403,
    HoldsPersonalData: 403,
    LeavesResidency: 403,
    UnknownProfile: 404,
    UnknownTier: 400,
    InvalidRequest: 400,
    DoesNotFit: 400,
}
"""What is refused, and the status the client gets."""

REFUSING: tuple[type[Exception], ...] = (HTTPException, *REFUSALS)
"""What is raised to refuse a request."""


def answer(refusal: Exception) -> HTTPException:
    """Return what LiteLLM answers a client with; its cause tells why."""
    if isinstance(refusal, HTTPException):
        return refusal
    assert isinstance(refusal, NeuronodeError)
    told = HTTPException(
        status_code=REFUSALS[type(refusal)], detail={"error": f"{refusal.message} {refusal.fix}"}
    )
    told.__cause__ = refusal
    told.headers = headers(told)
    return told


def headers(error: Exception) -> dict[str, str]:
    """Return what an error tells of a refusal of ours that it was made of, nothing for any other. Never raises."""
    refusal = error.__cause__
    if not isinstance(refusal, NeuronodeError) or type(refusal) not in REFUSALS:
        return {}
    said = {request_metadata.REFUSED: outcome_of(error).value, **_kinds(refusal)}
    return {request_metadata.HEADER_PREFIX + name: value for name, value in said.items()}


@contextmanager
def marked(
    bucket: dict[str, Any], ways: Sequence[tuple[Decision, Mapping[str, Any] | None]]
) -> Iterator[None]:
    """Leave on what is refused the mark of where it would have gone: in a rollout it is a failure of its arm, whose
    mappings lead there.
    """
    try:
        yield
    except REFUSING:
        request_metadata.stamp_all(bucket, ways, tags=False)
        raise


def mark(data: dict[str, Any], refusal: Exception, *, caller: str, revision: int, routed: bool) -> None:
    """Say on a request what it is refused for and to whom; the mark of one that is not `routed` may be forged."""
    found = _mark_of(data, revision=revision) if routed else _bare_mark(data, revision=revision)
    said = {**_kinds(refusal), request_metadata.CALLER: caller}
    for each in (found, *found.get(request_metadata.SEVERAL, ())):
        each.update(said)


def _mark_of(data: dict[str, Any], *, revision: int) -> dict[str, Any]:
    found = request_metadata.stamped(data)
    return found if isinstance(found, dict) and found else _bare_mark(data, revision=revision)


def _bare_mark(data: dict[str, Any], *, revision: int) -> dict[str, Any]:
    """Write the mark of a request of which nothing was decided, and return it."""
    bucket, name = request_metadata.scrub(data), data.get("model")
    decision = Decision(name if isinstance(name, str) else "", "", Reason.REFUSED, revision=revision)
    request_metadata.stamp(bucket, decision, tags=False)
    mark: dict[str, Any] = bucket[request_metadata.KEY]
    return mark


def _kinds(refusal: Exception) -> dict[str, str]:
    """Return the kinds of personal data that were found, under the name of the mark and the header."""
    found = refusal.kinds if isinstance(refusal, HoldsPersonalData) else ()
    return {request_metadata.PERSONAL: ",".join(found)} if found else {}
