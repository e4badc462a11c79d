"""What can be asked of usage: a report, a forecast, an explanation.

It must not know who asks, nor HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from neuronode_router.domain.profiles import Profile
from neuronode_router.domain.receipts import CacheLoss
from neuronode_router.threads import in_thread
from neuronode_router.usage.explain import Explanation, explain
from neuronode_router.usage.finished import OTHER, FinishedRequest
from neuronode_router.usage.forecast import Forecast, cache_loss, forecast
from neuronode_router.usage.periods import (
    DAY,
    MINUTE,
    TimeSpan,
    aligned,
    before,
    meeting,
    recorded,
    resolution,
)
from neuronode_router.usage.prices import Listed, Prices
from neuronode_router.usage.report import Report, report
from neuronode_router.usage.series import Series, fitting, series
from neuronode_router.usage.store import UsageStore
from neuronode_router.usage.targets import GroupNote
from neuronode_router.usage.whereabouts import Whereabouts, whereabouts
from neuronode_router.usage.writer import UsageWriter

PRICE_DAYS = 1
"""Days whose requests say what a token costs, where a single request is explained."""

RUNNING_SECONDS = 10 * MINUTE
"""A conversation that asked so long ago counts as running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageService:
    """One per process. Every method may raise `StoreUnavailable`."""

    writer: UsageWriter
    store: UsageStore
    clock: Callable[[], float]
    """Unix time in seconds."""
    listed: Listed
    notes: Callable[[], Mapping[str, GroupNote]]
    """What is known of every model group there is."""
    profiles: Callable[[], Iterable[Profile]]
    """All that may have decided."""

    async def report(
        self,
        since: float,
        until: float,
        *,
        by: tuple[str, ...],
        step: int | None = None,
        team: str | None = None,
    ) -> Report:
        """Return figures by group, of `team` only where it is given. What this process counted is flushed first.

        A step is at least what is told apart at the beginning: the report says which it is.
        """
        await self.writer.flush()
        now = self.clock()
        span = meeting(since, until, now=now)
        earlier = before(span, now=now)
        chosen = max(step, resolution(span.since, now=now)) if step else None
        return await in_thread(self._report, span, earlier, by, chosen, team)

    async def whereabouts(
        self, since: float, until: float, *, is_within: Callable[[str], bool], team: str | None = None
    ) -> Whereabouts:
        """Return where requests went, those of `team` only where it is given."""
        await self.writer.flush()
        return await in_thread(self._whereabouts, self._aligned(since, until), is_within, team)

    async def series(
        self,
        since: float,
        until: float,
        *,
        step: int | None = None,
        only: Mapping[str, str] | None = None,
        team: str | None = None,
    ) -> Series:
        """Return figures step by step, of the rows whose names are as `only` says, and of `team` where it is given."""
        await self.writer.flush()
        now = self.clock()
        span = meeting(since, until, now=now)
        told_apart = resolution(span.since, now=now)
        chosen = max(step, told_apart) if step else fitting(span, told_apart)
        rows = await in_thread(self.store.collect, span, team=team)
        return series(rows, span=span, step=chosen, told_apart=told_apart, only=only or {})

    async def newest(self, limit: int, *, team: str | None = None) -> list[FinishedRequest]:
        """Return the newest requests of the last hour, of `team` only where it is given; those of this process too."""
        await self.writer.flush()
        return await in_thread(self.store.newest, limit, team=team)

    async def forecast(self, candidate: Profile, since: float, until: float) -> Forecast:
        """Return what the recorded requests would have cost under `candidate`."""
        await self.writer.flush()
        return await in_thread(self._forecast, candidate, self._aligned(since, until))

    async def running_caches(self, candidate: Profile) -> CacheLoss:
        """Return what caches have lately done for requests that would leave their group under `candidate`. What was not
        written down yet is missing: a switch does not wait for it.
        """
        rows = await in_thread(self.store.cached, self.clock() - RUNNING_SECONDS)
        return cache_loss(rows, candidate, Prices({}, self.listed), self._by_name())

    async def explain(
        self, call_id: str, profiles: Mapping[str, Profile], *, team: str | None = None
    ) -> Explanation | None:
        """Return the newest request with this call id, of `team` only where it is given, and what it would have cost;
        None where nobody knows it. Callers choose call ids, and may choose others'.

        Known are the requests of the last hour that some process has flushed, and those of this one.
        """
        found = self.writer.find(call_id, team=team)
        return await in_thread(self._explain, call_id, team, found, profiles)

    def _by_name(self) -> dict[str, Profile]:
        return {profile.name: profile for profile in self.profiles()}

    def _aligned(self, since: float, until: float) -> TimeSpan:
        return aligned(since, until, now=self.clock())

    def _report(
        self, span: TimeSpan, earlier: TimeSpan, by: tuple[str, ...], step: int | None, team: str | None
    ) -> Report:
        found = self.store.collect(span, team=team), self.store.collect(earlier, team=team)
        return report(*found, span=span, earlier=earlier, by=by, step=step)

    def _whereabouts(self, span: TimeSpan, is_within: Callable[[str], bool], team: str | None) -> Whereabouts:
        rows = self.store.collect(span, team=team)
        unattributed = {} if team is None else self.store.collect(span, team=OTHER)
        return whereabouts(rows, unattributed, span=span, is_within=is_within)

    def _forecast(self, candidate: Profile, span: TimeSpan) -> Forecast:
        rows = self.store.collect(span)
        kept = recorded(span, oldest=self.store.oldest(), now=self.clock())
        prices = Prices(rows, self.listed)
        return forecast(
            rows, candidate, span=kept, prices=prices, notes=self.notes(), profiles=self._by_name()
        )

    def _explain(
        self, call_id: str, team: str | None, found: FinishedRequest | None, profiles: Mapping[str, Profile]
    ) -> Explanation | None:
        request = found or self.store.find(call_id, team=team)
        if request is None:
            return None
        recent = self._aligned(request.at - PRICE_DAYS * DAY, self.clock())
        return explain(request, profiles, Prices(self.store.collect(recent), self.listed))
