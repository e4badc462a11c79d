"""The task API: sentiment, classify, chat, analysis and every other template, and what is known of the tiers.

It must not know prompts, nor who answers: it makes an order of a request, has it run, and presents the outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from admin_api.host import ProxyTasks
from admin_api.http.endpoints import READ, Endpoint
from admin_api.http.guard import Call, Caller, bearer, started
from admin_api.tasks.schemas import (
    AnalysisBody,
    AnalysisDocument,
    AnswerDocument,
    ChatBody,
    ChatDocument,
    ClassifyBody,
    ClassifyDocument,
    ModelsDocument,
    RoutingStatsDocument,
    SentimentBody,
    SentimentDocument,
    TemplateBody,
    TemplateDocument,
    TemplateListDocument,
)
from neuronode_router.access import key_hash
from neuronode_router.background import cancel
from neuronode_router.domain.names import AUTO, Tier
from neuronode_router.errors import UnknownTemplate
from neuronode_router.rollouts.facts import AnswerOutcome
from neuronode_router.tasks.engine import TaskOrder, TaskOutcome, run
from neuronode_router.tasks.escalation import EscalationReason
from neuronode_router.tasks.inputs import Inputs
from neuronode_router.tasks.presenters import (
    analysis_result,
    chat_result,
    classify_result,
    sentiment_result,
    template_result,
)
from neuronode_router.tasks.template import FreeText, GivenLabels, JsonShape, Labels, Language, TaskTemplate

OUTPUTS = {Labels: "labels", GivenLabels: "labels_from", JsonShape: "json_schema", FreeText: "text"}

FORMS: Mapping[type, tuple[AnswerOutcome, AnswerOutcome]] = {
    Labels: (AnswerOutcome.LABEL, AnswerOutcome.NO_LABEL),
    GivenLabels: (AnswerOutcome.LABEL, AnswerOutcome.NO_LABEL),
    JsonShape: (AnswerOutcome.SCHEMA, AnswerOutcome.NO_SCHEMA),
}
"""How it is called that an answer should have had a form, and that it had not."""

LACKING = "The task API has not been started in this worker."


class TaskRunner:
    """Runs tasks for one caller."""

    def __init__(self, call: Call, request: Request) -> None:
        self._proxy = _tasks(call)
        self._call = call
        self._request = request

    async def run(
        self,
        name: str,
        inputs: Inputs,
        *,
        tier: Tier | None = None,
        ask: str | None = None,
        language: Language | None = None,
    ) -> TaskOutcome:
        """Run a template in the caller's name, as long as the caller is there to hear of it.

        `ask` is a name to send as `model` instead of the tier's. Raises `UnknownTemplate`.
        """
        template = self._proxy.catalogue.get(name)
        if template is None:
            raise UnknownTemplate(tuple(self._proxy.catalogue))
        order = TaskOrder(
            template,
            inputs,
            tier=tier,
            name=ask,
            highest=self._call.principal.max_tier,
            names=self._proxy.names,
            language=language,
        )
        async with self._proxy.completions(self._request, task=order.task.name) as complete:
            outcome = await self._while_listening(run(order, complete))
        if self._call.host.answers is not None:
            self._call.host.answers.heard(outcome.first.call_id, *_turned_out(template, outcome))
        if self._call.host.feedback is not None:
            by, key = self._call.principal, key_hash(bearer(self._request))
            self._call.host.feedback.turned_out(outcome, by=by, key_hash=key)
        return outcome

    async def _while_listening(self, work: Coroutine[Any, Any, TaskOutcome]) -> TaskOutcome:
        """Return what `work` returns, and cancel it when the client hangs up: nobody would read the answer.

        The request that it waits for goes on, as one of a client that hangs up on the proxy does; no other follows.
        """
        working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(self._call.gone())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise ClientDisconnect
            return working.result()
        finally:
            await cancel(working, leaving)


def _turned_out(template: TaskTemplate, outcome: TaskOutcome) -> Iterator[AnswerOutcome]:
    """Yield what the first answer to a task says of whoever gave it."""
    yield AnswerOutcome.RUN
    if outcome.escalated:
        yield AnswerOutcome.ESCALATED
    form = FORMS.get(type(template.output))
    if form is not None and EscalationReason.CUT not in outcome.reasons:
        wanted, missed = form
        yield wanted
        if EscalationReason.INVALID in outcome.reasons:
            yield missed


async def _runner(call: Caller, request: Request) -> TaskRunner:
    return TaskRunner(call, request)


AnyRunner = Annotated[TaskRunner, Depends(_runner)]


async def analyse_sentiment(runner: AnyRunner, body: SentimentBody) -> SentimentDocument:
    """Say whether a text is BULLISH, BEARISH or NEUTRAL."""
    outcome = await runner.run("sentiment", {"text": body.text}, language=body.language)
    return SentimentDocument(sentiment_result(outcome))


async def classify_text(runner: AnyRunner, body: ClassifyBody) -> ClassifyDocument:
    """Put a text into one of the categories sent with it."""
    inputs = {"text": body.text, "categories": body.categories}
    return ClassifyDocument(classify_result(await runner.run("classify", inputs, language=body.language)))


async def chat(runner: AnyRunner, body: ChatBody) -> ChatDocument:
    """Answer a message, from the tier it needs or the one that was forced."""
    tier, ask = body.force_tier, body.force_model
    if tier is None and ask is None:
        tier, ask = (None, AUTO) if body.auto_route else (Tier.COMPLEX, None)
    inputs = {"message": body.message}
    return ChatDocument(
        chat_result(await runner.run("chat", inputs, tier=tier, ask=ask, language=body.language))
    )


async def analyse_market(runner: AnyRunner, body: AnalysisBody) -> AnalysisDocument:
    """Weigh market data and retrieved passages into a typed recommendation."""
    inputs = {"market_data": body.market_data, "rag_context": body.rag_context}
    return AnalysisDocument(analysis_result(await runner.run("analysis", inputs, language=body.language)))


async def run_template(runner: AnyRunner, name: str, body: TemplateBody) -> AnswerDocument:
    """Run any template there is."""
    outcome = await runner.run(name, body.inputs, tier=body.force_tier, language=body.language)
    return AnswerDocument(template_result(name, outcome))


async def list_templates(call: Caller) -> TemplateListDocument:
    """Every template there is: the shipped ones and the operator's own."""
    templates = sorted(_tasks(call).catalogue.items())
    return TemplateListDocument(templates=[_document(template) for _, template in templates])


async def list_models(call: Caller, request: Request) -> ModelsDocument:
    """What can be asked by name, and what answers for each tier."""
    return ModelsDocument(await _tasks(call).offer(request))


async def read_routing_stats(call: Caller) -> RoutingStatsDocument:
    """How requests were routed: counts, fallbacks and latencies."""
    stats = await _tasks(call).routing_stats(team=call.own_team())
    return RoutingStatsDocument.of(stats, routing_stats=stats.metrics, **asdict(stats.metrics))


def _tasks(call: Call) -> ProxyTasks:
    return started(call.host.tasks, LACKING)


def _document(template: TaskTemplate) -> TemplateDocument:
    output = template.output
    return TemplateDocument.of(
        template, output=OUTPUTS[type(output)], labels=output.labels if isinstance(output, Labels) else ()
    )


ASKING = (*READ, 400, 429, 502, 504)

ENDPOINTS = (
    Endpoint("POST", "/sentiment", analyse_sentiment, ASKING),
    Endpoint("POST", "/classify", classify_text, ASKING),
    Endpoint("POST", "/chat", chat, ASKING),
    Endpoint("POST", "/analysis", analyse_market, ASKING),
    Endpoint("POST", "/templates/{name}", run_template, (*ASKING, 404)),
    Endpoint("GET", "/templates", list_templates),
    Endpoint("GET", "/models", list_models, (*READ, 429, 502, 504)),
    Endpoint("GET", "/routing-stats", read_routing_stats),
)
