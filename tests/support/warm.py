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

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.domain import Actor
from neuronode_router.health.ollama import Defaults
from neuronode_router.warm.warming import Warming, WarmSettings, WarmSources
from neuronode_router.warm.wire import OllamaServers
from tests.support.control import GROUPS, HOST, MemorySource

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
    looks: int = 0
    """How often a server was asked what it has in memory."""


@asynccontextmanager
async def warm_world(
    directory: Path, address: str, models: Mapping[str, str | None], *, settings: WarmSettings, **params: Any
) -> AsyncIterator[WarmWorld]:
    """Yield a world at revision 1 with `balanced` active. `models` are those of `chat` by profile."""
    store = ControlStore(f"sqlite:///{directory}/control.db")
    chats = {f"chat_{profile}": name for profile, name in models.items()}
    entries = [
        listed(group, chats.get(group), address, **(params if group in chats else {})) for group in GROUPS
    ]
    heard: list[str] = []
    soon: set[str] = set()

    async def coming() -> Collection[str]:
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
