"""The policy of one proxy: taken up from a file or a person, and acted upon by one worker of all.

Every act is a change of the ProfileManager: committed, with a receipt and a row in the audit log. Its own wait for no
worker's acknowledgement. It must not know HTTP, LiteLLM, or where facts come from.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol, Unpack

from sqlalchemy import Connection

from neuronode_router.control.change import REASON_LIMIT, ChangeTarget, Options, as_it_is, naming
from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.outage_probes import OutageProbes
from neuronode_router.control.policy_known import Members, unusable
from neuronode_router.control.policy_look import (
    PolicyLook,
    is_emergency,
    rules_ended,
    situation_of,
    target_of,
)
from neuronode_router.control.policy_place import PolicyPlace
from neuronode_router.control.policy_store import PolicyStore
from neuronode_router.control.policy_view import PolicyView, rule_views
from neuronode_router.domain.audit import Actor, AuditEntry
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.domain.receipts import Receipt
from neuronode_router.domain.state import ControlState
from neuronode_router.domain.steering import NOT_STEERED
from neuronode_router.errors import (
    LeaseLost,
    NeuronodeError,
    NothingHeld,
    PolicyInvalid,
    PolicyUnreadable,
    Problem,
    RevisionConflict,
    StoreUnavailable,
)
from neuronode_router.policy.document import (
    Policy,
    RuleMode,
    difference,
)
from neuronode_router.policy.engine import (
    Level,
    PolicyVerdict,
    PreviewStretch,
    Situation,
    acting,
    decide,
    preview,
    undecided,
    without_profile,
)
from neuronode_router.policy.rules import Facts, Memory, RuleMemory, remember
from neuronode_router.profiles.edits import StagedFiles
from neuronode_router.storage.lease import Lease
from neuronode_router.threads import in_thread

logger = logging.getLogger(__name__)

RELEASED = "hold released"
"""What the audit log says of a release, before the reason given."""

LEASE = "policy"
"""Under which name the lease of the acting worker is kept."""

LEASE_SECONDS = 10.0
"""After so long without a word from the acting worker another one acts."""

REFUSED_SECONDS = 15.0
"""How long what was refused is not tried again."""

POLICY_ACTOR = Actor("policy", kind="policy")

ReadFacts = Callable[[Policy, float], Facts]
"""From a policy and Unix time to what is known of its rules. Blocks; may raise `StoreUnavailable`."""


Stage = Callable[[ControlState], StagedFiles | None]
"""From the state to what becomes of the policy file, None for nothing. Blocks; may raise `ProfilesReadOnly`."""


class Heard(Protocol):
    """Who is told what the policy did."""

    def __call__(self, level: Level, *, done: bool) -> None:
        """Take in at which level it acted, or was refused to. Never raises."""
        ...


def _unfiled(_: ControlState) -> None:
    """Say that no file has to do with it."""


def _unheard(level: Level, *, done: bool) -> None:
    """Nobody listens."""


class Policies:
    """The policy of the proxies that share a store. `host` tells what this proxy offers now, `members`
    which deployments an outage is about; `place` is where the policy is written.
    """

    def __init__(  # noqa: PLR0913  one argument per collaborator, all by keyword
        self,
        *,
        manager: ProfileManager,
        store: PolicyStore,
        facts: ReadFacts,
        probes: OutageProbes,
        lease: Lease,
        host: Callable[[], HostFacts],
        members: Members,
        place: PolicyPlace,
        heard: Heard = _unheard,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._manager = manager
        self._store = store
        self._facts = facts
        self._probes = probes
        self._lease = lease
        self._host = host
        self._members = members
        self._place = place
        self._heard = heard
        self._clock = clock
        self._known: Policy = Policy()
        self._refused: dict[str, tuple[float, Problem]] = {}
        """What was refused of what is wanted, by the profile that it led to, and when."""
        self.leads = False
        """Whether this worker was the acting one when it looked last."""

    async def take_up(self, policy: Policy, *, mark: str = "", **options: Unpack[Options]) -> Receipt:
        """Put a policy in force; an empty one ends what is. Raises `PolicyInvalid` and what a switch raises.

        Its rules begin and end when somebody looks next. A hold stays. With the `mark` of a file that says it, nothing
        is done where it was in force by that very file already: others have gone past it.
        """
        return await self._put(policy, options, partial(self._place.found, mark) if mark else _unfiled, mark)

    async def write(self, policy: Policy, **options: Unpack[Options]) -> Receipt:
        """Put a policy in force and into its file. Raises `ProfilesReadOnly` and what `take_up` raises."""
        return await self._put(policy, options, partial(self._place.staged, policy))

    async def _put(self, policy: Policy, options: Options, stage: Stage, mark: str = "") -> Receipt:
        def prepare(state: ControlState) -> ChangeTarget:
            # After the state was read: whoever had put this in force before that has kept it.
            if mark and self._place.keeps(mark):
                return as_it_is(state)
            # Each attempt anew: somebody may have put another one in force since the last.
            before = self._replaceable(state)
            unchanged = {rule.name for rule in policy.rules if rule in before.rules}

            def along(connection: Connection, entry: AuditEntry) -> None:
                self._store.add(connection, policy, entry, unchanged=unchanged)

            self._require_known(policy, state)
            steering = replace(state.steering, policy=policy.digest)
            if policy.is_empty:
                timed = steering.hold is not None and steering.hold.until is not None
                steering = replace(steering, bends=(), hold=steering.hold if timed else None)
            edit = stage(state)
            # A file that says something else is written also where the policy is in force: it would be an old copy.
            same = steering == state.steering and not (edit and edit.changes)
            return replace(
                as_it_is(state),
                steering=steering,
                edit=edit,
                along=None if same else along,
                remark="; ".join(difference(before, policy)) or "only how it is written",
            )

        return await self._manager.act("policy", prepare, **options)

    async def release(self, **options: Unpack[Options]) -> Receipt:
        """End what a person holds: the policy decides again, now. Raises `NothingHeld` and what a switch raises."""

        def prepare(state: ControlState) -> ChangeTarget:
            hold, now = state.steering.hold, self._now()
            if hold is None or (hold.until is not None and hold.until <= now):
                raise NothingHeld("Nobody holds a profile.")
            policy, memory = self._policy(state), self._store.memory()
            released = replace(
                self._situation(state), steering=replace(state.steering, hold=replace(hold, until=now))
            )
            return target_of(state, decide(policy, memory, released, now=now))

        options["reason"] = naming(RELEASED, options.get("reason", ""))
        return await self._manager.act("policy", prepare, **options)

    async def in_force(self) -> Policy:
        """Return the policy in force, an empty one where there is none. Raises `StoreUnavailable`."""
        state = await self._manager.current()
        return Policy() if state is None else await in_thread(self._policy, state)

    async def digest(self) -> str:
        """Return the digest of the policy in force, "" where there is none. Raises `StoreUnavailable`."""
        state = await self._manager.current()
        return "" if state is None else state.steering.policy

    async def known_since(self, digest: str) -> int | None:
        """Return the revision that first had a policy; None where none did. Raises `StoreUnavailable`."""
        return await in_thread(self._store.since, digest)

    async def view(self) -> PolicyView | None:
        """Return how everything stands; None while nothing is committed. Raises `StoreUnavailable`."""
        state = await self._manager.current()
        if state is None:
            return None
        return await in_thread(self._viewed, state)

    async def verdict(self) -> PolicyVerdict | None:
        """Return why what is active is; None while nothing is committed. Raises `StoreUnavailable`.

        Whoever asks for the status asks this.
        """
        state = await self._manager.current()
        return None if state is None else await in_thread(self.verdict_of, state)

    def verdict_of(self, state: ControlState) -> PolicyVerdict:
        """Return why what is active in a state is. Blocks; raises `StoreUnavailable`.

        Facts are not looked at, and the store only where something is steered.
        """
        if state.steering == NOT_STEERED:
            return decide(Policy(), {}, self._situation(state), now=self._clock())
        try:
            return self._decided(state)
        except PolicyUnreadable as unreadable:
            return undecided(self._situation(state), unreadable.message)

    async def preview(self, days: float) -> tuple[PreviewStretch, ...]:
        """Return what will be active, if rules and rollouts stay as they are. Raises `StoreUnavailable`."""
        state = await self._manager.current()
        if state is None:
            return ()

        def foreseen() -> tuple[PreviewStretch, ...]:
            policy, memory = self._policy(state), self._store.memory()
            return preview(policy, memory, self._situation(state), now=self._now(), days=days)

        return await in_thread(foreseen)

    async def turn(self) -> Receipt | None:
        """Look at clock and facts and, if this worker leads, do what follows. Raises `StoreUnavailable`.

        Return the receipt of what was done, None where nothing was.
        """
        fence, now = await in_thread(self._lease.take)
        self.leads = fence is not None
        state = None if fence is None else await self._manager.current()
        if fence is None or state is None or state.steering == NOT_STEERED:
            self._refused.clear()  # another worker tries now, or nobody wants it any more
            return None
        try:
            policy, before, memory = await in_thread(self._looked, state, now)
        except PolicyUnreadable:  # another worker may know what this one does not
            self.leads = False
            await in_thread(self._lease.release)
            raise
        memory = self._probes.look(policy, memory, now)
        verdict = decide(policy, memory, self._situation(state), now=now)
        look = PolicyLook(state, policy, verdict, memory, fence, now, rules_ended(policy, before, memory))
        try:
            receipt = await self._carry_out(look)
            # Also where an act is refused: rules have begun, and probes were answered, all the same.
            if receipt is None and memory != before:
                await in_thread(partial(self._store.remember, memory, fence, revision=state.revision))
        except (LeaseLost, RevisionConflict) as overtaken:
            logger.info("neuronode: policy: %s", overtaken.message)
            return None
        return receipt

    def standing(self, state: ControlState) -> dict[tuple[str, RuleMode], bool]:
        """Return of each rule in force whether it applies. Blocks; raises `StoreUnavailable`."""
        if not state.steering.policy:
            return {}
        memory = self._store.memory()
        return {
            (rule.name, rule.mode): memory.get(rule.name, RuleMemory()).active
            for rule in self._policy(state).rules
        }

    def problems(self) -> tuple[Problem, ...]:
        """Return what this worker was refused when it acted last."""
        return tuple(problem for _, problem in self._refused.values())

    async def stop(self) -> None:
        """Let another worker act at once. Raises `StoreUnavailable`."""
        await self._probes.stop()
        await in_thread(self._lease.release)

    async def _carry_out(self, look: PolicyLook) -> Receipt | None:
        """Do what follows from a look. Where the profile is refused, the rest of it is done all the same."""
        situation = self._situation(look.state)
        wanted = [look.verdict]
        if look.verdict.profile != situation.active:
            wanted.append(without_profile(look.verdict, situation))
        wanted = [verdict for verdict in wanted if verdict.differs(situation)]
        profiles = {verdict.profile for verdict in wanted}
        self._refused = {name: known for name, known in self._refused.items() if name in profiles}
        for verdict in wanted:
            if self._rests(verdict.profile, look.now):
                continue
            level = acting(look.policy, verdict, situation)
            try:
                receipt = await self._do(replace(look, verdict=verdict))
            except (LeaseLost, RevisionConflict, StoreUnavailable):
                raise
            except NeuronodeError as refusal:
                problem = _refusal(refusal, verdict)
                if problem not in self.problems():
                    logger.warning("neuronode: policy: %s: refused: %s", verdict.why, refusal)
                self._refused[verdict.profile] = (look.now, problem)
                self._heard(level, done=False)
            else:
                self._refused.pop(verdict.profile, None)
                self._heard(level, done=True)
                return receipt
        return None

    def _rests(self, profile: str, now: float) -> bool:
        """Return whether what led to a profile was refused a moment ago; not where the clock was set back since."""
        known = self._refused.get(profile)
        return known is not None and 0 <= now - known[0] < REFUSED_SECONDS

    async def _do(self, look: PolicyLook) -> Receipt:
        target = replace(
            target_of(look.state, look.verdict),
            along=lambda connection, _: self._store.keep(connection, look.memory, look.fence),
        )
        why = "; ".join((*look.ended, look.verdict.why))[:REASON_LIMIT]
        receipt = await self._manager.act(
            "policy",
            lambda _: target,
            actor=POLICY_ACTOR,
            reason=why,
            if_match=look.state.revision,
            # What is an emergency does not wait for a proof that the group it leads to answers.
            force=look.verdict.level is Level.EMERGENCY,
            moves=is_emergency(look.state, look.verdict),
            wait="none",  # what comes next may be an emergency too: it waits for no frozen worker
        )
        logger.warning("neuronode: policy: revision %d: %s", receipt.revision, why)
        return receipt

    def _looked(self, state: ControlState, now: float) -> tuple[Policy, Memory, Memory]:
        policy, before = self._policy(state), self._store.memory()
        facts = self._facts(policy, now) if policy.rules else {}
        return policy, before, remember(policy, before, facts, now=now)

    def _policy(self, state: ControlState) -> Policy:
        # Other threads keep others: what is returned is never read from there again.
        known = self._known
        if known.digest != state.steering.policy:
            self._known = known = self._store.read(state.steering.policy)
        return known

    def _replaceable(self, state: ControlState) -> Policy:
        """Return the policy of a state, an empty one where it cannot be read: it can be replaced all the same."""
        try:
            return self._policy(state)
        except PolicyUnreadable:
            return Policy()

    def _now(self) -> float:
        """Return the time by which the acting worker decides, whatever the clock of this host."""
        return self._store.time(self._clock)

    def _situation(self, state: ControlState) -> Situation:
        return situation_of(state, self._host())

    def _decided(self, state: ControlState) -> PolicyVerdict:
        return decide(self._policy(state), self._store.memory(), self._situation(state), now=self._now())

    def _viewed(self, state: ControlState) -> PolicyView:
        policy, memory, now = self._policy(state), self._store.memory(), self._now()
        facts = self._facts(policy, now) if policy.rules else {}
        rules = tuple(rule_views(policy, memory, facts))
        verdict = decide(policy, memory, self._situation(state), now=now)
        return PolicyView(policy, verdict, state.active, str(self._place.path), rules, state.revision)

    def _require_known(self, policy: Policy, state: ControlState) -> None:
        if problems := tuple(unusable(policy, state, self._host(), self._members)):
            raise PolicyInvalid(problems)


def _refusal(refusal: NeuronodeError, verdict: PolicyVerdict) -> Problem:
    return Problem(
        code="policy_refused",
        message=f"What the policy wants is refused: {verdict.why}: {refusal.message}",
        fix=refusal.fix,
    )
