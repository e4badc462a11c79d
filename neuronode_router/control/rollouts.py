"""Rollouts of one proxy: begun, promoted, paused and aborted by people; watched, moved on and taken back by one worker.

Every act is a change of the ProfileManager: committed, with a receipt and a row in the audit log. Its own wait for no
worker's acknowledgement. It must not know HTTP, LiteLLM, or where facts are recorded.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Unpack

from neuronode_router.control.change import REASON_LIMIT, ChangeResult, ChangeTarget, Options, naming
from neuronode_router.control.checks import require_profile
from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.rollout_store import RolloutEvent, RolloutStore
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.profiles import Profile, edited_name
from neuronode_router.domain.receipts import Receipt
from neuronode_router.domain.rollouts import Canary
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import (
    FactNotRecorded,
    FilesAhead,
    LeaseLost,
    NeuronodeError,
    Problem,
    RolloutRefused,
    StoreUnavailable,
    UnknownRollout,
)
from neuronode_router.policy.engine import Level, PolicyVerdict
from neuronode_router.rollouts.course import (
    Act,
    NextAct,
    Phase,
    Rollout,
    RolloutPlan,
    after,
    changes_of,
    next_act,
    watched,
)
from neuronode_router.rollouts.facts import BothArms
from neuronode_router.rollouts.guards import GuardFinding, Metric, judge
from neuronode_router.storage.lease import Fence, Lease
from neuronode_router.threads import in_thread

logger = logging.getLogger(__name__)

LEASE = "rollouts"
"""Under which name the lease of the watching worker is kept."""

LEASE_SECONDS = 10.0
"""After so long without a word from the watching worker another one watches."""

REST = 20
"""How many times longer than a look at the facts took nobody looks again: hours of minutes take a while to add up."""

KEEPING_SECONDS = 2.0
"""How long a worker that ends waits for figures of a rollout that a change has ended."""

REFUSED_SECONDS = 5.0
"""For how long a worker that was refused what a rollout would do leaves it to others, who look every two seconds: what
their files say, and whether they can be written, may differ. Nobody watches for so long where there is no other.
"""

SPARE_TASKS = 2
"""Names under which facts are looked at beside the tasks of a profile: all together, and `auto`."""

Facts = Callable[[Rollout], Mapping[str, BothArms]]
"""From a rollout to what was recorded since its step began, by task. Blocks; may raise `StoreUnavailable`."""


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout as it stands, with what the facts say now."""

    rollout: Rollout
    findings: tuple[GuardFinding, ...]
    next: NextAct
    """What it would do itself now, and why."""


class Rollouts:
    """The rollouts of the proxies that share a store. `clock` is Unix time in seconds.

    `unrecorded` is what nothing is recorded of here; `verdict_of` tells why what is active is, and blocks; `rest` is
    how many times longer than a look at the facts took this process does not look again. What else `manager` changes
    and ends one by that leaves its figures in the history.
    """

    def __init__(  # noqa: PLR0913  one argument per collaborator, all by keyword
        self,
        *,
        manager: ProfileManager,
        store: RolloutStore,
        facts: Facts,
        lease: Lease,
        unrecorded: Collection[Metric] = (),
        verdict_of: Callable[[ControlState], PolicyVerdict] | None = None,
        clock: Callable[[], float] = time.time,
        rest: float = REST,
    ) -> None:
        self._manager = manager
        manager.committed = self._superseded
        self._store = store
        self._facts = facts
        self._unrecorded = frozenset(unrecorded)
        self._verdict_of = verdict_of
        self._lease = lease
        self._clock = clock
        self._rest = rest
        self._look_again = float("-inf")
        self._keeping: set[asyncio.Task[None]] = set()
        self._led = False
        self._refused: tuple[float, Problem] | None = None
        """What this worker was refused when it acted last, and when."""

    async def start(self, plan: RolloutPlan, **options: Unpack[Options]) -> Receipt:
        """Begin a rollout at its first step.

        Raises `UnknownProfile`, `RolloutRefused`, `FactNotRecorded` and what a switch and an edit raise.
        """
        if missing := sorted(self._unrecorded & {guard.metric for guard in plan.guards}):
            raise FactNotRecorded(f"Nothing is recorded here by which {missing[0]} could be watched.")
        reason = options.get("reason", "")
        name, salt = f"r-{secrets.token_hex(4)}", secrets.token_hex(16)

        def prepare(state: ControlState) -> ChangeTarget:
            ordered = plan if plan.edit is None else replace(plan, profile=edited_name(state.active))
            tried = self._startable(ordered, state)
            now = self._clock()
            bounds = sum(len(list(guard.limits())) for guard in plan.guards)
            begun = Rollout(
                id=name,
                plan=ordered,
                control=state.active,
                salt=salt,
                tests=bounds * (len(tried.tasks) + SPARE_TASKS) * len(plan.steps),
                started_at=now,
                since=now,
                changes=changes_of(state.profiles.profiles[state.active], tried),
            )
            return replace(
                self._target(state, begun),
                along=lambda connection, entry: self._store.begin(connection, begun, reason, entry),
            )

        options["reason"] = naming(f"rollout {Act.START}", reason)
        return await self._manager.act("rollout", prepare, **options)

    async def act(self, act: Act, name: str | None = None, **options: Unpack[Options]) -> Receipt:
        """Do what a person says to the rollout that runs. Raises `UnknownRollout` and `RolloutRefused`.

        `name` is its id; None: whichever runs. An abort moves every conversation off the profile that was tried.
        """
        reason = options.get("reason", "")

        def prepare(state: ControlState) -> ChangeTarget:
            running = self._require_running(name)
            return self._changed(state, running, NextAct(act, reason, self._findings(running)), None)

        options["reason"] = naming(f"rollout {act}", reason)
        return await self._manager.act("rollout", prepare, **options)

    async def running(self) -> RolloutView | None:
        """Return the rollout that is not over, None when there is none. Raises `StoreUnavailable`."""
        found = await in_thread(self._store.running)
        return None if found is None else await self._viewed(found)

    async def read(self, name: str) -> RolloutView:
        """Return one rollout. Raises `UnknownRollout` and `StoreUnavailable`."""
        return await self._viewed(await in_thread(self._store.read, name))

    async def of(self, revision: int) -> str:
        """Return the id of the rollout that a revision did something to. Raises as `read`."""
        return await in_thread(self._store.at, revision)

    async def page(self, limit: int) -> tuple[Rollout, ...]:
        """Return the newest rollouts. Raises `StoreUnavailable`."""
        return await in_thread(self._store.page, limit)

    async def history(self, name: str) -> tuple[RolloutEvent, ...]:
        """Return what was done to a rollout, newest first. Raises `UnknownRollout` and `StoreUnavailable`."""
        await in_thread(self._store.read, name)
        return await in_thread(self._store.events, name)

    async def turn(self) -> Receipt | None:
        """Look after the rollout that runs, if this worker leads: move it on or take it back. Raises what acts raise.

        Return the receipt of what was done, None where nothing was. A worker that cannot reach the store does nothing.
        One that is refused what it would do lets others try.
        """
        if self._rests():
            return None
        fence, now = await in_thread(self._lease.take)
        self._led = fence is not None
        running = None if fence is None else await in_thread(self._store.running)
        if fence is None or running is None:
            self._refused = None  # another worker tries now, or nobody wants it any more
            return None
        running = watched(running, now)
        await in_thread(self._store.watch, running, fence)
        began = time.monotonic()
        if began < self._look_again:
            return None
        view = await self._viewed(running)
        self._look_again = time.monotonic() + self._rest * (time.monotonic() - began)
        if view.next.act is None:
            self._refused = None
            return None
        return await self._tried(running, view.next, fence)

    def problems(self) -> tuple[Problem, ...]:
        """Return what this worker was refused when it acted last."""
        return () if self._refused is None else (self._refused[1],)

    async def stop(self) -> None:
        """Let another worker watch at once; figures on their way are kept before. Raises `StoreUnavailable`."""
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=KEEPING_SECONDS)
        if self._led:
            await in_thread(self._lease.release)

    def _superseded(self, outcome: ChangeResult) -> None:
        """Keep the figures of the rollout that a change has ended, if it did: nobody is kept waiting for them."""
        before, entry, target = outcome.before, outcome.entry, outcome.target
        if before is None or before.canary is None or entry is None or target is None:
            return
        if target.canary is None and entry.action != "rollout":
            kept = in_thread(self._keep_figures, before.canary.rollout, entry.revision)
            task = asyncio.get_running_loop().create_task(kept, name="neuronode-figures")
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)

    def _keep_figures(self, name: str, revision: int) -> None:
        try:
            self._store.keep_findings(revision, self._judged(self._store.read(name))[0])
        except StoreUnavailable as error:
            _log_unreadable(name, error)
        except Exception:  # nobody waits for this, so that nobody else would say it
            logger.exception("neuronode: the figures of rollout %s could not be kept", name)

    async def _tried(self, running: Rollout, done: NextAct, fence: Fence) -> Receipt | None:
        try:
            receipt = await self._do(running, done, fence)
        except (LeaseLost, UnknownRollout) as overtaken:
            logger.info("neuronode: rollout %s: %s", running.id, overtaken.message)
            receipt = None
        except StoreUnavailable:
            raise
        except NeuronodeError as refusal:
            problem = _refusal(running, done, refusal)
            if problem not in self.problems():
                logger.warning("neuronode: %s", problem.message)
            self._refused = (self._clock(), problem)
            await in_thread(self._lease.release)
            return None
        self._refused = None
        return receipt

    def _rests(self) -> bool:
        """Return whether something was refused a moment ago; not where the clock was set back since."""
        return self._refused is not None and 0 <= self._clock() - self._refused[0] < REFUSED_SECONDS

    async def _do(self, running: Rollout, done: NextAct, fence: Fence) -> Receipt:
        def prepare(state: ControlState) -> ChangeTarget:
            current = self._store.running()
            # A step that somebody has changed since is judged anew, by its own facts.
            if current is None or (current.id, current.phase, current.since_revision) != _stand(running):
                raise UnknownRollout("The rollout stands elsewhere by now.")
            return self._changed(state, current, done, fence)

        assert done.act is not None
        actor = Actor(f"rollout {running.id}", kind="rollout")
        reason = _told(running, done)[:REASON_LIMIT]
        receipt = await self._manager.act("rollout", prepare, actor=actor, reason=reason, wait="none")
        logger.warning("neuronode: rollout %s: revision %d: %s", running.id, receipt.revision, reason)
        return receipt

    async def _viewed(self, rollout: Rollout) -> RolloutView:
        return await in_thread(self._view, rollout)

    def _view(self, rollout: Rollout) -> RolloutView:
        if rollout.phase.over:  # nothing of it is recorded any more: its history has the figures
            return RolloutView(rollout, (), next_act(rollout, ()))
        findings, decided = self._judged(rollout)
        return RolloutView(rollout, findings, next_act(rollout, findings, decided=decided))

    def _judged(self, rollout: Rollout) -> tuple[tuple[GuardFinding, ...], int]:
        """Return what the facts say now, and how many requests of the canary what is changed has decided."""
        plan, facts = rollout.plan, self._facts(rollout)
        findings = judge(plan.guards, facts, alpha=rollout.alpha, least=plan.least)
        return findings, sum(arms.canary.decided for arms in facts.values())

    def _findings(self, running: Rollout) -> tuple[GuardFinding, ...]:
        """Return the figures of now for an act of a person, none where they cannot be read: it is done all the same."""
        try:
            return self._view(running).findings
        except StoreUnavailable as error:
            _log_unreadable(running.id, error)
            return ()

    def _changed(
        self, state: ControlState, running: Rollout, done: NextAct, fence: Fence | None
    ) -> ChangeTarget:
        assert done.act is not None
        if state.canary is None or state.canary.rollout != running.id:
            raise UnknownRollout("The rollout has just ended.")
        try:
            changed = after(running, done.act, now=self._clock(), findings=done.findings)
        except ValueError as error:
            raise RolloutRefused(str(error)) from error
        return replace(
            self._target(state, changed),
            along=lambda connection, entry: self._store.change(connection, changed, done, entry, fence),
        )

    def _require_running(self, name: str | None) -> Rollout:
        running = self._store.running()
        if running is not None and name in (None, running.id):
            return running
        if name is not None:
            over = self._store.read(name)
            raise RolloutRefused(f"The rollout {name} is {over.phase}.", fix="Start another one.")
        raise UnknownRollout("No rollout runs.")

    def _startable(self, plan: RolloutPlan, state: ControlState) -> Profile:
        """Return the profile that is to be tried. Raises what `start` does."""
        if state.canary is not None:
            raise RolloutRefused(f"The rollout {state.canary.rollout} runs already.")
        verdict = None if self._verdict_of is None else self._verdict_of(state)
        if verdict is not None and (verdict.profile, verdict.level) == (state.active, Level.EMERGENCY):
            # Beside a rollout its profile would stay when it has ended.
            message = f"Nothing is tried while an emergency decides: {verdict.profile_why}."
            raise RolloutRefused(message, fix="Start it when that has ended.")
        if plan.edit is not None:
            # What could not be written in the end is not begun.
            tried = self._manager.stage_edit(state, plan.edit).profiles.profiles[state.active]
            if tried == state.profiles.profiles[state.active]:
                raise RolloutRefused("The edit changes nothing.", fix="Name what is to be changed.")
            return tried
        require_profile(plan.profile, state.profiles)
        if plan.profile == state.active:
            raise RolloutRefused(
                f"The profile {plan.profile!r} is the active one.",
                fix="Name the profile that is to be tried.",
            )
        return state.profiles.profiles[plan.profile]

    def _target(self, state: ControlState, rollout: Rollout) -> ChangeTarget:
        """Return what the state becomes when the rollout stands like that."""
        plan = rollout.plan
        if rollout.phase is Phase.PROMOTED:
            return self._promoted(state, plan)
        canary = (
            None
            if rollout.phase.over
            else Canary(rollout.id, plan.profile, rollout.salt, rollout.share, rollout.since, plan.edit)
        )
        return ChangeTarget(state.active, state.profiles, state.bindings, canary=canary)

    def _promoted(self, state: ControlState, plan: RolloutPlan) -> ChangeTarget:
        if plan.edit is None:
            return ChangeTarget(plan.profile, state.profiles, state.bindings)
        untried = RolloutRefused(
            "The profile files say by now what was not tried.",
            fix="What they say is put in force first, which ends a rollout of them; then promote, or start anew.",
        )
        try:
            staged = self._manager.stage_edit(state, plan.edit)
        except FilesAhead as ahead:
            raise untried from ahead
        if staged.profiles.profiles[state.active] != plan.edit.of(state.profiles.profiles[state.active]):
            raise untried
        return ChangeTarget(state.active, staged.profiles, state.bindings, edit=staged)


def _log_unreadable(name: str, error: StoreUnavailable) -> None:
    logger.warning("neuronode: rollout %s: the figures cannot be read: %s", name, error.message)


def _stand(rollout: Rollout) -> tuple[str, Phase, int]:
    return rollout.id, rollout.phase, rollout.since_revision


def _refusal(running: Rollout, done: NextAct, refusal: NeuronodeError) -> Problem:
    return Problem(
        code="rollout_refused",
        message=f"What rollout {running.id} would do is refused on this host: {done.act}: {refusal.message}",
        fix=refusal.fix,
        path=running.id,
    )


def _told(rollout: Rollout, done: NextAct) -> str:
    """Return what the audit log says of an act that nobody but the rollout has ordered."""
    return f"{done.act} at {rollout.share / 10:g} % of {rollout.plan.profile}: {done.why}"
