"""ProfileManager: the one way to change which profile is active and what the profiles say.

It must not know HTTP, file formats or LiteLLM. Every change goes: prepare, commit, wake, acknowledge, receipt.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, TypeVar, Unpack

from neuronode_router.control.audit import AuditQuery
from neuronode_router.control.carrying import Carried, OrderCarrier
from neuronode_router.control.change import (
    ChangeOrder,
    ChangeResult,
    ChangeRule,
    ChangeTarget,
    Options,
    When,
    as_it_is,
    with_profiles,
)
from neuronode_router.control.checks import (
    UNKNOWN_GROUP,
    newly_in_force,
    replaced,
    require_bound_profiles,
    require_not_overtaken,
    require_profile,
    require_servable,
)
from neuronode_router.control.found_files import refuse_stale, require_in_step
from neuronode_router.control.store import ControlStore
from neuronode_router.control.transition import Prepare, require_state
from neuronode_router.control.wake import Wake
from neuronode_router.control.warmth import OVERTAKEN, WarmChanges, WarmedChange, Warmth
from neuronode_router.domain.audit import Action, Actor, AuditEntry
from neuronode_router.domain.bindings import NO_BINDINGS, Binding
from neuronode_router.domain.profiles import (
    HostFacts,
    Profile,
    ProfileEdit,
    edited_name,
)
from neuronode_router.domain.receipts import CacheLoss, Receipt, WarmReport, WorkerStatus
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import (
    NeuronodeError,
    Problem,
    ProfilesInvalid,
    RevisionConflict,
    StoreUnavailable,
    UntilIsOver,
)
from neuronode_router.profiles.edits import StagedFiles
from neuronode_router.profiles.files import ProfileFiles
from neuronode_router.proof.gate import ProofGate
from neuronode_router.threads import in_thread

T = TypeVar("T")

FILES = Actor("files", kind="watcher")
"""Who acts when the files changed by hand or by a ConfigMap, or fill an empty store."""

FILES_CHANGED = "the profile files changed"
"""The reason for which they act."""


async def no_news() -> None:
    """Do nothing: the `refresh` of a host whose model groups nobody else stores."""


def nothing_to_tell(_: object) -> None:
    """Do nothing: the `committed` of a proxy without rollouts, and the rule of who may do all."""


class ProfileManager:
    """Switches, rolls back, edits and reloads profiles; tells what is in force.

    Every change takes the keywords of `change.Options` (`actor` is required), returns a `Receipt` within about
    `receipt_timeout` seconds after the commit, and may raise `RevisionConflict`, `StoreUnavailable`, `NotReady`,
    `IdempotencyMismatch`, `ProfilesInvalid`. When it raises, nothing was changed. `host` tells what the proxy
    offers now; `default_profile` is the active one of a first start; `on_receipt` is called, on the event loop, after
    the receipt of a revision was handed out; `refresh` lets the host look for model groups, once, before a change is
    refused for want of one; `caches` tells what moving running conversations to a profile costs; `warmth` has local
    models in memory.
    """

    def __init__(  # noqa: PLR0913  one argument per collaborator, all by keyword
        self,
        *,
        store: ControlStore,
        source: ProfileFiles,
        host: Callable[[], HostFacts],
        wake: Wake,
        gate: ProofGate | None = None,
        clock: Callable[[], float] = time.time,
        receipt_timeout: float = 5.0,
        default_profile: str = "balanced",
        on_receipt: Callable[[Receipt], None] | None = None,
        refresh: Callable[[], Awaitable[None]] = no_news,
        caches: Callable[[Profile], Awaitable[CacheLoss]] | None = None,
        warmth: Warmth[Any] | None = None,
    ) -> None:
        self._store = store
        self._source = source
        self._host = host
        self._carrier = OrderCarrier(store, wake, receipt_timeout=receipt_timeout)
        self._gate = gate
        self._clock = clock
        self._default_profile = default_profile
        self._on_receipt = on_receipt
        self._refresh = refresh
        self._caches = caches
        self._warmth = WarmChanges(warmth)
        self.committed: Callable[[ChangeResult], None] = nothing_to_tell
        """Hears what became of each order, on the event loop. It must not wait and not raise."""
        self._single_flight = asyncio.Lock()

    async def switch(self, profile: str, **options: Unpack[Options]) -> Receipt:
        """Make `profile` the active one. Raises `UnknownProfile`, `UntilIsOver` and `UnprovenProfile` too."""
        order = ChangeOrder("switch", **options)

        def prepare(before: ControlState | None) -> ChangeTarget:
            state = require_state(before)
            if order.until is not None and order.until <= self._clock():
                raise UntilIsOver("The time until which it was to hold has passed.")
            return self._admitted(ChangeTarget(profile, state.profiles, state.bindings), state, order)

        return await self._change(order, prepare)

    async def rollback(
        self, to: Literal["previous"] | int = "previous", **options: Unpack[Options]
    ) -> Receipt:
        """Bring back the active profile, all mappings and all bindings of revision `to`, as a new revision.

        "previous" is the revision before the current one, so twice "previous" leads back. Raises `UnknownRevision`,
        `UnprovenProfile`, and `ProfilesReadOnly` where files must change and cannot.
        """
        order = ChangeOrder("rollback", **options)

        def prepare(before: ControlState | None) -> ChangeTarget:
            state = require_state(before)
            wanted = self._store.read_at(state.revision - 1 if to == "previous" else to)
            differs = wanted.profiles.digest != state.profiles.digest
            stage = self._source.stage_set
            edit = stage(wanted.profiles, self._facts(state), state.profiles) if differs else None
            target = ChangeTarget(wanted.active, wanted.profiles, wanted.bindings, edit)
            target = self._admitted(target, state, order)
            return replace(target, warnings=(*target.warnings, *(edit.warnings if edit else ())))

        return await self._change(order, prepare)

    async def bind(
        self,
        subject: str,
        binding: Binding | None,
        *,
        may: ChangeRule = nothing_to_tell,
        **options: Unpack[Options],
    ) -> Receipt:
        """Let a profile answer a `team:<id>` or `key:<name>`; None ends that. Raises `UnknownProfile` too."""

        def prepare(state: ControlState) -> ChangeTarget:
            may(state)
            for name in binding.profiles if binding else ():
                require_profile(name, state.profiles)
            others = {known: bound for known, bound in state.bindings.items() if known != subject}
            bindings = MappingProxyType(others | ({subject: binding} if binding else {}))
            return replace(as_it_is(state), bindings=bindings)

        return await self.act("bind", prepare, **options)

    async def edit_profile(
        self, name: str, document: Mapping[str, Any], **options: Unpack[Options]
    ) -> Receipt:
        """Replace or add the profile `name`, in its file and in force.

        Raises `ProfilesReadOnly`, `StaleFiles`, `FilesAhead` too.
        """
        return await self._edit(lambda host: self._source.stage_profile(name, document, host), options)

    async def edit_task(self, name: str, task: str, group: str, **options: Unpack[Options]) -> Receipt:
        """Let `group` serve `task` in profile `name`. Raises `UnknownProfile`, `UnknownTask` and as `edit_profile`."""
        edit = ProfileEdit({task: group})
        return await self._edit(lambda host: self._source.stage_edit(name, edit, host), options)

    def stage_edit(self, state: ControlState, edit: ProfileEdit) -> StagedFiles:
        """Return an edit of the active profile, checked and not yet written: for `act`. It blocks.

        Raises `StaleFiles`, `FilesAhead`, `UnknownTask`, `ProfilesInvalid`, `ProfilesReadOnly`.
        """
        return self._staged(state, lambda host: self._source.stage_edit(state.active, edit, host))

    async def act(
        self, action: Action, prepare: Callable[[ControlState], ChangeTarget], **options: Unpack[Options]
    ) -> Receipt:
        """Carry out what `prepare` describes: an act of a rollout, the policy, a shadow comparison, a binding.

        Raises what that raises, and `UnprovenProfile`.
        """
        order = ChangeOrder(action, **options)

        def prepared(before: ControlState | None) -> ChangeTarget:
            state = require_state(before)
            return self._admitted(prepare(state), state, order)

        return await self._change(order, prepared)

    async def reload(
        self, when: When = "always", *, over: str | None = None, **options: Unpack[Options]
    ) -> Receipt:
        """Put in force what the files say; on an empty store this is the first revision, with `default_profile`.

        `when` is for starts, where the files may be an old copy. Raises `StaleFiles` with "unless_stale". `over` is for
        files that were refused before: the digest of what was in force then, which alone they may replace.
        """

        def prepare(before: ControlState | None) -> ChangeTarget:
            found = self._source.stage_found(self._facts(before))
            profiles = found.profiles
            if before is None:
                return self._servable(ChangeTarget(self._default_profile, profiles, edit=found), None)
            if when == "if_empty":
                return as_it_is(before)
            if when == "unless_stale":
                refuse_stale(self._store, profiles, before)
            require_not_overtaken(profiles, before, over)
            return self._servable(replace(with_profiles(before, profiles), edit=found), before)

        state = await self.current()
        return await self._change(ChangeOrder("reload" if state else "bootstrap", **options), prepare)

    async def validate(self) -> tuple[Problem, ...]:
        """Return every problem that `reload` would refuse now; () when it would work."""
        state = await self.current()
        try:
            profiles = await in_thread(self._source.load, self._facts(state))
            active, bindings = (
                (state.active, state.bindings) if state else (self._default_profile, NO_BINDINGS)
            )
            self._servable(ChangeTarget(active, profiles, bindings), state)
        except ProfilesInvalid as error:
            return error.problems
        return ()

    async def outlook(self, profile: str, *, actor: Actor) -> WarmReport | None:
        """Return what a switch to a profile would do about local models; None where it has to do with none.

        Raises `UnknownProfile`.
        """
        state = require_state(await self.current())
        require_profile(profile, state.profiles)
        target = ChangeTarget(profile, state.profiles, state.bindings)
        return await self._warmth.outlook(ChangeOrder("switch", actor=actor), state, target)

    async def get_current_profile(self) -> dict[str, Any]:
        """Return `active_profile`, `active_mappings` (task to group), `profile_metadata` and `revision`."""
        state = require_state(await self.current())
        document = state.profiles.profiles[state.active].to_document()
        return {
            "active_profile": state.active,
            "active_mappings": dict(self.mappings(state)),
            "profile_metadata": {
                key: document[key] for key in ("description", "cost_level", "performance_level")
            },
            "revision": state.revision,
        }

    def groups(self) -> frozenset[str]:
        """Return the model groups that this host has."""
        return self._host().groups

    def mappings(self, state: ControlState) -> Mapping[str, str]:
        """Return the group of each task for who follows the active profile, as a policy moves some of them."""
        groups = self.groups()
        moved = {task: group for task, group in state.steering.moved.items() if group in groups}
        return {**state.profiles.profiles[state.active].tasks, **moved}

    async def current(self) -> ControlState | None:
        """Return the committed state; None when nothing was ever committed. Raises `StoreUnavailable`."""
        return await in_thread(self._store.read)

    async def workers(self) -> tuple[WorkerStatus, ...]:
        """Return every known worker process. Raises `StoreUnavailable`."""
        return await in_thread(self._store.registry.workers)

    async def audit(self, **query: Any) -> tuple[AuditEntry, ...]:
        """Return audit rows, newest first; the keywords are the fields of `audit.AuditQuery`."""
        return await in_thread(self._store.audit.page, AuditQuery(**query))

    async def _edit(self, stage: Callable[[HostFacts], StagedFiles], options: Options) -> Receipt:
        def prepare(before: ControlState | None) -> ChangeTarget:
            state = require_state(before)
            staged = self._staged(state, stage)
            return self._servable(replace(with_profiles(state, staged.profiles), edit=staged), state)

        return await self._change(ChangeOrder("edit", **options), prepare)

    def _staged(self, state: ControlState, stage: Callable[[HostFacts], StagedFiles]) -> StagedFiles:
        host = self._facts(state)
        require_in_step(self._store, self._source, state, host)
        return stage(host)

    async def _change(self, order: ChangeOrder, prepare: Prepare) -> Receipt:
        warmed = await self._warmth.first(
            order, lambda foreseen: self._carried(self._carrier.foresee, foreseen, prepare)
        )
        started = self._clock()
        outcome, witnessed = await self._committed(order, prepare, warmed)
        warming = asyncio.ensure_future(self._warmth.then(warmed, outcome))
        self.committed(outcome)
        receipt, caches = await asyncio.gather(asyncio.wrap_future(witnessed), self._lost(outcome))
        duration = round((self._clock() - started) * 1000, 3)
        receipt = replace(receipt, duration_ms=duration, caches=caches, warm=await warming)
        if self._on_receipt is not None and outcome.entry is not None and not outcome.replayed:
            asyncio.get_running_loop().call_soon(self._on_receipt, receipt)
        return receipt

    async def _committed(self, order: ChangeOrder, prepare: Prepare, warmed: WarmedChange | None) -> Carried:
        """Commit; after a wait for models only what was committed then may be in force still."""
        waited = None if warmed is None else warmed.waited
        order = order if waited is None else replace(order, if_match=waited)
        try:
            return await self._carried(self._carrier.carry_out, order, prepare)
        except NeuronodeError as error:
            self._warmth.in_vain(warmed)
            if waited is not None and isinstance(error, RevisionConflict):
                error.fix = OVERTAKEN
            raise

    async def _lost(self, outcome: ChangeResult) -> CacheLoss | None:
        """Return what moving costs; what was committed is committed, so that nobody can say is no failure."""
        target = outcome.target
        if self._caches is None or target is None or outcome.before is None or not outcome.changed:
            return None
        if outcome.order.action == "bind":  # who manages a team is not told what all of them use
            return None
        with contextlib.suppress(StoreUnavailable):
            return await self._caches(target.profiles.profiles[target.active])
        return None

    async def _carried(
        self, act: Callable[[ChangeOrder, Prepare], T], order: ChangeOrder, prepare: Prepare
    ) -> T:
        try:
            return await self._in_turn(act, order, prepare)
        except ProfilesInvalid as error:
            # The watcher tries by itself again when there are other groups.
            if order.actor is FILES or not any(each.code == UNKNOWN_GROUP for each in error.problems):
                raise
        # Another process may have stored the group a moment ago: the host looks once more before that is refused, and
        # nobody's turn waits for LiteLLM's database.
        await self._refresh()
        return await self._in_turn(act, order, prepare)

    async def _in_turn(
        self, act: Callable[[ChangeOrder, Prepare], T], order: ChangeOrder, prepare: Prepare
    ) -> T:
        # What is only foreseen commits nothing: nobody waits for it, and it waits for nobody.
        async with contextlib.nullcontext() if order.dry_run else self._single_flight:
            return await in_thread(act, order, prepare)

    def _admitted(self, target: ChangeTarget, before: ControlState, order: ChangeOrder) -> ChangeTarget:
        """Return what can be served and passes the gate, which judges only what was not in force."""
        target = self._servable(target, before)
        if self._gate is None:
            return target
        entering, stays = newly_in_force(before, target), replaced(before, target)
        return replace(target, gate_result=self._gate.admit(entering, stays, force=order.force))

    def _servable(self, target: ChangeTarget, before: ControlState | None) -> ChangeTarget:
        require_profile(target.active, target.profiles)
        require_bound_profiles(target.profiles, target.bindings)
        return replace(target, warnings=require_servable(before, target, self._facts(before)))

    def _facts(self, before: ControlState | None) -> HostFacts:
        """Return what the host offers, and what is committed: a change answers only for what it changes."""
        if before is None:
            return replace(self._host(), committed=frozenset())
        uses = {use for each in before.profiles.profiles.values() for use in each.uses()}
        # An edit of the active profile that is tried answers for no more than the edit.
        edited, active = edited_name(before.active), before.profiles.profiles[before.active]
        uses |= {replace(use, profile=edited) for use in active.uses()}
        named = {**before.profiles.profiles, edited: active}
        tasked = {name: frozenset(each.tasks) for name, each in named.items()}
        return replace(self._host(), committed=frozenset(uses), tasked=tasked)
