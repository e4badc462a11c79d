"""The task API: sentiment, classify, chat, analysis and every other template, and what is known of the tiers.

It must not know prompts, nor who answers: it makes an order of a request, has it run, and presents the outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from admin_api.edge import Call, Caller
from admin_api.llm_documents import (
    AnalysisBody,
    AnalysisDocument,
    ChatBody,
    ChatDocument,
    ClassifyBody,
    ClassifyDocument,
    InputDocument,
    MetricsDocument,
    ModelConfigDocument,
    ModelsDocument,
    RoutingStatsDocument,
    SentimentBody,
    SentimentDocument,
    TaskBody,
    TaskDocument,
    TemplateDocument,
    TemplateListDocument,
)
from admin_api.ports import TaskView
from neuronode_router.access import may_read_all
from neuronode_router.domain import AUTO, Tier
from neuronode_router.errors import NotReady, UnknownTemplate
from neuronode_router.tasks.engine import TaskOrder, TaskOutcome, run
from neuronode_router.tasks.inputs import Inputs
from neuronode_router.tasks.presenters import (
    analysis_result,
    chat_result,
    classify_result,
    sentiment_result,
    template_result,
)
from neuronode_router.tasks.results import Offer, RoutingStats
from neuronode_router.tasks.template import FreeText, GivenLabels, JsonShape, Labels, Language, TaskTemplate

OUTPUTS = {Labels: "labels", GivenLabels: "labels_from", JsonShape: "json_schema", FreeText: "text"}


NO_TEAM = ""
"""In the books: requests of callers without a team."""


class Desk:
    """Takes the orders of one caller."""

    def __init__(self, call: Call, request: Request) -> None:
        if call.host.tasks is None:
            raise NotReady("The task API has not been started in this worker.")
        self.view: TaskView = call.host.tasks
        self._call = call
        self._request = request

    def template(self, name: str) -> TaskTemplate:
        """Return a task. Raises `UnknownTemplate`."""
        found = self.view.catalogue.get(name)
        if found is None:
            raise UnknownTemplate(tuple(self.view.catalogue))
        return found

    async def offer(self) -> Offer:
        """Return what this caller can ask."""
        return await self.view.offer(self._request)

    async def routing_stats(self) -> RoutingStats:
        """Return how requests were routed: everybody's for administrators and viewers, else the caller's team's."""
        principal = self._call.principal
        return await self.view.routing_stats(
            team=None if may_read_all(principal) else principal.team or NO_TEAM
        )

    async def run(
        self,
        task: TaskTemplate,
        inputs: Inputs,
        *,
        tier: Tier | None = None,
        name: str | None = None,
        language: Language | None = None,
    ) -> TaskOutcome:
        """Have a task done in the caller's name, as long as the caller is there to hear of it."""
        order = TaskOrder(
            task,
            inputs,
            tier=tier,
            name=name,
            highest=self._call.principal.max_tier,
            names=self.view.names,
            language=language,
        )
        async with self.view.completions(self._request) as complete:
            outcome = await self._while_listening(run(order, complete))
        if self._call.host.feedback is not None:
            self._call.host.feedback.turned_out(outcome)
        return outcome

    async def _while_listening(self, work: Coroutine[Any, Any, TaskOutcome]) -> TaskOutcome:
        """Return what `work` returns, and cancel it when the client hangs up: nobody would read the answer."""
        working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(self._call.gone())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise ClientDisconnect
            return working.result()
        finally:
            working.cancel()
            leaving.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)


async def _desk(call: Caller, request: Request) -> Desk:
    return Desk(call, request)


AnyDesk = Annotated[Desk, Depends(_desk)]


async def analyse_sentiment(desk: AnyDesk, body: SentimentBody) -> SentimentDocument:
    """Say whether a text is BULLISH, BEARISH or NEUTRAL."""
    outcome = await desk.run(desk.template("sentiment"), {"text": body.text}, language=body.language)
    return SentimentDocument.model_validate(sentiment_result(outcome).to_document())


async def classify_text(desk: AnyDesk, body: ClassifyBody) -> ClassifyDocument:
    """Put a text into one of the categories sent with it."""
    inputs = {"text": body.text, "categories": body.categories}
    outcome = await desk.run(desk.template("classify"), inputs, language=body.language)
    return ClassifyDocument.model_validate(classify_result(outcome).to_document())


async def chat(desk: AnyDesk, body: ChatBody) -> ChatDocument:
    """Answer a message, from the tier it needs or the one that was forced."""
    tier, name = body.force_tier, body.force_model
    if tier is None and name is None:
        tier, name = (None, AUTO) if body.auto_route else (Tier.COMPLEX, None)
    outcome = await desk.run(
        desk.template("chat"), {"message": body.message}, tier=tier, name=name, language=body.language
    )
    return ChatDocument.model_validate(chat_result(outcome).to_document())


async def analyse_market(desk: AnyDesk, body: AnalysisBody) -> AnalysisDocument:
    """Weigh market data and retrieved passages into a typed recommendation."""
    inputs = {"market_data": body.market_data, "rag_context": body.rag_context}
    outcome = await desk.run(desk.template("analysis"), inputs, language=body.language)
    return AnalysisDocument.model_validate(analysis_result(outcome).to_document())


async def run_task(desk: AnyDesk, name: str, body: TaskBody) -> TaskDocument:
    """Do any task there is a template for."""
    outcome = await desk.run(desk.template(name), body.inputs, tier=body.force_tier, language=body.language)
    return TaskDocument.model_validate(template_result(name, outcome).to_document())


async def list_tasks(desk: AnyDesk) -> TemplateListDocument:
    """Every task there is a template for: the shipped ones and the operator's own."""
    return TemplateListDocument(tasks=[_template(task) for _, task in sorted(desk.view.catalogue.items())])


async def list_models(desk: AnyDesk) -> ModelsDocument:
    """What can be asked by name, and what answers for each tier."""
    return ModelsDocument.model_validate(await desk.offer())


async def read_routing_stats(desk: AnyDesk) -> RoutingStatsDocument:
    """How requests were routed: counts, fallbacks and latencies."""
    stats = await desk.routing_stats()
    metrics = asdict(stats.metrics)
    return RoutingStatsDocument(
        **metrics,
        routing_stats=MetricsDocument(**metrics),
        models={name: ModelConfigDocument.model_validate(known) for name, known in stats.models.items()},
        scope=stats.scope,
        window_seconds=stats.window_seconds,
    )


def _template(task: TaskTemplate) -> TemplateDocument:
    return TemplateDocument(
        name=task.name,
        description=task.description,
        tier=task.tier,
        inputs={name: InputDocument.model_validate(rule) for name, rule in task.inputs.items()},
        output=OUTPUTS[type(task.output)],
        labels=list(task.output.labels) if isinstance(task.output, Labels) else [],
        confidence_threshold=task.confidence_threshold,
    )
