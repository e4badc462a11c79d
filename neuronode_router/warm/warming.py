"""Local models around changes of the control state: looked at, warmed before or after a commit, let go when idle.

It decides nothing about profiles, and nothing here is on the request path. Whoever answers a change does its work; two
that do the same at once harm nothing, for each looks at what is committed before it lets anything go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from neuronode_router.background import Failures, cancel
from neuronode_router.control.change import ChangeOrder, ChangeTarget, as_it_is
from neuronode_router.control.checks import newly_in_force
from neuronode_router.domain.profiles import Profile
from neuronode_router.domain.receipts import WarmMode, WarmReport
from neuronode_router.domain.rollouts import in_use
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import NeuronodeError, WarmFailed
from neuronode_router.health.ollama import Defaults, OllamaHost
from neuronode_router.warm.needs import Fleet, ServerNeeds, WarmTarget, Weights, read_fleet
from neuronode_router.warm.said import shown
from neuronode_router.warm.warm_up import (
    UNSEEN,
    ModelWarmUp,
    WarmAsk,
    WarmOrders,
    WarmProgress,
    Watch,
    is_empty,
    nothing_yet,
)
from neuronode_router.warm.wire import NotLoaded, OllamaServers

logger = logging.getLogger(__name__)

PLAN_SECONDS = 1.0
"""How long a receipt waits for the servers to say what they have, where the models themselves are not waited for."""

MOST_DRAIN_SECONDS = 6 * 3600.0
"""After so long what is asked for again and again, or is on a server that answers nobody, is no left-over any more."""

OPERATOR = "operator"
"""The kind of actor that waits: a person, or a program in a person's place."""

LOOKS = 4
"""How often a drain looks within the time that something must be idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmSources:
    """Where the facts come from."""

    entries: Callable[[], Sequence[Mapping[str, Any]]]
    """LiteLLM's model list."""
    defaults: Defaults
    place_of: Callable[[Mapping[str, Any]], str | None]
    """Where a deployment of that list is."""
    state: Callable[[], Awaitable[ControlState | None]]
    """What is committed. May raise `StoreUnavailable`."""
    coming: Callable[[], Awaitable[Collection[str]]]
    """The profiles that the policy will make active soon. May raise `StoreUnavailable`."""
    watch: Watch = lambda what, seconds: None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmSettings:
    """What an operator sets."""

    mode: WarmMode = "background"
    seconds: float = 120.0
    """How long the models of one change may take."""
    drain: float = 120.0
    """How long what nobody needs must be idle before it is let go, in seconds; 0: it is never let go."""
    vram_gib: float | None = None


@dataclass(slots=True)
class _Idle:
    """What is known of a left-over."""

    expires_at: str = ""
    began: float = field(default_factory=time.monotonic)
    since: float = field(default_factory=time.monotonic)


class Warming:
    """One per worker process; the ProfileManager's `Warmth`."""

    def __init__(
        self,
        sources: WarmSources,
        servers: OllamaServers,
        settings: WarmSettings,
        failures: Failures | None = None,
    ) -> None:
        self._sources = sources
        self._servers = servers
        self._settings = settings
        self._failures = failures or Failures()
        self._progress: dict[Weights, WarmProgress] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._left: dict[Weights, _Idle] = {}
        """What is to be let go once it is idle."""
        self._draining: asyncio.Task[None] | None = None
        self._ahead: asyncio.Task[None] | None = None

    def mode(self, order: ChangeOrder) -> WarmMode:
        """Return what a change does about local models. Never raises."""
        mode = order.warm or self._settings.mode
        # Rules, rollouts and watchers have more to look after than one change.
        return "background" if mode == "wait" and order.actor.kind != OPERATOR else mode

    async def begin(
        self, before: ControlState, after: ChangeTarget, order: ChangeOrder
    ) -> ModelWarmUp | None:
        """Look at what a change needs; None where no Ollama has anything to do with it.

        Raises `WarmFailed` where nobody can tell and the change is to wait for it.
        """
        up, known = None, False
        with self._failures.survived("looking at the servers of local models"):
            up = await self._planned(before, after, order)
            known = True
        if not known and self.mode(order) == "wait" and not order.force:
            raise WarmFailed([UNSEEN])
        return up

    async def outlook(
        self, before: ControlState, after: ChangeTarget, order: ChangeOrder
    ) -> WarmReport | None:
        """Return what a change would do about local models, and do nothing.

        Raises `WarmFailed` on a dry run of what would be refused, as far as its servers can tell beforehand.
        """
        try:
            up = await self.begin(before, after, order)
        except WarmFailed:
            if order.dry_run:
                raise
            return None
        if up is not None and order.dry_run and self.mode(order) == "wait":
            up.foresee()
        return _told(up)

    async def go_on(self, before: ControlState, after: ChangeTarget, order: ChangeOrder) -> WarmReport | None:
        """Have them in memory after the commit, in the background; return what that will be. Never raises."""
        beginning = asyncio.ensure_future(self.begin(before, after, order))
        self._spawn(self._in_background(beginning))
        with contextlib.suppress(TimeoutError):
            return _told(await asyncio.wait_for(asyncio.shield(beginning), PLAN_SECONDS))
        return nothing_yet(self.mode(order))

    def drain(self, up: ModelWarmUp) -> None:
        """Let go, in the background, what a change has left idle, or has loaded in vain. Never raises."""
        if self._settings.drain > 0:
            self._spawn(self._leave(up))

    async def _planned(
        self, before: ControlState, after: ChangeTarget, order: ChangeOrder
    ) -> ModelWarmUp | None:
        ask = await self._ask(before, after)
        if ask is None:
            return None
        up = self._warm_up(ask, self._orders(order))
        await up.plan()
        return up

    async def _leave(self, up: ModelWarmUp) -> None:
        needed = await self._needed_now()
        vain = () if needed is None else (weights for weights in up.loaded if weights not in needed)
        for weights in (*up.idle, *vain):
            self._left.setdefault(weights, _Idle())
        if self._left and (self._draining is None or self._draining.done()):
            self._draining = self._spawn(self._drain())

    async def ahead(self) -> None:
        """Have in memory, in the background, what the policy will make active soon and nothing needed must go for.

        Raises `StoreUnavailable`.
        """
        if self._ahead is not None and not self._ahead.done():
            return
        state = await self._sources.state()
        coming = () if state is None else await self._sources.coming()
        for name in coming:
            if state is not None and name != state.active and name in state.profiles.profiles:
                self._ahead = self._spawn(self._load_ahead(state, name))
                return

    def report(self) -> Mapping[str, Any]:
        """Return what a heartbeat tells of models that are being fetched or loaded now, if there are any."""
        now = [
            {"server": shown(host), "model": tag, "step": each.step, "done": each.done, "total": each.total}
            for (host, tag), each in self._progress.items()
        ]
        return {"warming": now} if now else {}

    async def stop(self) -> None:
        """End what is being done, and close the client."""
        await cancel(*self._work)
        await self._servers.stop()

    def _warm_up(self, ask: WarmAsk, orders: WarmOrders) -> ModelWarmUp:
        return ModelWarmUp(
            self._servers,
            ask,
            orders,
            needed=self._needed_now,
            watch=self._sources.watch,
            progress=self._progress,
        )

    def _orders(self, order: ChangeOrder) -> WarmOrders:
        seconds = order.warm_timeout or self._settings.seconds
        return WarmOrders(self.mode(order), seconds, order.pull, order.force, order.gone)

    async def _in_background(self, beginning: Awaitable[ModelWarmUp | None]) -> None:
        up = await beginning
        if up is None:
            return
        with (
            self._failures.survived("warming local models", but=NeuronodeError),
            contextlib.suppress(NeuronodeError),
        ):
            await up.first()
        report = await up.then()
        for sentence in report.said:
            logger.info("neuronode: %s", sentence)
        self.drain(up)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="neuronode-warming")
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def _load_ahead(self, state: ControlState, name: str) -> None:
        with self._failures.survived("warming models ahead of the policy"):
            ask = await self._ask(state, replace(as_it_is(state), active=name))
            if ask is not None:
                up = self._warm_up(ask, WarmOrders("background", self._settings.seconds, force=True))
                await up.plan()
                await up.first()

    async def _ask(self, before: ControlState, after: ChangeTarget) -> WarmAsk | None:
        fleet = self._fleet()
        if not any(True for _ in _local(fleet)):
            return None
        entering = _entering(before, after)
        wanted = _once(target for profile in entering for target in fleet.targets(profile))
        moved = after.steering.moved if after.steering else {}
        fresh = [group for task, group in moved.items() if before.steering.moved.get(task) != group]
        wanted = _once((*wanted, *fleet.of_groups(fresh)))
        soon: Collection[str] = ()
        # What is loaded does not depend on the policy, and while nobody can read it `_needed_now` lets nothing go.
        with self._failures.survived("reading which profiles the policy makes active soon"):
            soon = await self._sources.coming()
        besides = _besides(fleet, before, soon)
        now = {target.key for target in _in_force(fleet, before)} | besides
        then = {target.key for target in _in_force(fleet, after)} | besides
        then |= {target.key for target in wanted}
        ours = {target.key for target in _of_profiles(fleet, after)}
        hosts = {target.host for target in wanted} | {host for host, _ in now - then}
        if not hosts:
            return None
        groups = (*(use.group for profile in entering for use in profile.uses()), *fresh)
        needs = {host: _of_host(host, wanted, now, then, ours) for host in hosts}
        return WarmAsk(fleet, needs, tuple(dict.fromkeys(groups)))

    def _fleet(self) -> Fleet:
        sources = self._sources
        return read_fleet(
            sources.entries(), sources.defaults, sources.place_of, vram_gib=self._settings.vram_gib
        )

    async def _needed_now(self) -> set[Weights] | None:
        """Return what is needed by what is committed and by what comes; None where nobody can tell."""
        try:
            state = await self._sources.state()
            if state is None:
                return None
            fleet, soon = self._fleet(), await self._sources.coming()
        except NeuronodeError:
            return None
        return {target.key for target in _in_force(fleet, state)} | _besides(fleet, state, soon)

    async def _drain(self) -> None:
        while self._left:
            await asyncio.sleep(self._settings.drain / LOOKS)
            with self._failures.survived("letting go of local models"):
                self._give_up()
                for host in {host for host, _ in self._left}:
                    await self._drain_host(host, self._left)

    def _give_up(self) -> None:
        """Forget what was looked at for long enough, and what is on a server that is in LiteLLM's list no more."""
        hosts = {target.host for target in _local(self._fleet())}
        latest = time.monotonic() - MOST_DRAIN_SECONDS
        self._left = {
            weights: idle
            for weights, idle in self._left.items()
            if weights[0] in hosts and idle.began > latest
        }

    async def _drain_host(self, host: OllamaHost, left: dict[Weights, _Idle]) -> None:
        look = await self._servers.look(host, None)
        if look is None:
            return
        for weights in [each for each in left if each[0] == host]:
            resident = look.residents.get(weights[1])
            if resident is None:
                del left[weights]
            elif resident.expires_at != left[weights].expires_at:  # somebody has asked since
                left[weights] = _Idle(resident.expires_at, left[weights].began)
            elif time.monotonic() - left[weights].since >= self._settings.drain:
                del left[weights]
                await self._let_go(weights)

    async def _let_go(self, weights: Weights) -> None:
        needed = await self._needed_now()
        if needed is None or weights in needed:
            return
        began = time.monotonic()
        with contextlib.suppress(NotLoaded):
            await self._servers.unload(*weights)
            self._sources.watch("unloaded", time.monotonic() - began)
            logger.info("neuronode: %s, which nobody needs, was let go on %s", weights[1], shown(weights[0]))


def _told(up: ModelWarmUp | None) -> WarmReport | None:
    report = None if up is None else up.report()
    return None if report is None or is_empty(report) else report


def _entering(before: ControlState, after: ChangeTarget) -> tuple[Profile, ...]:
    """Return the profiles that begin to answer somebody, the active one first."""
    profiles = after.answering
    fresh = {profile.name: profile for profile in newly_in_force(before, after)}
    active = {after.active: profiles[after.active]} if after.active != before.active else {}
    return tuple({**active, **fresh}.values())


def _in_force(fleet: Fleet, state: ControlState | ChangeTarget) -> Iterator[WarmTarget]:
    profiles = state.answering
    for name in in_use(state.active, state.bindings, state.canary):
        if name in profiles:
            yield from fleet.targets(profiles[name])
    yield from fleet.of_groups(state.steering.moved.values() if state.steering else ())


def _besides(fleet: Fleet, state: ControlState, soon: Collection[str]) -> set[Weights]:
    """Return what stays for other reasons: it comes soon, or whoever knows its group's name may be using it."""
    profiles = state.answering
    named = {use.group for profile in profiles.values() for use in profile.uses()}
    stays = [target for name in soon if name in profiles for target in fleet.targets(profiles[name])]
    stays += fleet.of_groups(fleet.members.keys() - named)
    return {target.key for target in stays}


def _of_profiles(fleet: Fleet, state: ChangeTarget) -> Iterator[WarmTarget]:
    for profile in state.answering.values():
        yield from fleet.of_groups(use.group for use in profile.uses())


def _local(fleet: Fleet) -> Iterator[WarmTarget]:
    yield from fleet.of_groups(fleet.members)


def _once(targets: Any) -> tuple[WarmTarget, ...]:
    found: dict[Weights, WarmTarget] = {}
    for target in targets:
        found.setdefault(target.key, target)
    return tuple(found.values())


def _of_host(
    host: OllamaHost,
    wanted: tuple[WarmTarget, ...],
    now: set[Weights],
    then: set[Weights],
    ours: set[Weights],
) -> ServerNeeds:
    def here(found: set[Weights]) -> frozenset[str]:
        return frozenset(tag for server, tag in found if server == host)

    return ServerNeeds(
        tuple(target for target in wanted if target.host == host), here(now), here(then), here(ours)
    )
