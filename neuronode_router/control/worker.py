"""One worker process's convergence: wake or poll, read, prepare, swap, acknowledge: a thread of its own does it all.

It must not know what a snapshot is or who commits revisions. Nothing of it is on the request path, and it needs no
turn of the event loop: on a busy proxy each turn costs whole requests.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

from neuronode_router.background import Failures
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import Wake
from neuronode_router.control.workers import ServedRevision, WorkerIdentity
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import NeuronodeError, StateUnreadable, StoreUnavailable
from neuronode_router.storage.database import Mark
from neuronode_router.threads import in_thread

logger = logging.getLogger(__name__)

FOLLOWING = "following the control state"

Prepared = TypeVar("Prepared")


class Applier(Protocol[Prepared]):
    """How a worker process takes up a new control state."""

    def prepare(self, state: ControlState) -> Prepared:
        """Do everything that can fail; runs in the worker's thread. Whatever it raises is a refusal (nack).

        Of a `NeuronodeError` the reason is told; anything else is a fault of ours, logged with its traceback.
        """
        ...

    def surroundings(self) -> object:
        """Return what `prepare` goes by beside the state: once it differs, the state is prepared anew.

        Runs in the worker's thread at every poll.
        """
        ...

    def swap(self, prepared: Prepared) -> None:
        """Make it effective: one assignment. Runs in the worker's thread, never raises, never waits."""
        ...


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
        self._served = ServedRevision()
        self._said_at: float | None = None
        self._read_at_mark: Mark | None = None
        self._store_failures = 0
        self._store_fault: StoreUnavailable | None = None
        self._surroundings: object = None
        self._woken = threading.Event()
        self._first_look = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._follow, name="neuronode-worker", daemon=True)
        self._moved = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def instance(self) -> str:
        """Under which name the registry knows this process."""
        return self._identity.instance

    @property
    def revision(self) -> int:
        """The revision this process serves; 0 before the first."""
        return self._served.revision

    @property
    def served(self) -> ServedRevision:
        """What this process serves since when, and what it refused and why."""
        return self._served

    @property
    def store_failures(self) -> int:
        """How often in a row the store did not answer; 0 when it does."""
        return self._store_failures

    @property
    def store_fault(self) -> StoreUnavailable | None:
        """Why the store did not answer the last time; None when it did."""
        return self._store_fault

    async def start(self) -> None:
        """Register, take up the current revision if there is one, and keep following. Never raises for a dead store."""
        self._loop = asyncio.get_running_loop()
        with self._failures.survived("starting the wake-ups"):
            await self._wake.start(self._woken.set)
        self._failures.expect(FOLLOWING, self._poll_seconds)
        self._thread.start()
        await in_thread(self._first_look.wait)

    async def stop(self) -> None:
        """Stop following and retire from the registry. Never raises for a dead store."""
        self._stopping = True
        self._failures.forget(FOLLOWING)
        self._woken.set()
        if self._thread.is_alive():
            await in_thread(self._thread.join)
        await self._wake.stop()
        try:
            await in_thread(self._store.registry.retire, self._identity.instance)
        except StoreUnavailable as error:
            logger.warning("This worker could not retire; it ages out. %s", error)

    async def wait_beyond(self, revision: int, timeout: float) -> int:  # noqa: ASYNC109  callers think in seconds
        """Return the served revision as soon as it is above `revision`, at the latest after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while self.revision <= revision:
                    await self._moved.wait()
        except TimeoutError:
            pass
        return self.revision

    def _follow(self) -> None:
        woken = False
        while not self._stopping:
            self._woken.clear()  # before reading: a wake-up from now on leads to another read
            self._converge(woken=woken)
            self._first_look.set()
            woken = self._woken.wait(self._poll_seconds)
            if woken:
                self._read_at_mark = None  # somebody says that there is news: a clock's tick may hide it

    def _converge(self, *, woken: bool) -> None:
        with self._failures.survived(FOLLOWING):
            try:
                if self._heartbeat_due() and not woken:  # who is waited for writes nothing first
                    # Before the read: a switch that commits after the first one knows of us and waits for us, and what
                    # we write ourselves is not taken for news.
                    self._announce()
                if self._advance() or self._heartbeat_due():
                    self._announce()
            except StoreUnavailable as error:
                self._store_failures += 1
                self._store_fault = error
                if self._store_failures == 1:
                    self._tell_store_fault(error)
            else:
                self._store_failures = 0
                self._store_fault = None

    def _tell_store_fault(self, error: StoreUnavailable) -> None:
        if self.revision:
            logger.warning("The last snapshot keeps serving: %s", error)
        else:
            logger.error(
                "No revision is in force here, LiteLLM's own aliases answer: %s %s", error, error.fix
            )

    def _advance(self) -> bool:
        """Take up what is newer than what is served, or was prepared in other surroundings.

        Returns whether there is something new to tell.
        """
        state: ControlState | None = None
        surroundings = self._surroundings
        with self._failures.survived("looking at the host"):
            surroundings = self._applier.surroundings()
        unless = self.revision if surroundings == self._surroundings else None
        with self._failures.survived("reading the control state", but=StoreUnavailable):
            mark = self._store.database.mark()
            unread = mark is None or mark != self._read_at_mark or self._served.refused is not None
            if unread or unless is None:
                try:
                    state = self._store.read(unless=unless)
                except StateUnreadable as error:
                    return self._refuse(error.revision, str(error))
                self._read_at_mark = mark  # as it was before: what was committed meanwhile is read next time
        if state is None:
            return False
        news = self._take_up(state)
        if self._served.refused is None:
            self._surroundings = surroundings
        return news

    def _take_up(self, state: ControlState) -> bool:
        """Serve `state`, or refuse it and keep what is served. Returns whether there is something new to tell.

        What was refused is looked at again at every poll: whatever was wrong may be right by then.
        """
        refusal: str | None = "an unexpected failure"
        try:
            with self._failures.survived("taking up a revision", but=NeuronodeError):
                self._applier.swap(self._applier.prepare(state))
                refusal = None
        except NeuronodeError as error:
            refusal = str(error)
        if refusal is not None:
            return self._refuse(state.revision, refusal)
        before = self._served
        if state.revision == before.revision and before.refused is None:
            return False  # the same in other surroundings: served since then
        self._served = ServedRevision(revision=state.revision, applied_at=self._clock())
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell_waiting)
        return True

    def _tell_waiting(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _refuse(self, revision: int, refusal: str) -> bool:
        before = self._served
        self._served = replace(before, refused=revision, detail=refusal)
        if self._served == before:
            return False
        if before.revision:
            logger.warning("Revision %d is refused, %d stays: %s", revision, before.revision, refusal)
        else:
            logger.error("Revision %d is refused, LiteLLM's own aliases answer: %s", revision, refusal)
        return True

    def _heartbeat_due(self) -> bool:
        # A clock that was set back must not silence the heartbeat.
        return self._said_at is None or not 0 <= self._clock() - self._said_at < self._heartbeat_seconds

    def _announce(self) -> None:
        report: dict[str, Any] = {}
        with self._failures.survived("the report"):
            # Through JSON: what cannot be written fails here, and not the acknowledgement.
            report = json.loads(json.dumps(dict(self._report())))
        detail = "; ".join(filter(None, (self._served.detail, *self._failures.present())))
        served = replace(self._served, report=report, detail=detail)
        self._said_at = None  # until it is written: a failure is made good at the next poll
        self._store.registry.announce(self._identity, served)
        self._said_at = self._clock()
