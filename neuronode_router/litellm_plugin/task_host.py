"""What the task API gets of one proxy worker: the proxy's own application to ask, the tiers, and the figures.

It decides nothing: what it sends goes through LiteLLM's authentication, admission and usage like any other request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import httpx
from fastapi import Request

from neuronode_router.access import sent_key
from neuronode_router.domain.names import Tier
from neuronode_router.histogram import Histogram
from neuronode_router.litellm_plugin.auth.key_headers import key_headers
from neuronode_router.litellm_plugin.hooks.asked_task import asking_for
from neuronode_router.routing.fallback_chain import DeploymentStatus
from neuronode_router.tasks import Catalogue
from neuronode_router.tasks.completions import Completions
from neuronode_router.tasks.folder import TaskFolder
from neuronode_router.tasks.results import ModelConfig, Offer, RoutingMetrics, RoutingStats
from neuronode_router.tasks.reticence import Reticence
from neuronode_router.usage.service import UsageService
from neuronode_router.usage.sums import Sums

WINDOW_SECONDS = 86_400
"""How far back the figures go."""

FEW_SAMPLES = 20
"""Up to so many there is no p95, as in the plan."""

CARRIED = frozenset(
    {
        *("x-neuronode-profile", "user-agent", "x-forwarded-for", "traceparent"),
        *("x-litellm-tags", "x-litellm-spend-logs-metadata", "x-litellm-timeout"),
        *("x-litellm-session-id", "x-litellm-trace-id", "x-litellm-customer-id", "x-litellm-end-user-id"),
    }
)
"""Headers of the caller that go along: who pays, whose session it is, where it comes from, how long it may take."""

Statuses = Mapping[str, Sequence[DeploymentStatus]]


class TaskHost:
    """`proxy` is LiteLLM's module. `names` is what is sent to ask each tier, `groups_of` what a name leads to now."""

    def __init__(
        self,
        *,
        proxy: Any,
        folder: TaskFolder,
        names: Mapping[Tier, str],
        statuses: Callable[[], Statuses],
        groups_of: Callable[[str, Tier], Sequence[str]],
        usage: UsageService,
    ) -> None:
        self.names = names
        self._proxy = proxy
        self._folder = folder
        self._statuses = statuses
        self._groups_of = groups_of
        self._usage = usage
        self._reticence = Reticence(time.monotonic)
        self._begun: set[asyncio.Task[httpx.Response]] = set()

    @property
    def catalogue(self) -> Catalogue:
        """The tasks there are."""
        return self._folder.catalogue

    @asynccontextmanager
    async def completions(self, request: Request, *, task: str | None = None) -> AsyncIterator[Completions]:
        """Yield how the proxy is asked in the name of the caller of `request`: in this process, by his own key.

        What is asked is counted under `task`. Who stops waiting for an answer does not stop the request.
        """
        client = request.client
        transport = httpx.ASGITransport(
            self._proxy.app,
            raise_app_exceptions=False,
            client=(client.host, client.port) if client else ("unknown", 0),
        )
        with asking_for(task) if task else nullcontext():
            async with self._to_proxy(request, _ToTheEnd(transport, self._begun)) as to_proxy:
                yield Completions(to_proxy, reticence=self._reticence)

    def _to_proxy(self, request: Request, transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=transport,
            base_url="http://proxy",
            headers=self._headers(request),
            timeout=None,  # noqa: S113 - LiteLLM's own time-outs apply
            trust_env=False,
        )

    async def offer(self, request: Request) -> Offer:
        """Return what the caller of `request` can ask by name, and what answers for each tier."""
        async with self.completions(request) as proxy:
            listed = await proxy.listed()
        there = {
            group: found
            for group, found in self._statuses().items()
            if any(status.deployment.available for status in found)
        }
        return Offer(
            available=tuple(sorted(listed & there.keys())),
            configured={tier: self._configured(tier, there) for tier in Tier},
        )

    async def routing_stats(self, *, team: str | None) -> RoutingStats:
        """Return the figures of the last day, of `team` only where it is given. Raises `StoreUnavailable`."""
        now = time.time()
        report = await self._usage.report(now - WINDOW_SECONDS, now, by=("served_group", "tier"), team=team)
        groups, tiers = dict[str, Sums](), dict[str, int]()
        for line in report.lines:
            group, tier = map(str, line.names)
            groups.setdefault(group, Sums()).merge(line.figures.sums)
            if tier:
                tiers[tier] = tiers.get(tier, 0) + line.figures.sums.requests
        groups.pop("", None)
        statuses = self._statuses()
        return RoutingStats(
            metrics=_metrics(report.total.sums, groups, tiers),
            models={group: _config(statuses[group], None) for group in groups if statuses.get(group)},
            scope="shared",
            window_seconds=WINDOW_SECONDS,
        )

    def _headers(self, request: Request) -> dict[str, str]:
        carried = {header: value for header, value in request.headers.items() if header in CARRIED}
        return carried | key_headers(sent_key(request.headers.get("authorization", "")), self._proxy)

    def _configured(self, tier: Tier, there: Statuses) -> ModelConfig | None:
        groups = self._groups_of(self.names[tier], tier)
        return next((_config(there[group], tier) for group in groups if group in there), None)


class _ToTheEnd(httpx.AsyncBaseTransport):
    """Ends every request that was begun, also when nobody waits for its answer any more; `begun` keeps them.

    LiteLLM books what a request costs, and gives back what it has reserved of budgets and limits, at its end: one that
    is cancelled stays reserved, and is in no book.
    """

    def __init__(self, transport: httpx.ASGITransport, begun: set[asyncio.Task[httpx.Response]]) -> None:
        self._transport = transport
        self._begun = begun

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answering = asyncio.create_task(self._transport.handle_async_request(request), name="neuronode-task")
        self._begun.add(answering)
        answering.add_done_callback(self._begun.discard)
        return await asyncio.shield(answering)


def _config(statuses: Sequence[DeploymentStatus], tier: Tier | None) -> ModelConfig:
    """Return what is known of a group: of its first deployment."""
    found = statuses[0].deployment
    return ModelConfig(
        name=found.group,
        tier=tier or found.tier,
        context_window=found.context_window,
        avg_latency_ms=found.expected_ms,
        cost_factor=found.cost_factor,
        max_tokens=found.max_tokens,
        temperature=found.temperature,
        capabilities=found.capabilities,
    )


def _metrics(total: Sums, groups: Mapping[str, Sums], tiers: Mapping[str, int]) -> RoutingMetrics:
    latencies = {group: Histogram(sums.latency) for group, sums in groups.items()}
    return RoutingMetrics(
        total_requests=total.requests,
        fallback_rate=total.fallbacks / max(total.requests, 1),
        requests_per_model={group: sums.requests for group, sums in groups.items()},
        requests_per_tier=dict(tiers),
        avg_latency_per_model={group: found.mean for group, found in latencies.items()},
        p95_latency_per_model={
            group: found.quantile(0.95) if found.samples > FEW_SAMPLES else None
            for group, found in latencies.items()
        },
    )
