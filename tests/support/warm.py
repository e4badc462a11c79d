"""A ProfileManager over SQLite whose `chat` groups are models of an Ollama, for tests of warm switches.

It must not know what is tested. `balanced`, `premium` and `cost_effective` each have a `chat` model of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from neuronode_router.control.change import ChangeOrder, ChangeTarget
from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.receipts import WarmMode, WarmReport
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import PolicyUnreadable, WarmFailed
from neuronode_router.health.ollama import Defaults
from neuronode_router.warm.warming import Warming, WarmSettings, WarmSources
from neuronode_router.warm.wire import OllamaServers
from tests.support.control import GROUPS, HOST, MemorySource
from tests.support.migrated import migrated

ANNA = Actor("anna")


def listed(group: str, name: str | None, address: str, **params: Any) -> dict[str, Any]:
    """Return an entry of LiteLLM's model list: an Ollama's model, or somebody else's where there is no name."""
    served = (
        {"model": f"ollama_chat/{name}", "api_base": address} if name else {"model": "openai/gpt-4o-mini"}
    )
    return {
        "model_name": group,
        "litellm_params": {**served, **params},
        "model_info": {"id": f"{group} {name}"},
    }


class ToldWarmth:
    """A `Warmth` that says what it was told to say, and remembers the orders; without a report there are no models."""

    def __init__(self) -> None:
        self.orders: list[ChangeOrder] = []
        self.says: WarmReport | None = None
        self.refusal: WarmFailed | None = None

    def mode(self, order: ChangeOrder) -> WarmMode:
        return order.warm or "background"

    async def begin(self, before: ControlState, after: ChangeTarget, order: ChangeOrder) -> ToldWarmth | None:
        self.orders.append(order)
        return self if self.says else None

    async def outlook(
        self, before: ControlState, after: ChangeTarget, order: ChangeOrder
    ) -> WarmReport | None:
        self.orders.append(order)
        return self.says

    go_on = outlook

    def drain(self, up: ToldWarmth) -> None:
        """Nothing is there to be let go."""

    async def first(self) -> bool:
        if self.refusal is not None:
            raise self.refusal
        return True

    async def then(self) -> WarmReport:
        assert self.says is not None
        return self.says


@dataclass
class WarmWorld:
    """One process with its store."""

    manager: ProfileManager
    warming: Warming
    store: ControlStore
    entries: list[dict[str, Any]]
    heard: list[str]
    coming: set[str]
    """What the policy will make active soon."""
    unreadable: bool = False
    """Whether this machine cannot read the policy."""
    looks: int = 0
    """How often a server was asked what it has in memory."""


@asynccontextmanager
async def warm_world(
    directory: Path, address: str, models: Mapping[str, str | None], *, settings: WarmSettings, **params: Any
) -> AsyncIterator[WarmWorld]:
    """Yield a world at revision 1 with `balanced` active. `models` are those of `chat` by profile, or of groups."""
    store = ControlStore(migrated(directory / "control.db"))
    chats = {name if name in GROUPS else f"chat_{name}": model for name, model in models.items()}
    entries = [
        listed(group, chats.get(group), address, **(params if group in chats else {})) for group in GROUPS
    ]
    heard: list[str] = []
    soon: set[str] = set()

    async def coming() -> Collection[str]:
        if world.unreadable:
            raise PolicyUnreadable("It needs a time zone that this machine has not.")
        return soon

    async def look(request: httpx.Request) -> None:
        world.looks += request.url.path == "/api/ps"

    warming = Warming(
        WarmSources(
            entries=lambda: entries,
            defaults=Defaults(),
            place_of=lambda _: "local",
            state=lambda: manager.current(),
            coming=coming,
            watch=lambda what, _: heard.append(what),
        ),
        OllamaServers(lambda: httpx.AsyncClient(trust_env=False, event_hooks={"request": [look]})),
        settings,
    )
    manager = ProfileManager(
        store=store, source=MemorySource(), host=lambda: HOST, wake=WakeGroup(()), warmth=warming
    )
    world = WarmWorld(manager, warming, store, entries, heard, soon)
    await manager.reload(actor=FILES)
    try:
        yield world
    finally:
        await warming.stop()
        store.close()
