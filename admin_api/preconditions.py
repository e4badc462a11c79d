"""The headers of a write: If-Match and Idempotency-Key, parsed.

It must not know what is written.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header

from admin_api.problems import InvalidRequestError, RequestError
from neuronode_router.errors import Problem

ETAG = re.compile(r'(?:W/)?"(\d{1,16})"', re.ASCII)
"""An ETag of ours. A proxy that compresses answers makes it weak; the revision in it stays exact."""

IfMatch = Annotated[
    str | None,
    Header(description='The ETag of the state the caller saw, such as `"7"`; `*` is any.', examples=['"7"']),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Repeating a write with the same key within 24 hours returns the first receipt.",
    ),
]


def expected_revision(if_match: str | None) -> int | None:
    """Return the revision that If-Match names, None where any will do. Raises `InvalidRequestError`."""
    if if_match is None or if_match.strip() == "*":
        return None
    match = ETAG.fullmatch(if_match.strip())
    if match is None:
        place = Problem(
            code="etag_invalid",
            message="This is not one ETag of this API.",
            fix='Copy the ETag of GET /admin/profiles/status, quotes included: "7".',
            path="header.if-match",
        )
        raise InvalidRequestError([place])
    return int(match.group(1))


def require_if_match(if_match: str | None) -> str:
    """Return the header. Raises `RequestError` (428) without it."""
    if if_match is None:
        raise RequestError(
            "precondition_required",
            "An edit must say which state it is based on.",
            fix="Read the profile, and send its ETag as If-Match (or `*` to overwrite whatever is there).",
        )
    return if_match
