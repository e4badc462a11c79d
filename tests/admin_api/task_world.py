"""The task API of one worker without LiteLLM: the real host over a little chat application, real keys, real books.

It must not know what is tested with it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from fastapi import Request

from admin_api.host import AdminHost
from admin_api.router import TASK_PREFIX, build_task_router
from neuronode_router.access import Principal
from neuronode_router.domain.names import AUTO_NAMES, Tier
from neuronode_router.litellm_plugin.task_host import TaskHost
from neuronode_router.routing.fallback_chain import DeploymentStatus
from neuronode_router.routing.inventory import Deployment
from neuronode_router.tasks.engine import tier_names
from neuronode_router.tasks.folder import TaskFolder
from neuronode_router.usage.buffer import UsageBuffer
from neuronode_router.usage.service import UsageService
from neuronode_router.usage.store import UsageStore
from neuronode_router.usage.writer import UsageWriter
from tests.admin_api.lent import LentApplication
from tests.admin_api.world import World
from tests.support.chat_app import ChatApp
from tests.unit.tasks.test_folder import URGENCY

LADDER = {Tier.FAST: ("gone", "tier_fast"), Tier.MEDIUM: ("tier_medium",), Tier.COMPLEX: ()}


@dataclass
class TaskWorld:
    """A worker's task API, and what stands behind it."""

    world: World
    chat: ChatApp
    view: TaskHost
    buffer: UsageBuffer
    authenticate: Callable[[Request], Awaitable[Principal]] | None = None
    """Instead of the access file's."""

    @property
    def app(self) -> LentApplication:
        """What answers."""
        return LentApplication(build_task_router, self.host)

    def client(self, caller: str | None = "member", **headers: str) -> httpx.AsyncClient:
        """Return a client that calls with this caller's key."""
        if caller:
            headers["Authorization"] = f"Bearer {self.world.keys[caller]}"
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://proxy.test", headers=headers)

    def host(self) -> AdminHost:
        """Return what the routes use."""
        host = self.world.host()
        return replace(host, tasks=self.view, authenticate=self.authenticate or host.authenticate)

    async def post(self, path: str, body: Any, *, caller: str = "member", **headers: str) -> httpx.Response:
        """Send one request."""
        async with self.client(caller, **headers) as client:
            return await client.post(TASK_PREFIX + path, json=body)

    async def get(self, path: str, *, caller: str = "member") -> httpx.Response:
        """Read one page."""
        async with self.client(caller) as client:
            return await client.get(TASK_PREFIX + path)


def set_up(world: World, directory: Path) -> TaskWorld:
    """Return a task API with a folder of its own, three known groups and empty books."""
    (directory / "tasks").mkdir()
    (directory / "tasks" / "urgency.yaml").write_text(URGENCY)
    chat, buffer = ChatApp(), UsageBuffer()
    store = UsageStore(world.store.database)
    writer = UsageWriter(buffer=buffer, store=store, worker="worker-1", clock=time.time, days=30)
    books = UsageService(
        writer=writer, store=store, clock=time.time, listed=lambda _: None, notes=dict, profiles=list
    )
    view = TaskHost(
        proxy=SimpleNamespace(app=chat, general_settings={}),
        folder=TaskFolder(directory / "tasks"),
        names=tier_names(None, None, None),
        statuses=lambda: {
            "tier_fast": (DeploymentStatus(Deployment("1", "tier_fast", tier=Tier.FAST, expected_ms=200)),),
            "tier_medium": (DeploymentStatus(Deployment("2", "tier_medium", context_window=8192)),),
            "gone": (DeploymentStatus(Deployment("3", "gone", available=False)),),
        },
        groups_of=lambda name, tier: LADDER[tier] if name in AUTO_NAMES else (name,),
        usage=books,
    )
    return TaskWorld(world, chat, view, buffer)
