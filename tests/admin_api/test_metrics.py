"""`GET /metrics`: Prometheus' text for those who may see everything, and for nobody else."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from admin_api.router import PREFIX
from tests.admin_api.world import World
from tests.support.metering import value


@pytest.mark.parametrize("caller", ["admin", "viewer"])
async def test_metrics_are_told_in_the_text_format(world: World, caller: str) -> None:
    """A scraper that speaks no other format reads them."""
    async with world.client(caller) as client:
        answer = await client.get(f"{PREFIX}/metrics", headers={"Accept": "text/plain;version=0.0.4"})

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert list(text_string_to_metric_families(answer.text))
    assert value(answer.content, "store_up") == 1


@pytest.mark.parametrize(("caller", "status"), [("member", 403), (None, 401)])
async def test_members_and_strangers_see_none(world: World, caller: str | None, status: int) -> None:
    """They tell what every team together costs."""
    async with world.client(caller) as client:
        answer = await client.get(f"{PREFIX}/metrics")

    assert answer.status_code == status


async def test_before_the_start_there_is_nothing_to_tell(world: World) -> None:
    """A room that is not there yet is answered as such."""
    world.metering = None

    async with world.client("viewer") as client:
        answer = await client.get(f"{PREFIX}/metrics")

    assert answer.status_code == 503
    assert answer.json()["code"] == "not_ready"
