"""The local models of one change: fetched, loaded and let go in the order of its plans, and reported.

It must not know who ordered the change. Whatever a server does wrong becomes a line of the report.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from neuronode_router.background import cancel
from neuronode_router.domain.receipts import LocalWeights, WarmMode, WarmOrder, WarmReport
from neuronode_router.errors import Problem, WarmFailed
from neuronode_router.health.ollama import OllamaHost
from neuronode_router.warm.needs import Fleet, ServerNeeds, WarmTarget, Weights
from neuronode_router.warm.plan import ServerPlan, plan_server
from neuronode_router.warm.said import foretold, not_for, overall, shown, was_done
from neuronode_router.warm.wire import NotLoaded, OllamaServers

AWAY = "the server does not answer as an Ollama"

UNSEEN = Problem(
    "cold_model",
    "Which local models it needs could not be found out; this worker's log says why.",
    "Mend that, or do not wait.",
)
"""What refuses a change that waits for local models of which nobody knows."""

Needed = Callable[[], Awaitable[Container[Weights] | None]]
"""What is needed as things stand now; None where nobody can tell."""

Watch = Callable[[str, float], None]
"""Hears of each `loaded`, `unloaded`, `pulled` and `failed`, and how many seconds it took."""


@dataclass(frozen=True, slots=True)
class WarmOrders:
    """How one change has its models warmed."""

    mode: WarmMode
    seconds: float
    """How long all of it may take."""
    pull: bool = False
    force: bool = False
    """Whether the change is made even where models stay cold."""
    gone: Callable[[], Awaitable[object]] | None = None


@dataclass(frozen=True, slots=True)
class WarmAsk:
    """What one change needs of which server."""

    fleet: Fleet
    needs: Mapping[OllamaHost, ServerNeeds]
    groups: tuple[str, ...]
    """The model groups that begin to answer."""


@dataclass(slots=True)
class WarmProgress:
    """What is being done about one model now."""

    step: str
    """`pulling` or `loading`."""
    done: int = 0
    total: int = 0


@dataclass(slots=True)
class _Told:
    loaded: list[LocalWeights] = field(default_factory=list)
    unloaded: list[LocalWeights] = field(default_factory=list)
    failed: list[LocalWeights] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    warm: list[Weights] = field(default_factory=list)
    cold: set[Weights] = field(default_factory=set)


class ModelWarmUp:
    """The models of one change. `plan` first, then `first`, then `then`."""

    def __init__(
        self,
        servers: OllamaServers,
        ask: WarmAsk,
        orders: WarmOrders,
        *,
        needed: Needed,
        watch: Watch,
        progress: dict[Weights, WarmProgress],
    ) -> None:
        self._servers = servers
        self._ask = ask
        self._orders = orders
        self._needed = needed
        self._committed = orders.mode != "wait"
        self._watch = watch
        self._progress = progress
        self._plans: dict[OllamaHost, ServerPlan] = {}
        self._held: dict[OllamaHost, frozenset[str]] = {}
        """What was in memory at first, and is needed."""
        self._told = _Told()
        self._waited = 0.0
        self._end = time.monotonic() + orders.seconds

    @property
    def idle(self) -> tuple[Weights, ...]:
        """What is to be let go once nobody asks for it any more."""
        return tuple((host, tag) for host, plan in self._plans.items() for tag in plan.idle)

    @property
    def loaded(self) -> tuple[Weights, ...]:
        """What it has loaded so far."""
        return tuple(self._told.warm)

    async def plan(self) -> None:
        """Look at every server, and plan."""
        await asyncio.gather(*map(self._plan_one, self._ask.needs))

    async def first(self) -> bool:
        """Fetch and load what can be before the commit; return whether there was anything to do.

        Raises `WarmFailed` where a group would be cold.
        """
        began = time.monotonic()
        work = asyncio.ensure_future(self._all_first())
        try:
            await self._unless_gone(work)
        finally:
            await cancel(work)
            self._waited += time.monotonic() - began
        self._require_warm(self._missing())
        return bool(self._told.loaded or self._told.failed or self._told.unloaded)

    def foresee(self) -> None:
        """Raise `WarmFailed` where `first` would, as far as its plans can tell."""
        self._require_warm(set() if self._orders.pull else self._missing())

    def _missing(self) -> set[Weights]:
        return {target.key for plan in self._plans.values() for target in plan.missing}

    def _require_warm(self, missing: set[Weights]) -> None:
        cold = self._told.cold | missing
        groups = [group for group in self._ask.groups if self._ask.fleet.depends_on(group, cold)]
        if groups and not self._orders.force:
            raise WarmFailed(self._problems(groups))

    async def then(self) -> WarmReport:
        """Let go and load what had to wait for the commit, and report. Never raises."""
        began = time.monotonic()
        self._committed = True
        await asyncio.gather(*map(self._swap, self._plans.values()))
        self._waited += time.monotonic() - began
        return self.report(over=True)

    def report(self, *, over: bool = False) -> WarmReport:
        """Return what is planned, or what became of it once it is `over`."""
        told, plans = self._told, self._plans.values()
        said = [sentence for plan in plans for sentence in foretold(plan)]
        if over:
            left = (replace(plan, early=(), late=(), first=()) for plan in plans)
            said = [
                *was_done(told.loaded, told.failed),
                *told.said,
                *(line for plan in left for line in foretold(plan)),
            ]
        else:
            said += was_done((), told.failed)
        return WarmReport(
            mode=self._orders.mode,
            order=overall(plan.order for plan in plans),
            to_load=() if over else tuple(_to_load(plans)),
            loaded=tuple(told.loaded),
            unloaded=tuple(told.unloaded),
            missing=tuple(_weights(plan, each) for plan in plans for each in plan.missing),
            failed=tuple(told.failed),
            waited_s=round(self._waited, 3),
            said=tuple(said),
        )

    async def _plan_one(self, host: OllamaHost) -> None:
        needs = self._ask.needs[host]
        look = await self._servers.look(host, self._ask.fleet.bounds.get(host))
        if look is not None:
            self._plans[host] = plan_server(host, needs, look)
            self._held[host] = needs.after & look.residents.keys()
            return
        for target in needs.wanted:
            self._failed(target.key, AWAY, 0.0)

    async def _all_first(self) -> None:
        if self._orders.pull:
            await asyncio.gather(*map(self._fetch, [*self._plans.values()]))
        await asyncio.gather(*map(self._load_first, [*self._plans.values()]))

    async def _unless_gone(self, work: asyncio.Future[None]) -> None:
        if self._orders.gone is None:
            await work
            return
        leaves = asyncio.ensure_future(self._orders.gone())
        try:
            await asyncio.wait((work, leaves), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaves.cancel()
        if not work.done():
            raise WarmFailed([Problem("warm_abandoned", "Nobody waits any more.", "Repeat it.")])
        await work

    async def _fetch(self, plan: ServerPlan) -> None:
        for target in plan.missing:
            await self._timed(
                target.key, "pulled", self._servers.pull(*target.key, self._following(target.key))
            )
        if plan.missing:
            await self._plan_one(plan.host)

    async def _load_first(self, plan: ServerPlan) -> None:
        await self._unload(plan.host, plan.first)
        await self._load(plan, plan.early)

    async def _swap(self, plan: ServerPlan) -> None:
        await self._unload(plan.host, plan.let_go)
        await self._load(plan, plan.late)

    async def _load(self, plan: ServerPlan, targets: tuple[WarmTarget, ...]) -> None:
        # One after the other: a disk that reads two models at once gives neither of them early.
        for target in targets:
            if not await self._may_load(target.key):
                continue
            if plan.order is WarmOrder.UNKNOWN and (gone := await self._pushed_out(plan.host)):
                self._told.said.append(not_for(target, plan.host, gone))
                continue
            self._progress[target.key] = WarmProgress("loading", total=plan.bytes.get(target.tag, 0))
            took = await self._timed(target.key, "loaded", self._servers.load(target))
            if took is not None:
                weights = replace(_weights(plan, target), seconds=round(took, 3))
                self._told.loaded.append(weights)
                self._told.warm.append(target.key)

    async def _pushed_out(self, host: OllamaHost) -> frozenset[str]:
        """Return what a server has let go of that is needed: it has room for no more."""
        look = await self._servers.look(host, None)
        held = self._held.get(host, frozenset()) | {tag for server, tag in self._told.warm if server == host}
        return frozenset() if look is None else held - look.residents.keys()

    async def _unload(self, host: OllamaHost, tags: tuple[str, ...]) -> None:
        for tag in tags:
            if await self._may_unload(host, tag):
                took = await self._timed((host, tag), "unloaded", self._servers.unload(host, tag))
                if took is not None:
                    self._told.unloaded.append(LocalWeights(shown(host), tag, seconds=round(took, 3)))

    async def _may_load(self, weights: Weights) -> bool:
        """Return whether nobody has changed things since in such a way that these are not needed."""
        if not self._committed:
            return True
        needed = await self._needed()
        return needed is None or weights in needed

    async def _may_unload(self, host: OllamaHost, tag: str) -> bool:
        """Return whether nobody needs these, neither now nor once the change is made."""
        needed = await self._needed()
        return needed is not None and (host, tag) not in needed and tag not in self._ask.needs[host].after

    async def _timed(self, weights: Weights, what: str, work: Awaitable[None]) -> float | None:
        """Do something within the time that is left; return its seconds, None where it failed."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, self._end - began)):
                await work
        except NotLoaded as error:
            self._failed(weights, f"not {what}: {error}", time.monotonic() - began)
            return None
        except TimeoutError:
            why = f"not {what} within the {self._orders.seconds:g} s that it may take"
            self._failed(weights, why, time.monotonic() - began)
            return None
        finally:
            self._progress.pop(weights, None)
        self._watch(what, time.monotonic() - began)
        return time.monotonic() - began

    def _failed(self, weights: Weights, why: str, seconds: float) -> None:
        host, tag = weights
        self._told.failed.append(LocalWeights(shown(host), tag, seconds=round(seconds, 3), why=why))
        self._told.cold.add(weights)
        self._watch("failed", seconds)

    def _following(self, weights: Weights) -> Callable[[int, int], None]:
        progress = self._progress[weights] = WarmProgress("pulling")

        def fetched(done: int, total: int) -> None:
            progress.done, progress.total = done, total

        return fetched

    def _problems(self, groups: list[str]) -> list[Problem]:
        """Return why each of these groups would be cold."""
        found = []
        for group in groups:
            keys = {target.key for target in self._ask.fleet.of_groups((group,))}
            told = [each for each in self._told.failed if any(_is(each, key) for key in keys)]
            told += [
                _weights(plan, each)
                for plan in self._plans.values()
                for each in plan.missing
                if each.key in keys
            ]
            for each in told:
                why = each.why or "it is not present there"
                message = f"{each.model} on {each.server} does not answer for {group!r}: {why}."
                fix = (
                    "Pull it (`pull`), or mend the server."
                    if not each.why
                    else "Mend the server, or wait longer."
                )
                found.append(Problem("cold_model", message, fix, path=group))
        return found


def _to_load(plans: Iterable[ServerPlan]) -> Iterator[LocalWeights]:
    for plan in plans:
        yield from (_weights(plan, target) for target in (*plan.early, *plan.late))


def _weights(plan: ServerPlan, target: WarmTarget) -> LocalWeights:
    return LocalWeights(shown(plan.host), target.tag, bytes=plan.bytes.get(target.tag))


def _is(told: LocalWeights, weights: Weights) -> bool:
    return (told.server, told.model) == (shown(weights[0]), weights[1])


def nothing_yet(mode: WarmMode) -> WarmReport:
    """Return what is said where the servers take their time."""
    return WarmReport(mode=mode, order=None, said=("The servers of local models have not answered yet.",))


def is_empty(report: WarmReport) -> bool:
    """Return whether there is nothing to say."""
    return report.order is WarmOrder.READY and not (report.missing or report.failed or report.unloaded)
