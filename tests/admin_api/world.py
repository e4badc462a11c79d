"""One proxy worker without LiteLLM: the real ProfileManager, SQLite store, profile files and access file.

It must not know what is tested with it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import httpx
from fastapi import FastAPI, Request
from starlette.types import Receive, Scope, Send

from admin_api.host import AdminHost
from admin_api.router import PREFIX, build_router
from neuronode_router.access import AccessFile, Principal, Role, UiSession, add_key, generate_key, sent_key
from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.outage_probes import OutageProbes
from neuronode_router.control.policies import Policies
from neuronode_router.control.policy_facts import PolicyFacts
from neuronode_router.control.policy_place import PolicyPlace
from neuronode_router.control.rollout_facts import RecordedFacts
from neuronode_router.control.rollout_outcomes import RolloutOutcomes, RolloutOutcomeStore
from neuronode_router.control.rollouts import Rollouts
from neuronode_router.control.store import ControlStore
from neuronode_router.control.worker import Worker
from neuronode_router.control.workers import WorkerIdentity
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import NotAuthenticated
from neuronode_router.metrics.metering import Metering
from neuronode_router.policy.document import OutageTarget
from neuronode_router.profiles.files import ProfileFiles
from neuronode_router.profiles.memory import FilesMemory
from neuronode_router.shadows.acts import Shadows
from neuronode_router.shadows.store import ShadowStore
from neuronode_router.storage.lease import Lease
from neuronode_router.usage.buffer import UsageBuffer
from neuronode_router.usage.service import UsageService
from neuronode_router.usage.store import UsageStore
from tests.admin_api.feedback_world import Judged
from tests.admin_api.lent import LentApplication, alone
from tests.admin_api.proof_world import Proving
from tests.admin_api.routing_world import Routing
from tests.admin_api.usage_world import open_books
from tests.support.metering import metering
from tests.support.migrated import migrated
from tests.support.place import GROUPS, PROFILES, TIERS, profile_text
from tests.support.usage import finished
from tests.support.warm import ToldWarmth

GROUP_NAMES = frozenset(g for tasks in GROUPS.values() for g in tasks.values()) | {f"tier_{t}" for t in TIERS}
BASE = f"{PREFIX}/profiles"
CANARY = "sk-canary-3f9a7c"
"""A provider's key as it stands in a configuration: it must never be seen through the API."""

KNOWN_CALL = "4f0c1a9e-known"
"""The call id of a request that team a made, and of one that each caller may judge."""


class DirectWake:
    """Wakes the one worker of this process by calling it."""

    mode = "direct"

    def __init__(self) -> None:
        self._on_wake: Callable[[], None] = lambda: None

    async def start(self, on_wake: Callable[[], None]) -> None:
        """Remember whom to call."""
        self._on_wake = on_wake

    def signal(self, revision: int) -> None:
        """Call him."""
        self._on_wake()

    async def stop(self) -> None:
        """Forget him."""
        self._on_wake = lambda: None


class TakesAll:
    """An applier that takes up every state and keeps the last one."""

    def __init__(self) -> None:
        self.state: ControlState | None = None

    def prepare(self, state: ControlState) -> ControlState:
        """Return the state."""
        return state

    def surroundings(self) -> object:
        return None

    def swap(self, prepared: ControlState) -> None:
        """Keep it."""
        self.state = prepared


async def _answers(_target: OutageTarget, _number: int) -> bool:
    return True


@dataclass
class World:
    """What a test may look at and turn."""

    profiles: Path
    store: ControlStore
    manager: ProfileManager
    worker: Worker[ControlState]
    applier: TakesAll
    routing: Routing
    metering: Metering | None
    buffer: UsageBuffer
    usage: UsageService | None
    keys: Mapping[str, str]
    """Caller -> key: admin, viewer, member (team a), manager (of team a, in team b), stranger (no team), wrong."""
    reported: dict[str, Any] = field(default_factory=dict)
    unready: list[str] = field(default_factory=list)
    """Codes of what keeps this worker from being ready."""
    unstarted: list[str] = field(default_factory=list)
    """Codes of why no revision is in force in it."""
    proving: Proving | None = None
    """The proof matrix, and who answers its probes; None before the start."""
    warmth: ToldWarmth = field(default_factory=ToldWarmth)
    """What is said of local models; nothing, unless it is told."""
    judged: Judged | None = None
    """The history that feedback is given on; None where it is off."""
    rollouts: Rollouts | None = None
    """None before the start."""
    answers: RolloutOutcomes | None = None
    """None before the start."""
    policies: Policies | None = None
    deployments: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By group, provider or address, where it is not one deployment of the group's name."""
    """None before the start."""
    shadows: Shadows | None = None
    """None before the start."""
    closed: Exception | None = None
    """What the host raises instead of serving."""
    starting: asyncio.Event | None = None
    """Ends the start of the proxy; None where it has ended."""
    routes: bool = True
    """Whether automatic routing has started."""
    write_limit: str = "1000/second"
    frame_origin: str | None = None
    agents: Literal["off", "read", "write"] = "read"
    app: LentApplication | FastAPI = field(init=False)

    def __post_init__(self) -> None:
        self.app = LentApplication(build_router, self.host)

    def host(self) -> AdminHost:
        """Return what the routes use."""
        if self.closed is not None:
            raise self.closed
        return AdminHost(
            manager=self.manager,
            worker=self.worker,
            authenticate=self.authenticate,
            opened=self.opened,
            status=lambda: dict(self.reported),
            readiness=lambda: {"problems": self.unready},
            startup=lambda: {"problems": self.unstarted},
            write_limit=self.write_limit,
            router=self.routing.parts() if self.routes else None,
            usage=self.usage,
            metrics=self.metering,
            proof=self.proving.room if self.proving else None,
            rollouts=self.rollouts,
            answers=self.answers,
            policies=self.policies,
            shadows=self.shadows,
            feedback=self.judged.learning if self.judged else None,
            access_file=self._access,
            knows_key=self.knows_key,
            sign_in=self.sign_in,
            frame_origin=self.frame_origin,
            agents=self.agents,
        )

    async def knows_key(self, name: str) -> bool | None:
        """Look the name up in the access file."""
        return name in {key.name for key in self._access.entries()}

    def sign_in(self, claim: str) -> UiSession:
        """Give out the administrator's key for one claim; the real sealing of sessions is tested with LiteLLM."""
        if claim != "a good claim":
            raise NotAuthenticated("LiteLLM's identity claim is not valid.")
        return UiSession(key=self.keys["admin"], expires_at=1.0)

    async def opened(self) -> None:
        """Wait for the end of the start."""
        if self.starting is not None:
            await self.starting.wait()

    async def authenticate(self, request: Request) -> Principal:
        """Look the bearer up in the access file."""
        key = sent_key(request.headers.get("authorization", ""))
        if not key:
            raise NotAuthenticated("No key was sent.")
        return self._access.find(key).principal

    def client(self, caller: str | None = "admin") -> httpx.AsyncClient:
        """Return a client that calls with this caller's key; None sends no key."""
        headers = {"Authorization": f"Bearer {self.keys[caller]}"} if caller else {}
        transport = httpx.ASGITransport(self._answer, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://proxy.test", headers=headers)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)  # the one of now, not the one of when the client was made

    def leave_the_shared_application(self) -> FastAPI:
        """Serve from an application of this world alone, and return it."""
        self.app = alone(build_router, self.host)
        return self.app

    def manager_facts(self) -> HostFacts:
        """Return the groups there are."""
        return HostFacts(groups=GROUP_NAMES)

    def use_access_file(self, path: Path) -> None:
        """Take the keys from this file."""
        self._access = AccessFile(path)


@asynccontextmanager
async def running_world(
    directory: Path, *, committed: bool = True, files: type[ProfileFiles] = ProfileFiles, gate: str = "off"
) -> AsyncIterator[World]:
    """Yield a world at revision 1 with `premium` active, or else with nothing committed yet."""
    profiles = directory / "profiles"
    profiles.mkdir()
    for name in PROFILES:
        (profiles / f"{name}.yaml").write_text(profile_text(name))
    wake, applier = DirectWake(), TakesAll()
    store = ControlStore(migrated(directory / "control.db"))
    proving = Proving(store, gate)
    buffer = UsageBuffer()
    buffer.count(finished(call_id=KNOWN_CALL, at=time.time()))
    usage, keys = open_books(store, buffer), _write_keys(directory / "access.yaml")
    warmth = ToldWarmth()
    manager = ProfileManager(
        store=store,
        source=files(profiles, standstill=store.standstill),
        host=lambda: HostFacts(groups=GROUP_NAMES),
        wake=wake,
        gate=proving.room.gate,
        default_profile="premium",
        caches=usage.running_caches,
        warmth=warmth,
    )
    identity = WorkerIdentity("worker-1", "host-1", os.getpid(), "0.1.0", time.time())
    worker = Worker(store=store, applier=applier, wake=wake, identity=identity)
    routing = Routing(GROUP_NAMES, CANARY, state=lambda: applier.state)
    await routing.look()
    meter = metering(
        monitor=routing.monitor, statistics=routing.statistics, workers=lambda: store.registry.workers()
    )
    world = World(profiles, store, manager, worker, applier, routing, meter, buffer, usage, keys)
    world.proving, world.warmth = proving, warmth
    world.shadows = Shadows(manager=manager, store=ShadowStore(store.database))
    world.rollouts = Rollouts(
        manager=manager,
        store=store.rollouts,
        facts=RecordedFacts(UsageStore(store.database), RolloutOutcomeStore(store.database)),
        lease=Lease(store.database, "rollouts", holder="worker-1", ttl=10),
        rest=0,
    )
    world.answers = RolloutOutcomes(
        RolloutOutcomeStore(store.database),
        keys_of=UsageStore(store.database).keys_of,
        runs=lambda: store.rollouts.running() is not None,
    )
    world.policies = Policies(
        manager=manager,
        store=store.policies,
        facts=PolicyFacts(usage=UsageStore(store.database), workers=store.registry.workers),
        probes=OutageProbes(_answers),
        lease=Lease(store.database, "policy", holder="worker-1", ttl=10),
        host=lambda: HostFacts(groups=GROUP_NAMES),
        members=lambda target: world.deployments.get(target.name, GROUP_NAMES & {target.name}),
        place=PolicyPlace(directory / "policy.yaml", FilesMemory(directory / "policy.seen")),
        heard=meter.policy_acted,
    )
    world.judged = Judged(directory, store.database)
    world.judged.begin(KNOWN_CALL, *keys)
    world.use_access_file(directory / "access.yaml")
    await worker.start()
    if committed:
        await manager.reload(actor=Actor("test"))
    try:
        yield world
    finally:
        await worker.stop()
        store.close()


def _write_keys(path: Path) -> dict[str, str]:
    keys, content = _keys()
    path.write_bytes(content)
    path.chmod(0o600)
    return dict(keys)


@cache
def _keys() -> tuple[Mapping[str, str], bytes]:
    """Return each caller's key and the access file that knows them: the same for every world of a run."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "access.yaml"
        return _new_keys(path), path.read_bytes()


def _new_keys(path: Path) -> dict[str, str]:
    keys = {"wrong": "sk-nobody-knows-this"}
    keys["manager"], entry = generate_key("manager", team="b")
    add_key(path, replace(entry, manages=("a",)))
    for caller, role, team in (
        ("admin", Role.ADMIN, None),
        ("viewer", Role.VIEWER, None),
        ("member", Role.MEMBER, "a"),
        ("stranger", Role.MEMBER, None),
    ):
        keys[caller], entry = generate_key(caller, role=role, team=team)
        add_key(path, entry)
    return keys
