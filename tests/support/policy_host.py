"""A host with a policy file, a store of its own, and one worker that may act."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.outage_probes import OutageProbes
from neuronode_router.control.policies import LEASE_SECONDS, Policies
from neuronode_router.control.policy_file import PolicyFile
from neuronode_router.control.policy_place import PolicyPlace
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.domain.profiles import HostFacts, OnMissing
from neuronode_router.domain.state import ControlState
from neuronode_router.policy.document import OutageTarget
from neuronode_router.policy.engine import Level
from neuronode_router.policy.rules import Facts
from neuronode_router.profiles.memory import FilesMemory
from neuronode_router.storage.lease import Lease
from tests.support.clock import Clock
from tests.support.control import GROUPS, HOST, NAMES, FileSource, make_profile, make_set
from tests.support.migrated import migrated


class FileHost:
    """`restart` looks at the file as a new process does. `facts` and `host` are what it knows and offers now."""

    def __init__(self, directory: Path, clock: Clock | None = None) -> None:
        self.path = directory / "policy.yaml"
        self.clock = clock or Clock()
        self.facts: Facts = {}
        self.host: HostFacts = HOST
        self.acted: list[tuple[Level, bool]] = []
        self.store = ControlStore(migrated(directory / "control.db"), clock=self.clock)
        self._source = FileSource(directory / "profiles.json")
        strict = {name: replace(make_profile(name), on_missing=OnMissing.REFUSE) for name in NAMES}
        self._source.write(make_set(**strict))
        self.manager = self.process()
        self.policies = self.worker("w")
        self.restart()

    def process(self) -> ProfileManager:
        """Return the manager of a process of this host."""
        return ProfileManager(
            store=self.store,
            source=self._source,
            host=lambda: self.host,
            wake=WakeGroup(()),
            clock=self.clock,
        )

    def worker(self, name: str) -> Policies:
        """Return the policies of another worker of this host."""
        return Policies(
            manager=self.process(),
            store=self.store.policies,
            facts=lambda _policy, _now: self.facts,
            probes=OutageProbes(self._ask),
            lease=Lease(self.store.database, "policy", holder=name, ttl=LEASE_SECONDS, clock=self.clock),
            host=lambda: self.host,
            members=lambda target: GROUPS & {target.name},
            place=self.place(),
            heard=self._heard,
            clock=self.clock,
        )

    def place(self) -> PolicyPlace:
        """Return the file as another process of this host knows it."""
        return PolicyPlace(self.path, FilesMemory(self.path.with_suffix(".seen")))

    def restart(self) -> None:
        """Look at the file as a new process does."""
        self.file = PolicyFile(self.place(), self.policies)

    def lacks(self, group: str) -> None:
        """Offer a group no more: profiles that need it cannot be put in force."""
        self.host = HostFacts(groups=GROUPS - {group})

    def state(self) -> ControlState:
        """Return what is committed."""
        state = self.store.read()
        assert state is not None
        return state

    async def write(self, text: str) -> None:
        """Write the file and look at it until it is believed."""
        self.path.write_text(text)
        await self.settle()

    async def settle(self) -> None:
        """Look at the file twice, as a worker does within two seconds."""
        await self.file.look()
        await self.file.look()

    async def wants(self) -> str:
        """Return the profile of the window in force, "" for none."""
        policy = await self.policies.in_force()
        return str(policy.schedule[0].want.profile) if policy.schedule else ""

    def codes(self) -> list[str]:
        """Return the codes of what is wrong with the file."""
        return [problem.code for problem in self.file.problems]

    def _heard(self, level: Level, *, done: bool) -> None:
        self.acted.append((level, done))

    async def _ask(self, target: OutageTarget, _number: int) -> bool:
        return True
