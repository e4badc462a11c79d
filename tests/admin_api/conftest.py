"""Fixtures of the admin API's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.admin_api.task_world import TaskWorld, set_up
from tests.admin_api.world import World, running_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A proxy worker at revision 1, with `premium` active."""
    async with running_world(tmp_path) as running:
        yield running


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """An administrator's client."""
    async with world.client("admin") as client:
        yield client


@pytest.fixture
def tasks(world: World, tmp_path: Path) -> TaskWorld:
    """The task API of that worker."""
    return set_up(world, tmp_path)
