"""How one proxy worker follows the control state: manager, worker, files, LiteLLM's alias map and configuration.

It decides nothing itself, and must not know what requests are measured, classified or counted by.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from neuronode_router.background import Failures
from neuronode_router.control.change import When
from neuronode_router.control.checks import dead_mapping, name_collision
from neuronode_router.control.manager import FILES, FILES_CHANGED, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import FileWake, RedisWake, WakeGroup
from neuronode_router.control.watcher import TAKING_UP, ProfileWatcher
from neuronode_router.control.worker import Worker
from neuronode_router.control.workers import WorkerIdentity
from neuronode_router.domain.names import (
    AUTO_NAMES,
    PROFILE_NAME_PREFIX,
    STABLE_ALIAS_PREFIX,
    STABLE_ALIAS_PROFILE,
    TASK_ALIASES,
)
from neuronode_router.domain.profiles import HostFacts, Profile
from neuronode_router.domain.receipts import CacheLoss, Receipt
from neuronode_router.errors import NeuronodeError, Problem, SettingsError
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks.admission import Admission
from neuronode_router.litellm_plugin.model_table import ModelTable, stores_in_database
from neuronode_router.litellm_plugin.router.aliases import RouterAliases
from neuronode_router.litellm_plugin.router.applier import SnapshotApplier
from neuronode_router.litellm_plugin.router.bridge import AliasTable
from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.profiles.config_writer import Renderer
from neuronode_router.profiles.configuration import read_config
from neuronode_router.profiles.files import ProfileFiles
from neuronode_router.profiles.memory import FilesMemory
from neuronode_router.proof.gate import ProofGate
from neuronode_router.routing.snapshot import Snapshot
from neuronode_router.settings import Settings
from neuronode_router.warm.warming import Warming

FIRST_SNAPSHOT_SECONDS = 2.0
"""How long an empty store may take to become the first revision before requests go LiteLLM's way."""

LEAVING_SECONDS = 0.01
"""How long a receipt has to leave the process: rendering takes the interpreter in turns with whoever sends it."""


class ControlWiring:
    """The parts, wired. `on_receipt` hears of each change, `report` is what each heartbeat says of this worker."""

    def __init__(  # noqa: PLR0913  one argument per collaborator, all by keyword
        self,
        *,
        proxy: Any,
        settings: Settings,
        store: ControlStore,
        identity: WorkerIdentity,
        admission: Admission,
        current: CurrentSnapshot,
        aliases: RouterAliases,
        deployments: Deployments,
        gate: ProofGate,
        on_receipt: Callable[[Receipt], None],
        caches: Callable[[Profile], Awaitable[CacheLoss]],
        warmth: Warming,
        report: Callable[[], Mapping[str, Any]],
        failures: Failures,
    ) -> None:
        self._proxy = proxy
        self._settings = settings
        self._admission = admission
        self._deployments = deployments
        self._tell_receipt = on_receipt
        self._current = current
        self._failures = failures
        self._store = store
        self.aliases = aliases
        self.renderer = Renderer(
            config=settings.config, mark=settings.state_dir / "rendered.json", enabled=self.renders
        )
        self._wake = _wake(settings)
        models = ModelTable(proxy, failures)
        memory = FilesMemory(settings.state_dir / "profiles.seen")
        self.manager = ProfileManager(
            store=store,
            source=ProfileFiles(settings.profiles, standstill=store.standstill, memory=memory),
            host=self.facts,
            wake=self._wake,
            gate=gate,
            receipt_timeout=settings.receipt_timeout,
            default_profile=_first_profile(settings),
            on_receipt=self._on_receipt,
            refresh=models.refresh,
            caches=caches,
            warmth=warmth,
        )
        self.worker: Worker[Snapshot] = Worker(
            store=store,
            applier=SnapshotApplier(
                current=current,
                aliases=self.aliases,
                facts=self.facts,
                applied=self.renderer.schedule,
                refresh=models.refresh,
                loop=asyncio.get_running_loop(),
            ),
            wake=self._wake,
            identity=identity,
            poll_seconds=settings.poll_seconds,
            heartbeat_seconds=settings.heartbeat_seconds,
            report=report,
            failures=failures,
        )
        self.watcher = ProfileWatcher(
            settings.profiles,
            memory=memory,
            on_change=self._reload,
            in_force=self._in_force,
            circumstances=lambda: (self.facts(), self.worker.revision),
            failures=failures,
        )

    async def start(self) -> None:
        """Take up the committed state, or make the files the first one; then admit requests. Never raises for a dead
        store.
        """
        await self.worker.start()
        if self.worker.revision == 0:
            await self._bootstrap()
        self._admission.open()
        await self.watcher.start()

    async def stop(self) -> None:
        """Retire: the other workers' receipts wait for this one no longer."""
        await self.watcher.stop()
        await self.renderer.stop()
        self.aliases.release()
        await self.worker.stop()

    def operators_aliases(self) -> AliasTable:
        """Return LiteLLM's live map of aliases without our names, also those that it has stored once."""
        return {name: led for name, led in self.aliases.foreign().items() if not _is_ours_by_form(name)}

    def facts(self) -> HostFacts:
        """Return what this worker's LiteLLM offers now; our own names are not the operator's aliases."""
        foreign = frozenset(self.operators_aliases())
        return self._deployments.facts(foreign)

    def report(self) -> Mapping[str, Any]:
        """Return what a heartbeat says of following: counts and modes."""
        return {
            "wake": self._wake.mode,
            "drifts": self.aliases.drifts,
            "store_failures": self.worker.store_failures,
        }

    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong in the profile files, with groups that LiteLLM has not, and with names that it has."""
        snapshot = self._current.snapshot
        if snapshot is None:
            return self.watcher.problems()
        return (
            *self.watcher.problems(),
            *map(dead_mapping, snapshot.dead),
            *map(name_collision, snapshot.collisions),
        )

    def renders(self) -> bool:
        """Where LiteLLM re-reads its file every 30 s it would put a rendered, older map back over ours."""
        if self._settings.render != "auto":
            return self._settings.render == "on"
        return not stores_in_database(self._proxy)

    async def _bootstrap(self) -> None:
        """Make the files the first revision. What goes wrong here the watcher meets again, shows and retries."""
        with contextlib.suppress(NeuronodeError), self._failures.survived(TAKING_UP, but=NeuronodeError):
            await self._reload("if_empty")
            await self.worker.wait_beyond(0, FIRST_SNAPSHOT_SECONDS)

    async def _reload(self, when: When, over: str | None = None) -> None:
        await self.manager.reload(when, over=over, actor=FILES, reason=FILES_CHANGED, wait="none")

    async def _in_force(self) -> str | None:
        state = await self.manager.current()
        return None if state is None else state.profiles.digest

    def _on_receipt(self, receipt: Receipt) -> None:
        asyncio.get_running_loop().call_later(LEAVING_SECONDS, self.renderer.hurry)
        self._tell_receipt(receipt)


def _is_ours_by_form(name: str) -> bool:
    return (
        name in TASK_ALIASES
        or name in AUTO_NAMES
        or name.startswith((STABLE_ALIAS_PREFIX, PROFILE_NAME_PREFIX))
    )


def _wake(settings: Settings) -> WakeGroup:
    channels: list[Any] = [FileWake(settings.state_dir / "wake" / "revision")]
    if settings.redis_url:
        channels.append(RedisWake(settings.redis_url))
    return WakeGroup(channels)


def _first_profile(settings: Settings) -> str:
    """Return what an empty store begins with: the setting, else the configuration's own `current_profile`."""
    if settings.default_profile is not None:
        return settings.default_profile
    try:
        return str(read_config(settings.config)["profile_settings"]["current_profile"])
    except (SettingsError, KeyError, TypeError):
        return STABLE_ALIAS_PROFILE
