"""What the admin API is given: `AdminHost`, one per worker process.

It must not know how its parts are made: the composition root wires them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request

from admin_api.proof_ports import ProofView
from admin_api.routing_ports import RouterView
from admin_api.usage_ports import UsageView
from neuronode_router.access import AccessKey, Principal, UiSession
from neuronode_router.classifier.history import Entry, Sign
from neuronode_router.control.manager import ProfileManager
from neuronode_router.domain import Tier
from neuronode_router.tasks import Catalogue
from neuronode_router.tasks.engine import Complete, TaskOutcome
from neuronode_router.tasks.results import Offer, RoutingStats


class WorkerView(Protocol):
    """This process's worker, as far as the event stream needs it."""

    @property
    def revision(self) -> int:
        """The revision this process serves."""
        ...

    async def wait_beyond(self, revision: int, timeout: float) -> int:  # noqa: ASYNC109  (the worker's own name)
        """Return the served revision once it is above `revision`, at the latest after `timeout` seconds."""
        ...


class DashboardView(Protocol):
    """What the page of the dashboard needs from the host beside the admin API."""

    @property
    def frame_origin(self) -> str | None:
        """The origin, besides the page's own, that may embed it."""
        ...

    def sign_in(self, claim: str) -> UiSession:
        """Return a session for the identity claim of LiteLLM's UI. Raises `NotAuthenticated`."""
        ...

    def keys(self) -> Sequence[AccessKey] | None:
        """Return the keys of the access file; None where keys are kept elsewhere."""
        ...


class TaskView(Protocol):
    """What the task API uses."""

    @property
    def catalogue(self) -> Catalogue:
        """The tasks there are."""
        ...

    @property
    def names(self) -> Mapping[Tier, str]:
        """What is sent as `model` to ask each tier."""
        ...

    def completions(self, request: Request) -> AbstractAsyncContextManager[Complete]:
        """Return how chat requests are sent in the name of the caller of `request`."""
        ...

    async def offer(self, request: Request) -> Offer:
        """Return what the caller of `request` can ask. Raises `NotAllowed` or `CompletionFailed`."""
        ...

    async def routing_stats(self, *, team: str | None) -> RoutingStats:
        """Return how requests were routed, those of `team` only where it is given. Raises `StoreUnavailable`."""
        ...


class FeedbackView(Protocol):
    """Where it is told how the classifier's decisions turned out."""

    async def judge(self, call_id: str, sign: Sign, *, by: Principal, key_hash: str) -> Entry:
        """Keep it and return the decision. Raises `UnknownCall` or `HistoryUnavailable`."""
        ...

    def turned_out(self, outcome: TaskOutcome) -> None:
        """Learn from how a task ended. Never raises, never waits."""
        ...


class MetricsView(Protocol):
    """The metrics of this host's workers."""

    async def exposition(self) -> bytes:
        """Return them in Prometheus' text format."""
        ...


@dataclass(frozen=True, slots=True)
class AdminHost:
    """Everything the routes use. `build_router` is given a callable that returns it.

    Before there is one, the callable raises `NotReady` or `AdminClosed`: both are answered with 503.
    """

    manager: ProfileManager
    worker: WorkerView
    authenticate: Callable[[Request], Awaitable[Principal]]
    """Tells who calls. Raises `NotAuthenticated`, `NotAllowed` or `AdminClosed`."""
    status: Callable[[], Mapping[str, Any]]
    """What the host adds to `GET /status`, JSON-ready and without secrets.

    Anybody who may read sees `embedded_groups` (a list of names). The rest is for administrators and viewers:
    `problems` (a list of `errors.Problem`) and `warnings` (a list of texts) are shown under these names,
    everything else under `host`.
    """
    write_limit: str = "10/second"
    """Writes that one principal may make, in the notation of the `limits` library."""
    dashboard: DashboardView | None = None
    tasks: TaskView | None = None
    router: RouterView | None = None
    """Automatic routing; None while it has not started."""
    usage: UsageView | None = None
    metrics: MetricsView | None = None
    proof: ProofView | None = None
    feedback: FeedbackView | None = None
    """None while no history of decisions is kept."""
