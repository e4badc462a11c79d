"""Has requests answered once more by another profile, in the background of one worker, and keeps what came of it.

A bounded number waits and a bounded number runs; money is set aside before anybody is asked. It must not be on the
request path, or know how groups are asked.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from neuronode_router.background import Failures, cancel
from neuronode_router.domain.shadows import Shadow
from neuronode_router.shadows.pairs import AnswerFacts, Pair, PairSums, Skip
from neuronode_router.shadows.store import SetAside, ShadowBatch, ShadowStore, to_nano
from neuronode_router.tasks.agreement import Said, agreement
from neuronode_router.threads import in_thread
from neuronode_router.usage.finished import UNBILLED, RequestOutcome

WAITING = 50
"""Requests that may wait in a worker; further ones are dropped and counted."""
BATCH_SAMPLES = 20
"""Samples of one batch."""
SAMPLE_CHARS = 2000
"""Characters of each text of a sample."""
SETTLED_SECONDS = 5.0
"""How long a budget must have allowed nothing more to count as used up: other workers may give something back."""
REFUSALS = 10
"""So many requests in a row are taken for what requests cost, where a worker has not asked one yet."""
MIRRORING = "answering requests once more"

Told = Callable[[str, str], None]
"""Is told of a profile and of what became of one chosen request. It must be quick and never raise."""


class MirrorFailed(Exception):
    """A group gave no answer. Carries no text of the provider."""

    def __init__(self, outcome: RequestOutcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class FullAnswer:
    """One answer: what is kept of it, and what it says, which is dropped when it was compared."""

    facts: AnswerFacts
    said: Said


@dataclass(frozen=True, slots=True)
class Original:
    """A request that a client was answered, and that is to be answered once more."""

    shadow: Shadow
    profile: str
    """Which answered the client."""
    task: str
    answer: FullAnswer
    request: Any
    """Whatever `Mirroring` needs to ask it again."""


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """What the judge said."""

    enough: bool | None
    """Whether the other answer would have done; None where nobody could tell."""
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Ready:
    """A request that may be asked again."""

    most_usd: float
    """What asking may cost, the judge included: it is set aside."""
    ask: Callable[[], Awaitable[FullAnswer]]
    """Raises `MirrorFailed`."""
    answer_usd: float
    """What the answer alone may cost: it counts where nobody says what it did, and where it failed."""
    judge: Callable[[FullAnswer], Awaitable[JudgedAnswer]] | None = None
    """Asks whether the other answer would have done. Never raises."""
    text: str | None = None
    """What was asked, for a sample; None where none is kept."""


class Mirroring(Protocol):
    """Who asks requests again: on nobody's key, within what the caller may reach, and no fallback."""

    async def ready(self, original: Original) -> Ready | Skip:
        """Return how to ask the other profile's group, or why it is not asked."""
        ...


@dataclass(slots=True)
class _Found:
    """What was found out of one comparison since the last batch."""

    sums: dict[tuple[str, str], PairSums] = field(default_factory=dict)
    unspent: int = 0
    samples: list[tuple[float, Mapping[str, Any]]] = field(default_factory=list)

    def of(self, profile: str, task: str) -> PairSums:
        return self.sums.setdefault((profile, task), PairSums())


class Mirror:
    """One worker's. `offer` and `skip` never wait and never raise; what fails is counted and touches no request.

    `worker` names this process, never the same again; `clock` is Unix time.
    """

    def __init__(
        self,
        *,
        asks: Mirroring,
        store: ShadowStore,
        worker: str,
        failures: Failures,
        told: Told = lambda _profile, _outcome: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._asks = asks
        self._store = store
        self._worker = worker
        self._failures = failures
        self._told = told
        self._clock = clock
        self._waiting: deque[Original] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._found: dict[str, _Found] = {}
        self._unsure: ShadowBatch | None = None
        self._sequence = 0
        self._turn = asyncio.Lock()
        self._aside: dict[str, int] = {}
        """Requests for which money is set aside and not settled, by comparison."""
        self._least: dict[str, int] = {}
        """The least that was set aside for a request, by comparison; for want of one, the least that was too much."""
        self._too_much: dict[str, list[int]] = {}
        """What was too much where nothing was set aside yet, by comparison."""
        self.spent: dict[str, float] = {}
        """Comparisons whose budget does not even allow that any more, and since when."""
        self.dropped = 0
        """Requests that found no room."""

    @property
    def busy(self) -> bool:
        """Whether anything runs, or is not yet in the store."""
        return bool(self._running or self._found or self._unsure)

    def skip(self, shadow: Shadow, profile: str, task: str, why: Skip) -> None:
        """Count a chosen request that is not answered again."""
        self._of(shadow).of(profile, task).skip(why)
        self._told(shadow.profile, why)

    def offer(self, original: Original) -> None:
        """Have a request answered once more, if there is room."""
        if len(self._running) < original.shadow.concurrency:
            self._begin(original)
        elif len(self._waiting) < WAITING:
            self._waiting.append(original)
        else:
            self.dropped += 1
            self._skipped(original, Skip.QUEUE)

    async def flush(self) -> None:
        """Carry what was found out to the store. Raises `StoreUnavailable`: then the next flush tries again."""
        async with self._turn:
            if self._unsure is not None:
                await self._send(self._unsure)
            while self._found:
                await self._send(self._take())

    async def is_spent(self, shadow: Shadow) -> bool:
        """Return whether the budget allows no further request, and for how long. Raises `StoreUnavailable`."""
        since = self.spent.get(shadow.id)
        if since is None or self._clock() - since < SETTLED_SECONDS:
            return False
        return not await self._allows_least(shadow)

    async def stop(self) -> None:
        """End what runs; what was set aside for it counts as spent."""
        while self._waiting:
            self._skipped(self._waiting.popleft(), Skip.ENDED)
        await cancel(*self._running)

    def status(self) -> Mapping[str, int]:
        """Return how it stands. JSON-ready."""
        return {
            "shadow_running": len(self._running),
            "shadow_waiting": len(self._waiting),
            "shadow_dropped": self.dropped,
        }

    def _begin(self, original: Original) -> None:
        # In a context of its own: neither the client's gate nor its traces are this one's.
        task = asyncio.get_running_loop().create_task(
            self._work(original), name=f"neuronode: {MIRRORING}", context=Context()
        )
        self._running.add(task)
        task.add_done_callback(partial(self._ended, original))

    def _ended(self, original: Original, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled():  # perhaps before it began
            self._skipped(original, Skip.ENDED)
        elif self._waiting:
            self._begin(self._waiting.popleft())

    async def _work(self, original: Original) -> None:
        told = False
        with self._failures.survived(MIRRORING):
            await self._mirror(original)
            told = True
        if not told:
            self._skipped(original, Skip.FAULT)

    async def _mirror(self, original: Original) -> None:
        ready = await self._asks.ready(original)
        if isinstance(ready, Skip):
            self._skipped(original, ready)
            return
        name, most = original.shadow.id, to_nano(ready.most_usd)
        self._aside[name] = self._aside.get(name, 0) + 1
        try:
            done = await in_thread(self._store.set_aside, name, most)
            if done is not SetAside.DONE:
                if done is SetAside.TOO_MUCH:
                    self._refuse(name, most)
                    await self._doubt(original.shadow)
                self._skipped(original, Skip.ENDED if done is SetAside.OVER else Skip.BUDGET)
                return
            self.spent.pop(name, None)
            self._too_much.pop(name, None)
            self._least[name] = min(most, self._least.get(name, most))
            cost = await self._asked(original, ready)
            self._of(original.shadow).unspent += most - to_nano(cost)
        finally:
            self._aside[name] -= 1

    async def _asked(self, original: Original, ready: Ready) -> float:
        """Have it answered, compare, and return what that cost."""
        try:
            other = await ready.ask()
        except MirrorFailed as failed:
            self._sums(original).fail(failed.outcome)
            self._told(original.shadow.profile, failed.outcome)
            return 0.0 if failed.outcome in UNBILLED else ready.answer_usd
        cost = ready.answer_usd if other.facts.cost_usd is None else other.facts.cost_usd
        verdict = None if ready.judge is None else await ready.judge(other)
        pair = Pair(
            original.answer.facts,
            other.facts,
            agreement(original.answer.said, other.said),
            judged=None if verdict is None else verdict.enough,
            judge_failed=verdict is not None and verdict.enough is None,
        )
        self._sums(original).add(pair)
        self._told(original.shadow.profile, RequestOutcome.ANSWERED)
        if original.shadow.sample_text and ready.text is not None:
            self._sample(original, ready.text, other, pair)
        return cost + (0.0 if verdict is None else verdict.cost_usd)

    def _sample(self, original: Original, asked: str, other: FullAnswer, pair: Pair) -> None:
        kept = self._of(original.shadow).samples
        if len(kept) < BATCH_SAMPLES:
            texts = {"asked": asked, "client": original.answer.said.text, "other": other.said.text}
            about = {"task": original.task, "agrees": None if pair.agrees is None else pair.agrees[1]}
            cut = {name: _storable(text) for name, text in texts.items()}
            kept.append((self._clock(), {**about, **cut}))

    def _refuse(self, name: str, most: int) -> None:
        """Note what was too much. Several say that a budget was too small from the start, or was used up before this
        worker began; one says nothing, for what it may cost its client says.
        """
        if name in self._least:
            return
        refused = self._too_much.setdefault(name, [])
        refused.append(most)
        if len(refused) == REFUSALS:
            self._least[name] = min(self._too_much.pop(name))

    async def _doubt(self, shadow: Shadow) -> None:
        """Note that the budget is used up, unless something of it may come back from what runs here, or it would do for
        a lesser request: what one may cost its client says, who may ask for an answer of any length.
        """
        alone = self._aside[shadow.id] == 1 and not self._of(shadow).unspent and self._unsure is None
        if alone and shadow.id not in self.spent and not await self._allows_least(shadow):
            self.spent[shadow.id] = self._clock()

    async def _allows_least(self, shadow: Shadow) -> bool:
        """Return whether the budget would do for the least request there was: what that sets aside comes back."""
        least = self._least.get(shadow.id, 1)
        done = await in_thread(self._store.set_aside, shadow.id, least)
        if done is SetAside.TOO_MUCH:
            return False
        self.spent.pop(shadow.id, None)
        if done is SetAside.DONE:
            self._of(shadow).unspent += least
        return True

    def _skipped(self, original: Original, why: Skip) -> None:
        self.skip(original.shadow, original.profile, original.task, why)

    def _sums(self, original: Original) -> PairSums:
        return self._of(original.shadow).of(original.profile, original.task)

    def _of(self, shadow: Shadow) -> _Found:
        return self._found.setdefault(shadow.id, _Found())

    def _take(self) -> ShadowBatch:
        name = next(iter(self._found))
        found = self._found.pop(name)
        self._sequence += 1
        return ShadowBatch(name, self._sequence, found.sums, found.unspent, tuple(found.samples))

    async def _send(self, batch: ShadowBatch) -> None:
        # Kept until the store has answered: a commit whose answer was lost is repeated under the same number.
        self._unsure = batch
        await in_thread(self._store.add, self._worker, batch)
        self._unsure = None


def _storable(text: str) -> str:
    """Return the beginning of a text without what no database takes."""
    return text[:SAMPLE_CHARS].replace("\0", "").encode("utf-8", "replace").decode()
