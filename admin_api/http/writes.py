"""Writes: their headers, parsed; who may make them; and the receipt that each is answered with.

It must not know what is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Response

from admin_api.http.guard import Call, LimitedCaller, Writer, etag
from admin_api.http.problems import InvalidRequestError, RequestError
from admin_api.http.schemas import AskedOptions, AskedWarmOptions, WholeDocument
from neuronode_router.control.change import Options
from neuronode_router.control.idempotency import Idempotency
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.receipts import Receipt
from neuronode_router.errors import NeuronodeError

REPLAYED_HEADER = "Idempotency-Replayed"

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
        fix = 'Copy the ETag of GET /admin/profiles/status, quotes included: "7".'
        message = "This is not one ETag of this API."
        raise InvalidRequestError.at("header.if-match", "etag_invalid", message, fix)
    return int(match.group(1))


@dataclass(frozen=True, slots=True)
class Write:
    """A write of an authenticated caller, with its preconditions."""

    call: Call
    if_match: str | None
    idempotency_key: str | None

    def options(self, operation: str, given: Mapping[str, Any]) -> Options:
        """Return the arguments that every write of the ProfileManager takes. Raises `InvalidRequestError`."""
        key = self.idempotency_key
        return {
            "actor": Actor(self.call.principal.signature),
            "if_match": expected_revision(self.if_match),
            "reason": given["reason"],
            "wait": given["wait"],
            "dry_run": given["dry_run"],
            "force": given.get("force", False),
            "moves": given.get("conversations") == "move",
            "until": given.get("until"),
            "hold": given.get("hold", False),
            "warm": given.get("warm"),
            "warm_timeout": given.get("warm_timeout_s"),
            "pull": given.get("pull", False),
            "gone": self.call.gone,
            "idempotency": None if key is None else Idempotency(key, _fingerprint(operation, given)),
        }


class ReceiptDocument(WholeDocument[Receipt]):
    """The proof of a write."""


def present(receipt: Receipt, response: Response) -> ReceiptDocument:
    """Return a receipt as it is answered, and set the headers that go with it."""
    response.headers.update(etag(receipt.revision))
    if receipt.replayed:
        response.headers[REPLAYED_HEADER] = "true"
    return ReceiptDocument(receipt)


async def begun(
    receipt: Receipt, response: Response, *, call: Call, name_at: Callable[[int], Awaitable[str | None]]
) -> ReceiptDocument:
    """Return the receipt of what has begun something of its own, whose address the header Location tells.

    That is a name under the path of the `call`; `name_at` tells from a revision what that is called, None where it
    is gone again.
    """
    name = None
    if not receipt.dry_run:
        with contextlib.suppress(NeuronodeError):  # it has begun, whatever can be looked up now
            name = await name_at(receipt.revision)
    if name is not None:
        response.headers["Location"] = f"{call.path}/{name}"
    return present(receipt, response)


async def _anybodys(
    call: LimitedCaller, if_match: IfMatch = None, idempotency_key: IdempotencyKey = None
) -> Write:
    return Write(call, if_match, idempotency_key)


async def _admins(call: Writer, if_match: IfMatch = None, idempotency_key: IdempotencyKey = None) -> Write:
    return Write(call, if_match, idempotency_key)


async def _edit(write: Annotated[Write, Depends(_admins)]) -> Write:
    if write.if_match is None:
        raise RequestError(
            "precondition_required",
            "An edit must say which state it is based on.",
            fix="Read the profile, and send its ETag as If-Match (or `*` to overwrite whatever is there).",
        )
    return write


AnybodysWrite = Annotated[Write, Depends(_anybodys)]
"""A write whose route itself says who may make it."""
Post = Annotated[Write, Depends(_admins)]
"""A write of an administrator whose options are in its body."""
Edit = Annotated[Write, Depends(_edit)]
"""A write of an administrator that must say which state it is based on; its options are in the query."""
QueryOptions = Annotated[AskedOptions, Query()]
WarmQuery = Annotated[AskedWarmOptions, Query()]


def _fingerprint(operation: str, given: Mapping[str, Any]) -> str:
    """Return what tells two requests with one Idempotency-Key apart."""
    text = json.dumps([operation, given], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
