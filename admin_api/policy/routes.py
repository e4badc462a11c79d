"""The policy: what it makes active and why, what it will, replaced, and given its way again.

They hold no decisions: each calls one method of the policies. Every act is a change like a switch, with its receipt.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from admin_api.http.endpoints import WRITE, Endpoint
from admin_api.http.guard import Call, LimitedReader, Reader, etag, started
from admin_api.http.schemas import WriteOptions
from admin_api.http.writes import Edit, Post, QueryOptions, ReceiptDocument, present
from admin_api.policy.schemas import (
    PolicyBody,
    PolicyDocument,
    PolicyPreviewDocument,
    PreviewQuery,
    foreseen,
    shown,
)
from neuronode_router.control.policies import Policies
from neuronode_router.errors import PolicyInvalid
from neuronode_router.policy.file import policy_of

LACKING = "Nothing is in force here yet."


async def read_policy(call: Reader, response: Response) -> PolicyDocument:
    """The policy in force, what it makes active now and why, and how its rules stand."""
    view = started(await _policies(call).view(), LACKING)
    response.headers.update(etag(view.revision))
    return shown(view)


async def preview_policy(
    call: LimitedReader, query: Annotated[PreviewQuery, Query()]
) -> PolicyPreviewDocument:
    """What will be active in the days to come, and why, if rules and rollouts stay as they are now."""
    return foreseen(await _policies(call).preview(query.days))


async def put_policy(
    write: Edit, body: PolicyBody, query: QueryOptions, response: Response
) -> ReceiptDocument:
    """Replace the policy: its file is written, and it is in force at once. An empty document ends it."""
    options = write.options("put policy", query.model_dump() | {"document": body})
    policy, problems = policy_of(body)
    if policy is None:
        raise PolicyInvalid(problems)
    return present(await _policies(write.call).write(policy, **options), response)


async def release_policy(
    write: Post, response: Response, body: WriteOptions | None = None
) -> ReceiptDocument:
    """End what a person holds: the policy decides again."""
    options = write.options("release", (body or WriteOptions()).model_dump())
    return present(await _policies(write.call).release(**options), response)


def _policies(call: Call) -> Policies:
    return started(call.host.policies, LACKING)


ENDPOINTS = (
    Endpoint("GET", "/policy", read_policy),
    Endpoint("GET", "/policy/preview", preview_policy, (401, 403, 408, 413, 415, 422, 429, 500, 503)),
    Endpoint("PUT", "/policy", put_policy, (*WRITE, 428)),
    Endpoint("POST", "/policy/release", release_policy, WRITE),
)
