"""The policy in one worker: its file, its facts, the lease, and the look that each worker takes while one is in force.

It decides nothing itself. While no policy is in force it looks at one file and one attribute a second, and no more.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.outage_probes import AskTarget, OutageProbes
from neuronode_router.control.policies import LEASE, LEASE_SECONDS, Heard, Policies
from neuronode_router.control.policy_facts import PolicyFacts, Slots, attempts_of
from neuronode_router.control.policy_file import PolicyFile
from neuronode_router.control.policy_known import unusable
from neuronode_router.control.policy_place import PolicyPlace
from neuronode_router.control.store import ControlStore
from neuronode_router.control.worker import Worker
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.domain.steering import NOT_STEERED, Steering
from neuronode_router.errors import NeuronodeError, Problem
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.router.watched import AskedPart, WatchedDeployments
from neuronode_router.policy.document import OutageTarget, Policy, RuleMode
from neuronode_router.proof.probes import PROBES, ProbeReason, Shape
from neuronode_router.proof.runner import Asker, ProbeFailed
from neuronode_router.storage.lease import Lease
from neuronode_router.usage.store import UsageStore

LOOK_SECONDS = 1.0
"""How often clock, file and facts are looked at. With the heartbeat's two seconds an outage is answered within five."""

PROBE_SECONDS = 10.0
"""The longest a probe is waited for, but where weights may have to be loaded first."""

DOWN = frozenset(
    {
        ProbeReason.TIMEOUT,
        ProbeReason.RATE_LIMIT,
        ProbeReason.AUTHENTICATION,
        ProbeReason.UNAVAILABLE,
        ProbeReason.FAILED,
    }
)
"""What a probe says of what is not there. That it refuses the question itself says that it is.

One that has not what it was asked for says neither: others are asked.
"""


class PolicyWiring:
    """The parts, wired. `slots` are the attempts that this process counted, `loading` seconds that loading may take."""

    def __init__(  # noqa: PLR0913  one argument per collaborator, all by keyword
        self,
        *,
        manager: ProfileManager,
        worker: Worker[Any],
        store: ControlStore,
        current: CurrentSnapshot,
        host: Callable[[], HostFacts],
        place: PolicyPlace,
        asker: Asker,
        slots: Callable[[], Slots],
        watched: WatchedDeployments,
        loading: float,
        heard: Heard,
    ) -> None:
        self._current = current
        self._host = host
        self._slots = slots
        self._members = watched.of
        self._known = Policy()
        self.policies = Policies(
            manager=manager,
            store=store.policies,
            facts=PolicyFacts(usage=UsageStore(store.database), workers=store.registry.workers),
            probes=OutageProbes(asking(asker, watched.asked, loading=loading)),
            lease=Lease(store.database, LEASE, holder=worker.instance, ttl=LEASE_SECONDS),
            host=host,
            members=watched.of,
            place=place,
            heard=heard,
        )
        self._file = PolicyFile(place, self.policies)

    async def look(self) -> None:
        """Follow the file, and act if this worker leads. Raises `StoreUnavailable`."""
        if self._current.snapshot is None:
            return
        await self._file.look()
        steering = self._steering
        if steering != NOT_STEERED:
            await self.policies.turn()
            if self._known.digest != steering.policy:
                self._known = await self.policies.in_force()

    async def stop(self) -> None:
        """Let another worker act at once. Never raises for a dead store."""
        if self._steering != NOT_STEERED:
            with contextlib.suppress(NeuronodeError):
                await self.policies.stop()

    def report(self) -> Mapping[str, Any]:
        """Return what a heartbeat tells of attempts at what the policy watches, if it watches anything."""
        members = {target.key: self._members(target) for target in self._policy.watched()}
        return attempts_of(self._slots(), members, now=time.time()) if members else {}

    def standing(self) -> Mapping[tuple[str, RuleMode], bool]:
        """Return of each rule in force whether it applies. Blocks where there are any; raises `StoreUnavailable`."""
        snapshot = self._current.snapshot
        return {} if snapshot is None else self.policies.standing(snapshot.state)

    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with the file, what was refused, and what is in force and leads nowhere here."""
        snapshot = self._current.snapshot
        if snapshot is None or self._steering == NOT_STEERED:
            return self._file.problems
        gone = unusable(self._policy, snapshot.state, self._host(), self._members)
        return (*self._file.problems, *self.policies.problems(), *gone)

    @property
    def _policy(self) -> Policy:
        """The policy in force, an empty one until it was read."""
        return self._known if self._known.digest == self._steering.policy else Policy()

    @property
    def _steering(self) -> Steering:
        snapshot = self._current.snapshot
        return NOT_STEERED if snapshot is None else snapshot.state.steering


def asking(
    asker: Asker, asked: Callable[[OutageTarget], Sequence[AskedPart]], *, loading: float
) -> AskTarget:
    """Return who tells whether a target is there, by the smallest request of the proof matrix.

    What an Ollama serves has `loading` seconds: it gives up loading with whoever asked.
    """

    async def found(part: AskedPart) -> ProbeReason:
        seconds = max(loading, PROBE_SECONDS) if part.loads else PROBE_SECONDS
        try:
            await asker.ask(part.name, PROBES[Shape.TEXT], seconds=seconds)
        except ProbeFailed as failed:
            return failed.why
        return ProbeReason.ANSWERED

    async def ask(target: OutageTarget, number: int) -> bool:
        parts = deque(asked(target))
        parts.rotate(-number)
        for part in parts:
            why = await found(part)
            if why is not ProbeReason.NOT_FOUND:
                return why not in DOWN
        return not any(part.chats for part in parts)

    return ask
