"""A worker that stops carries all that it counted to the store, or says how much it could not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.litellm_plugin.usage_wiring import UsageWiring
from neuronode_router.routing.inventory import Inventory
from neuronode_router.storage.database import Database
from neuronode_router.usage import buffer
from neuronode_router.usage.store import UsageStore
from neuronode_router.usage.writer import MAX_BATCHES
from tests.host.routers import bridged, router
from tests.support.migrated import migrated

REQUESTS = 3 * MAX_BATCHES


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(migrated(tmp_path / "state.db"))
    yield found
    found.dispose()


@pytest.fixture
def counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> UsageWiring:
    """The parts of a worker that has counted more than one flush takes."""
    monkeypatch.setattr(buffer, "MAX_ROWS", 1)
    bridge = bridged(router([]))
    wiring = UsageWiring(
        database=database,
        worker="w",
        days=90,
        bridge=bridge,
        deployments=Deployments(bridge),
        registry=lambda: Inventory({}),
        place_of=lambda _: None,
        profiles=list,
        watch=lambda _: None,
    )
    for number in range(REQUESTS):
        mark = {"neuronode": {"profile": "p", "task": "t", "group": "g"}}
        wiring.hooks.failed({"metadata": mark}, TimeoutError(), UserAPIKeyAuth(team_id=f"team-{number}"))
    return wiring


async def test_whoever_stops_keeps_all_that_was_counted(counted: UsageWiring, database: Database) -> None:
    """After an absence of the store that is many flushes."""
    await counted.stop()

    assert len(UsageStore(database).newest(1000)) == REQUESTS
    assert len(UsageStore(database).costs_by_team(0)) == REQUESTS


async def test_what_a_dead_store_does_not_take_is_told(
    counted: UsageWiring, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, with its number, and nothing is raised."""
    with database.writing(), caplog.at_level(logging.ERROR):
        await counted.stop()

    assert [record.getMessage() for record in caplog.records] == [
        f"neuronode: usage of {REQUESTS} requests could not be kept"
    ]
