"""What `auto` learns, in one worker: weights and history, outcomes, the judge, and the hook that hears of answers.

It decides nothing and knows no routes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from neuronode_router.auto.judge import AnswerJudge, JudgeSettings
from neuronode_router.auto.judged_days import JudgedDays
from neuronode_router.auto.learning import PURGE_SECONDS, Learning
from neuronode_router.auto.outcome_store import OutcomeStore
from neuronode_router.auto.outcomes import REFRESH_SECONDS, Outcomes
from neuronode_router.background import Failures, PeriodicTask
from neuronode_router.errors import NeuronodeError
from neuronode_router.litellm_plugin.hooks.outcomes import OutcomeHooks
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.litellm_plugin.router.judging import JudgedGroups
from neuronode_router.litellm_plugin.router.prices import listed_price
from neuronode_router.settings import Settings
from neuronode_router.storage.database import Database
from neuronode_router.threads import in_thread


class LearningWiring:
    """The parts, wired. Outcomes, hook and judge are None unless the operator switched them on."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        bridge: RouterBridge,
        deployments: Deployments,
        failures: Failures,
    ) -> None:
        self.outcomes = Outcomes(OutcomeStore(database)) if settings.outcomes == "on" else None
        self.learning = Learning(settings, failures=failures, outcomes=self.outcomes)
        self.judge: AnswerJudge | None = None
        self.hooks: OutcomeHooks | None = None
        recorder = self.learning.recorder
        if self.outcomes is None or recorder is None:
            return
        if settings.judge is not None and settings.judge_budget is not None:
            self.judge = AnswerJudge(
                JudgeSettings(settings.judge, settings.judge_share),
                days=JudgedDays(database, budget_usd=settings.judge_budget),
                groups=JudgedGroups(bridge),
                told=recorder.judged,
                failures=failures,
            )
        self.hooks = OutcomeHooks(
            recorder,
            group_of=deployments.served_by,
            judge=self.judge,
            outcomes=self.outcomes,
            price_of=lambda group: listed_price(bridge.entries(), group),
        )

    def start(self) -> None:
        """Begin to write and to compare, in the running loop."""
        self.learning.start()
        if self.judge is not None:
            self.judge.start()

    async def stop(self) -> None:
        """Write and share what waits, and end. Never raises for a dead store: then what was heard is lost."""
        if self.judge is not None:
            await self.judge.stop()
        await in_thread(self.learning.stop)
        if self.outcomes is not None:
            with suppress(NeuronodeError):
                await self.outcomes.refresh()

    def periodic_tasks(self) -> Iterator[PeriodicTask]:
        """Yield what is done again and again; old decisions are forgotten also where no more are kept."""
        yield PeriodicTask(PURGE_SECONDS, "forgetting old decisions", self.learning.purge)
        if self.outcomes is not None:
            yield PeriodicTask(REFRESH_SECONDS, "sharing outcomes", self.outcomes.refresh)

    def warnings(self) -> Sequence[str]:
        """Return what an operator must know of it, in words."""
        return (*self.learning.warnings(), *(self.judge.warnings() if self.judge else ()))

    def status(self) -> Mapping[str, Any]:
        """Return what the status page shows, JSON-ready."""
        return {
            "classifier": self.learning.status(),
            "judge": self.judge.status() if self.judge else None,
        }
