"""Routers of LiteLLM over the fake provider, a monitor that says what a test wants, and what was counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.litellm_plugin.hooks.attempts import AttemptHooks
from neuronode_router.litellm_plugin.router.bridge import RouterBridge, bridge_of
from neuronode_router.litellm_plugin.seams import Era, era
from neuronode_router.routing.fallback_chain import DeploymentStatus
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.overload import Health
from neuronode_router.routing.pick import Candidate
from neuronode_router.stats import tally as fields
from neuronode_router.stats.recorder import Recorder
from tests.support.waiting import eventually


def deployment(
    group: str,
    name: str,
    url: str,
    *,
    provider: str = "openai",
    info: Mapping[str, Any] | None = None,
    **params: Any,
) -> dict[str, Any]:
    """Return an entry of a model list: its id is its name, which is also what the fake provider is asked for."""
    return {
        "model_name": group,
        "litellm_params": {"model": f"{provider}/{name}", "api_base": url, "api_key": "none", **params},
        "model_info": {"id": name, **(info or {})},
    }


def router(entries: list[dict[str, Any]], **settings: Any) -> Any:
    """Return a router that does not retry by itself."""
    return litellm.Router(model_list=entries, **{"num_retries": 0} | settings)


def bridged(over: Any) -> RouterBridge:
    """Return the bridge to a router."""
    return bridge_of(lambda: over)


async def pick(over: Any, name: str, **request: Any) -> str:
    """Return the id of the deployment that LiteLLM chooses, by the whole of its pipeline."""
    messages = [{"role": "user", "content": "hello"}]
    if era() is Era.ENTRY_POINTS:
        picked = await over.select(name, dict(request), messages=messages)
    else:
        picked = await over.async_get_available_deployment(
            model=name, request_kwargs=dict(request), messages=messages
        )
    return str(picked["model_info"]["id"])


def group_of(over: Any, alias: str) -> str:
    """Return the group whose deployments LiteLLM lists under an alias, from whatever it remembers."""
    if era() is Era.ENTRY_POINTS:
        found = over.registry().deployments(alias, team_id=None)
    else:
        over._cached_get_model_group_info(alias)
        found = over.get_model_list(model_name=alias)
    (group,) = {entry["litellm_params"]["model"].partition("/")[2] for entry in found}
    return str(group)


def cooldowns_of(over: Any) -> Any:
    """Return where LiteLLM keeps the cooldowns of a router."""
    return over.health().cooldowns if era() is Era.ENTRY_POINTS else over.cooldown_cache


def cool_down(over: Any, name: str, *, seconds: float = 60.0) -> None:
    """Put a deployment into LiteLLM's cooldown."""
    cooldowns_of(over).add_deployment_to_cooldown(
        model_id=name, original_exception=RuntimeError("down"), exception_status=500, cooldown_time=seconds
    )


def warm_up(over: Any, name: str) -> None:
    """Let LiteLLM's cooldown of a deployment be over."""
    if era() is Era.ENTRY_POINTS:
        cooldowns_of(over).cooldown_store.evict_local(name)
    else:
        cooldowns_of(over).in_memory_cache.flush_cache()


def change(over: Any, **settings: Any) -> None:
    """Change settings of a router as LiteLLM's own routes and its synchronisation do."""
    if era() is Era.ENTRY_POINTS:
        from litellm.router_api import ChangeSet

        over.apply(ChangeSet(settings=settings))
    else:
        over.update_settings(**settings)


def add(over: Any, entry: Mapping[str, Any]) -> None:
    """Add a deployment to a router."""
    made = litellm.types.router.Deployment(**entry)
    if era() is Era.ENTRY_POINTS:
        from litellm.router_api import ChangeSet

        over.apply(ChangeSet(upsert=[made]))
    else:
        over.upsert_deployment(made)


def remove(over: Any, name: str) -> None:
    """Delete a deployment from a router."""
    if era() is Era.ENTRY_POINTS:
        from litellm.router_api import ChangeSet

        over.apply(ChangeSet(delete=[name]))
    else:
        over.delete_deployment(id=name)


@dataclass
class FakeMonitor:
    """Says of each deployment what a test wrote down."""

    known: dict[str, Candidate] = field(default_factory=dict)

    def knows(
        self, name: str, *, health: Health = Health.OK, latency_ms: float | None = 100.0, **facts: Any
    ) -> None:
        """Write down how a deployment stands."""
        self.known[name] = Candidate(
            DeploymentStatus(Deployment(id=name, group="g", **facts), health), latency_ms
        )

    def candidate(self, deployment_id: str) -> Candidate | None:
        """Return what was written down."""
        return self.known.get(deployment_id)

    def deployments(self, group: str) -> tuple[Deployment, ...]:
        """Return all that was written down: these are the deployments of one group."""
        return tuple(found.status.deployment for found in self.known.values())


class Witness(CustomLogger):  # type: ignore[misc]
    """Counts the requests of which LiteLLM told the callback after ours: when it has been told, so have we.

    What began before it was there, such as a stream that another test left, does not count.
    """

    def __init__(self) -> None:
        super().__init__()
        self._begun: set[object] = set()
        self.told = 0

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        """Note a request."""
        self._begun.add(kwargs["litellm_call_id"])

    async def async_log_success_event(
        self, kwargs: Mapping[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Count."""
        self.told += kwargs["litellm_call_id"] in self._begun

    async def async_log_failure_event(
        self, kwargs: Mapping[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Count."""
        self.told += kwargs["litellm_call_id"] in self._begun


@dataclass
class Measured:
    """A router whose attempts are counted."""

    router: Any
    recorder: Recorder
    attempts: AttemptHooks
    witness: Witness

    def counted(self) -> dict[str, tuple[int, int]]:
        """Return answers and errors by deployment id."""
        sums: dict[str, tuple[int, int]] = {}
        for slot in self.recorder.window.slots.values():
            for name, tally in slot.items():
                answers, errors = sums.get(name, (0, 0))
                sums[name] = (answers + tally.get(fields.ANSWERS, 0), errors + tally.get(fields.ERRORS, 0))
        return sums

    def tally(self, name: str) -> Mapping[str, int]:
        """Return all that was counted of one deployment."""
        return fields.merge(slot[name] for slot in self.recorder.window.slots.values() if name in slot)

    async def settled(self, told: int) -> None:
        """Wait until LiteLLM has told of `told` requests, and nothing is in flight."""
        await eventually(lambda: self.witness.told >= told)
        await eventually(lambda: not self.recorder.depths)


@contextmanager
def measured(
    over: Any,
    *,
    cold: frozenset[str] = frozenset(),
    place_of: Callable[[str, object], str | None] = lambda *_: None,
) -> Iterator[Measured]:
    """Count the attempts of a router, and take everything out of LiteLLM again."""
    recorder, witness = Recorder(clock=time.time), Witness()
    attempts = AttemptHooks(
        recorder, deployments=bridged(over), is_cold=lambda name: name in cold, place_of=place_of
    )
    for callback in (attempts, witness):
        litellm.logging_callback_manager.add_litellm_callback(callback)
    yield Measured(over, recorder, attempts, witness)
    for callback in (attempts, witness):
        litellm.logging_callback_manager.remove_callback_from_all_lists(callback)
