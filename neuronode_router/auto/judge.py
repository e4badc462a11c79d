"""Compares light answers with the next tier's in the background: within a budget of all workers, one at a time.

It must not be on the request path, keep text, or know how groups are asked.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from neuronode_router.auto.comparison import (
    VERDICT_FORM,
    VERDICT_TOKENS,
    Comparison,
    Message,
    answer_fits,
    question,
    verdict,
)
from neuronode_router.auto.judged_days import JudgedDay, JudgedDays
from neuronode_router.background import Failures
from neuronode_router.routing.residency import NOTHING_REQUIRED, Required
from neuronode_router.threads import in_thread
from neuronode_router.usage.finished import UNBILLED, RequestOutcome
from neuronode_router.usage.prices import Price

WAITING = 50
"""Comparisons that may wait in a worker; further ones are dropped and counted."""
SECONDS = 60.0
"""How long an answer or a verdict may take."""
COMPARING = "comparing answers"


class GroupFailed(Exception):
    """A group gave no answer. Carries no text of the provider."""

    def __init__(self, outcome: RequestOutcome) -> None:
        super().__init__(outcome.value)
        self._outcome = outcome

    def cost_usd(self, most: float) -> float:
        """Return what it counts as: nothing where it was not worked on, else the most it may have cost."""
        return 0.0 if self._outcome in UNBILLED else most


@dataclass(frozen=True, slots=True)
class GroupAnswer:
    """What a group answered in the background."""

    text: str
    """Empty where it is cut off, or no text."""
    cost_usd: float | None
    """None where LiteLLM does not say."""


@dataclass(frozen=True, slots=True)
class GroupQuestion:
    """What a group is asked in the background."""

    group: str
    messages: Sequence[Message]
    max_tokens: int
    """How long the answer may be."""
    form: Mapping[str, Any] | None
    """The `response_format`, None where any text will do."""
    seconds: float = SECONDS
    places: Required = NOTHING_REQUIRED
    """Where what is asked may go: where the request's own data may."""


class AskedGroups(Protocol):
    """Who asks groups in the background: on nobody's key, itself and no fallback."""

    def price(self, group: str) -> Price | None:
        """Return the price of the group's dearest deployment, None where one of them has none."""
        ...

    async def answer(self, question: GroupQuestion) -> GroupAnswer:
        """Return the answer. Raises `GroupFailed`, at the latest after about `question.seconds`."""
        ...

    def stays(self, group: str, places: Required) -> bool:
        """Return whether a deployment of the group is at one of these places."""
        ...


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """What the operator set."""

    group: str
    """The judge's model group."""
    share: float
    """Of the light answers, 0 to 1."""


Told = Callable[[Comparison, bool], None]
"""Is told of a comparison and whether the light answer would have done. It must not wait."""


class AnswerJudge:
    """One worker's. `offer` never waits and never raises; what fails is counted and touches no request."""

    def __init__(
        self,
        settings: JudgeSettings,
        *,
        days: JudgedDays,
        groups: AskedGroups,
        told: Told,
        failures: Failures,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self._days = days
        self._groups = groups
        self._told = told
        self._failures = failures
        self._chance = chance
        self._waiting: asyncio.Queue[Comparison] = asyncio.Queue(WAITING)
        self._task: asyncio.Task[None] | None = None
        self._unpriced: str | None = None
        self.dropped = 0
        """Comparisons that found no room."""
        self.over_budget = 0
        """Comparisons that the day's budget did not allow."""

    def start(self) -> None:
        """Begin to compare, in the running loop."""
        self._task = asyncio.create_task(self._work(), name=f"neuronode: {COMPARING}")

    async def stop(self) -> None:
        """End; what waits is dropped, and what runs is taken to have cost what was set aside for it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def samples(self) -> bool:
        """Return whether the present request is one of the share that is compared."""
        return self._chance() < self.settings.share

    def offer(self, comparison: Comparison) -> None:
        """Have two answers compared, if there is room."""
        try:
            self._waiting.put_nowait(comparison)
        except asyncio.QueueFull:
            self.dropped += 1

    async def compare(self, comparison: Comparison) -> None:
        """Ask the heavier group and the judge, and tell of the verdict. Raises `StoreUnavailable`.

        Where the request's data may not go to both, nobody is asked.
        """
        groups = (comparison.rival, self.settings.group)
        if comparison.places and not all(self._groups.stays(each, comparison.places) for each in groups):
            return
        heavy = self._most(comparison.rival, comparison.prompt_tokens, comparison.max_tokens)
        judge = self._most(self.settings.group, comparison.verdict_tokens, VERDICT_TOKENS)
        if heavy is None or judge is None:
            return
        self._unpriced = None
        day = await in_thread(self._days.set_aside, heavy + judge)
        if day is None:
            self.over_budget += 1
            return
        enough, cost = await self._judged(comparison, heavy, judge)
        await in_thread(self._days.settle, day, heavy + judge, cost=cost, enough=enough)
        if enough is not None:
            self._told(comparison, enough)

    async def today(self) -> JudgedDay:
        """Return what comparisons came to today, in all workers. Raises `StoreUnavailable`."""
        return await in_thread(self._days.today)

    def status(self) -> Mapping[str, Any]:
        """Return what this worker knows of it. JSON-ready."""
        return {
            "group": self.settings.group,
            "share": self.settings.share,
            "budget_usd": self._days.budget_usd,
            "waiting": self._waiting.qsize(),
            "dropped": self.dropped,
            "over_budget": self.over_budget,
        }

    def warnings(self) -> list[str]:
        """Return what an operator must know of it, in words."""
        settings = self.settings
        said = [
            f"A judge is on: of {settings.share:.2%} of the light answers to `auto` the request's text goes to the "
            f"next tier's model group, and with both answers to {settings.group!r}. NEURONODE_JUDGE unset ends it."
        ]
        if self._unpriced is not None:
            said.append(
                f"Nothing is judged: LiteLLM knows no price of the model group {self._unpriced!r}, so no budget could "
                "bound it. Set input_cost_per_token and output_cost_per_token in its model_info."
            )
        return said

    def _most(self, group: str, prompt_tokens: int, answer_tokens: int) -> float | None:
        """Return the US dollars that asking a group may cost, None where its price is unknown."""
        price = self._groups.price(group)
        if price is None:
            self._unpriced = group
            return None
        return price.cost(prompt_tokens, answer_tokens)

    async def _judged(self, comparison: Comparison, heavy: float, judge: float) -> tuple[bool | None, float]:
        """Return whether the light answer would have done, and the cost, in US dollars."""
        try:
            better = await self._groups.answer(
                GroupQuestion(
                    comparison.rival,
                    comparison.messages,
                    comparison.max_tokens,
                    comparison.form,
                    places=comparison.places,
                )
            )
        except GroupFailed as failed:
            return None, failed.cost_usd(heavy)
        cost = heavy if better.cost_usd is None else better.cost_usd
        if not answer_fits(better.text):
            return None, cost
        light_first = self._chance() < 0.5
        try:
            asked = question(comparison, better.text, light_first=light_first)
            said = await self._groups.answer(
                GroupQuestion(
                    self.settings.group, asked, VERDICT_TOKENS, VERDICT_FORM, places=comparison.places
                )
            )
        except GroupFailed as failed:
            return None, cost + failed.cost_usd(judge)
        cost += judge if said.cost_usd is None else said.cost_usd
        return verdict(said.text, light_first=light_first), cost

    async def _work(self) -> None:
        while True:
            comparison = await self._waiting.get()
            with self._failures.survived(COMPARING):
                await self.compare(comparison)
