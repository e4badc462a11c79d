"""What the admin API is given: `AdminHost`, one per worker process.

It must not know how its parts are made: the composition root wires them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request

from neuronode_router.access import Principal
from neuronode_router.control.manager import ProfileManager


class WorkerView(Protocol):
    """This process's worker, as far as the event stream needs it."""

    @property
    def revision(self) -> int:
        """The revision this process serves."""
        ...

    async def wait_beyond(self, revision: int, timeout: float) -> int:  # noqa: ASYNC109  (the worker's own name)
        """Return the served revision once it is above `revision`, at the latest after `timeout` seconds."""
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
