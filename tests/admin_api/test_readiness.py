"""Readiness, and background work that is stalled in some worker."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from admin_api.router import PREFIX, SECOND_PREFIX
from neuronode_router.control.workers import ServedRevision, WorkerIdentity
from neuronode_router.errors import AdminClosed, NotReady
from tests.admin_api.world import BASE, CANARY, World

READINESS = f"{PREFIX}/health/readiness"
STARTUP = f"{PREFIX}/health/startup"


@pytest.mark.parametrize("prefix", [PREFIX, SECOND_PREFIX])
async def test_a_worker_that_serves_everything_is_ready(world: World, prefix: str) -> None:
    """Nobody needs a key, and nobody learns more than a revision."""
    async with world.client(None) as anyone:
        answer = await anyone.get(f"{prefix}/health/readiness")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "served_revision": 1, "problems": []}
    assert answer.headers["cache-control"] == "no-store"


async def test_a_worker_with_a_problem_is_not_ready(world: World) -> None:
    """The codes say what is wrong; facts of the host are not told."""
    world.unready, world.reported = ["revision_refused", "background_stalled"], {"detail": CANARY}

    async with world.client(None) as anyone:
        answer = await anyone.get(READINESS)

    assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
    assert answer.json()["problems"] == ["revision_refused", "background_stalled"]
    assert CANARY not in answer.text


async def test_a_worker_without_a_revision_has_not_started_and_one_with_problems_has(world: World) -> None:
    """A pod is not ended for what others would have too; one that serves LiteLLM's aliases gets no requests."""
    async with world.client(None) as anyone:
        world.unready = ["part_off", "dead_mapping"]
        serving = await anyone.get(STARTUP)
        world.unstarted = ["not_ready", "schema_too_new"]
        answer = await anyone.get(STARTUP)

    assert serving.status_code == 200
    assert (answer.status_code, answer.json()["problems"]) == (503, ["not_ready", "schema_too_new"])
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", [READINESS, STARTUP])
@pytest.mark.parametrize("closed", [NotReady("Starting."), AdminClosed("No master key.")])
async def test_a_worker_that_has_not_started_is_not_ready(
    world: World, closed: NotReady | AdminClosed, path: str
) -> None:
    """503 from the first moment on, never 404 or 500."""
    world.closed = closed

    async with world.client(None) as anyone:
        answer = await anyone.get(path)

    expected = {"status": "not_ready", "served_revision": 0, "problems": [closed.code]}
    assert (answer.status_code, answer.json()) == (503, expected)


async def test_the_status_names_what_is_stalled_in_any_worker(world: World, admin: httpx.AsyncClient) -> None:
    """Of other processes too, as long as they live; each activity is a problem with host and process."""
    here = WorkerIdentity("worker-2", "host-2", 4711, "0.1.0", 1.0)
    stalled = ServedRevision(revision=1, report={"stalled": ["keeping usage", "reading the access file"]})
    world.store.registry.announce(here, stalled)

    before = (await admin.get(f"{BASE}/status")).json()["problems"]
    world.store.registry.announce(here, replace(stalled, report={"stalled": []}))
    after = (await admin.get(f"{BASE}/status")).json()["problems"]

    assert [(problem["code"], problem["path"]) for problem in before] == [
        ("background_stalled", "keeping usage"),
        ("background_stalled", "reading the access file"),
    ]
    assert all("host-2, process 4711" in problem["message"] for problem in before)
    assert after == []
