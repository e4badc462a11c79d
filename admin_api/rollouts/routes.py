"""Rollouts: begun, looked at, promoted, paused, resumed and aborted.

They hold no decisions: each calls one method of the rollouts. Every act is a change like a switch, with its receipt.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from admin_api.http.endpoints import READ, WRITE, Endpoint
from admin_api.http.guard import Call, Reader, started
from admin_api.http.schemas import Paging, WriteOptions
from admin_api.http.writes import Post, ReceiptDocument, Write, begun, present
from admin_api.rollouts.schemas import (
    LiveRolloutDocument,
    RolloutBody,
    RolloutHistoryDocument,
    RolloutListDocument,
    shown,
    shown_live,
)
from neuronode_router.control.rollouts import Rollouts
from neuronode_router.rollouts.course import Act

LACKING = "Nothing can be rolled out here yet."


async def start_rollout(write: Post, body: RolloutBody, response: Response) -> ReceiptDocument:
    """Let a share of the conversations try another profile, or an edit of the active one, and watch it.

    One rollout runs at a time.
    The header Location of the answer names it.
    """
    options = write.options("start rollout", body.model_dump(mode="json"))
    rollouts = _rollouts(write.call)
    receipt = await rollouts.start(body.plan(), **options)
    return await begun(receipt, response, call=write.call, name_at=rollouts.of)


async def list_rollouts(call: Reader, query: Annotated[Paging, Query()]) -> RolloutListDocument:
    """The newest rollouts, and the one that runs with what its guards say now."""
    rollouts = _rollouts(call)
    running = await rollouts.running()
    return RolloutListDocument(
        running=None if running is None else shown_live(running),
        rollouts=[shown(one) for one in await rollouts.page(query.limit)],
    )


async def read_rollout(call: Reader, name: str) -> LiveRolloutDocument:
    """One rollout, with the figures of both arms side by side."""
    return shown_live(await _rollouts(call).read(name))


async def read_rollout_history(call: Reader, name: str) -> RolloutHistoryDocument:
    """What was done to a rollout by whom, and by which figures."""
    return RolloutHistoryDocument(rollout=name, events=await _rollouts(call).history(name))


async def promote_rollout(
    write: Post, name: str, response: Response, body: WriteOptions | None = None
) -> ReceiptDocument:
    """Make what is tried what answers everybody, now. An edit is written into the file of its profile."""
    return await _act(write, name, Act.PROMOTE, body, response)


async def pause_rollout(
    write: Post, name: str, response: Response, body: WriteOptions | None = None
) -> ReceiptDocument:
    """Leave the share as it is. Guards are watched on."""
    return await _act(write, name, Act.PAUSE, body, response)


async def resume_rollout(
    write: Post, name: str, response: Response, body: WriteOptions | None = None
) -> ReceiptDocument:
    """Let a paused rollout go on."""
    return await _act(write, name, Act.RESUME, body, response)


async def abort_rollout(
    write: Post, name: str, response: Response, body: WriteOptions | None = None
) -> ReceiptDocument:
    """End the rollout: the active profile answers everybody, also in conversations that have begun."""
    return await _act(write, name, Act.ABORT, body, response)


async def _act(
    write: Write, name: str, act: Act, body: WriteOptions | None, response: Response
) -> ReceiptDocument:
    options = write.options(f"{act} rollout {name}", (body or WriteOptions()).model_dump())
    return present(await _rollouts(write.call).act(act, name, **options), response)


def _rollouts(call: Call) -> Rollouts:
    return started(call.host.rollouts, LACKING)


ENDPOINTS = (
    Endpoint("POST", "/rollouts", start_rollout, WRITE),
    Endpoint("GET", "/rollouts", list_rollouts),
    Endpoint("GET", "/rollouts/{name}", read_rollout, (*READ, 404)),
    Endpoint("GET", "/rollouts/{name}/history", read_rollout_history, (*READ, 404)),
    Endpoint("POST", "/rollouts/{name}/promote", promote_rollout, WRITE),
    Endpoint("POST", "/rollouts/{name}/pause", pause_rollout, WRITE),
    Endpoint("POST", "/rollouts/{name}/resume", resume_rollout, WRITE),
    Endpoint("POST", "/rollouts/{name}/abort", abort_rollout, WRITE),
)
