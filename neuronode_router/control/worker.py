"""One worker process's convergence: wake or poll, read, prepare in a thread, swap on the loop, acknowledge.

It must not know what a snapshot is or who commits revisions. Nothing of it is on the request path.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar

from neuronode_router.control.failures import Failures
from neuronode_router.control.ports import Applier, Prepared, Wake
from neuronode_router.control.registry import Standing, WorkerIdentity
from neuronode_router.control.store import ControlStore
from neuronode_router.domain import ControlState
from neuronode_router.errors import NeuronodeError, StoreUnavailable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Worker(Generic[Prepared]):
    """Keeps this process on the newest revision it can take up, and says so in the store.

    `clock` is Unix time in seconds. `report` gives what each heartbeat says of this process (JSON-ready, no secrets).
    Nothing that the applier, the report or the wake-up raises ends this: it is a refusal, or tried again.
    """

    def __init__(  # noqa: PLR0913  one argument per collaborator, all by keyword
        self,
        *,
        store: ControlStore,
        applier: Applier[Prepared],
        wake: Wake,
        identity: WorkerIdentity,
        clock: Callable[[], float] = time.time,
        poll_seconds: float = 0.5,
        heartbeat_seconds: float = 2.0,
        report: Callable[[], Mapping[str, Any]] = dict,
        failures: Failures | None = None,
    ) -> None:
        self._store = store
        self._applier = applier
        self._wake = wake
        self._identity = identity
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._report = report
        self._failures = failures or Failures()
        self._standing = Standing()
        self._said_at: float | None = None
        self._store_failures = 0
        self._woken = asyncio.Event()
        self._moved = asyncio.Event()
        # A thread of its own: acknowledgements do not queue behind others' work, and a database that hangs holds
        # up nothing else.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="neuronode-worker")
        self._task: asyncio.Task[None] | None = None

    @property
    def revision(self) -> int:
        """The revision this process serves; 0 before the first."""
        return self._standing.revision

    @property
    def standing(self) -> Standing:
        """What this process serves since when, and what it refused and why."""
        return self._standing

    @property
    def store_failures(self) -> int:
        """How often in a row the store did not answer; 0 when it does."""
        return self._store_failures

    async def start(self) -> None:
        """Register, take up the current revision if there is one, and keep following. Never raises for a dead store."""
        with self._failures.survived("starting the wake-ups"):
            await self._wake.start(self._woken.set)
        await self._converge()
        self._task = asyncio.create_task(self._follow(), name="neuronode-follow")

    async def stop(self) -> None:
        """Stop following and retire from the registry. Never raises for a dead store."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._wake.stop()
        try:
            await self._run(self._store.registry.retire, self._identity.instance)
        except StoreUnavailable as error:
            logger.warning("This worker could not retire; it ages out. %s", error)
        self._thread.shutdown(wait=False)

    async def wait_beyond(self, revision: int, timeout: float) -> int:  # noqa: ASYNC109  callers think in seconds
        """Return the served revision as soon as it is above `revision`, at the latest after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while self.revision <= revision:
                    await self._moved.wait()
        except TimeoutError:
            pass
        return self.revision

    async def _follow(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._poll_seconds):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()  # before reading: a wake-up from now on leads to another read
            await self._converge()

    async def _converge(self) -> None:
        with self._failures.survived("following the control state"):
            try:
                if self._said_at is None:
                    # Before the first read: a switch that commits after that read then knows of us and waits for us.
                    await self._announce()
                if await self._advance() or self._heartbeat_due():
                    await self._announce()
            except StoreUnavailable as error:
                self._store_failures += 1
                if self._store_failures == 1:
                    logger.warning("The last snapshot keeps serving: %s", error)
            else:
                self._store_failures = 0

    async def _advance(self) -> bool:
        """Take up what is newer than what is served. Returns whether there is something new to tell."""
        found = None
        with self._failures.survived("reading the control state", but=StoreUnavailable):
            found = await self._run(self._look, self.revision)
        return found is not None and self._take_up(*found)

    def _look(self, served: int) -> tuple[ControlState, Prepared | Exception] | None:
        """Read and prepare what is newer than `served`, in the thread: one hand-over instead of two."""
        state = self._store.read(unless=served)
        if state is None:
            return None
        try:
            return state, self._applier.prepare(state)
        except Exception as error:  # noqa: BLE001  not swallowed: `_take_up` raises it again, on the event loop
            return state, error

    def _take_up(self, state: ControlState, prepared: Prepared | Exception) -> bool:
        """Serve `state`, or refuse it and keep what is served. Returns whether there is something new to tell.

        What was refused is looked at again at every poll, because the host may have changed meanwhile.
        """
        refusal: str | None = "an unexpected failure"
        try:
            with self._failures.survived("taking up a revision", but=NeuronodeError):
                if isinstance(prepared, Exception):
                    raise prepared
                self._applier.swap(prepared)
                refusal = None
        except NeuronodeError as error:
            refusal = str(error)
        if refusal is not None:
            return self._refuse(state.revision, refusal)
        self._standing = Standing(revision=state.revision, applied_at=self._clock())
        self._moved.set()
        self._moved = asyncio.Event()
        return True

    def _refuse(self, revision: int, refusal: str) -> bool:
        before = self._standing
        self._standing = replace(before, refused=revision, detail=refusal)
        if self._standing == before:
            return False
        logger.warning("Revision %d is refused, %d stays: %s", revision, before.revision, refusal)
        return True

    def _heartbeat_due(self) -> bool:
        # A clock that was set back must not silence the heartbeat.
        return self._said_at is None or not 0 <= self._clock() - self._said_at < self._heartbeat_seconds

    async def _announce(self) -> None:
        report: dict[str, Any] = {}
        with self._failures.survived("the report"):
            # Through JSON: what cannot be written fails here, and not the acknowledgement.
            report = json.loads(json.dumps(dict(self._report())))
        detail = "; ".join(filter(None, (self._standing.detail, *self._failures.present())))
        standing = replace(self._standing, report=report, detail=detail)
        self._said_at = None  # until it is written: a failure is made good at the next poll
        await self._run(self._store.registry.announce, self._identity, standing)
        self._said_at = self._clock()

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(call, *args, **kwargs))
