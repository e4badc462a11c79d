"""LiteLLM's hook that tells of an answer, read for its form alone: what the outcome of an `auto` request is taken from.

An exception of ours never fails a request. Nothing of an answer is kept but whether its form was right; one that is
sampled for the judge is held until it was compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.auto.diverted import DivertedOf
from neuronode_router.auto.history_writer import DecisionRecorder
from neuronode_router.auto.judge import AnswerJudge
from neuronode_router.auto.outcomes import Outcomes
from neuronode_router.background import Failures
from neuronode_router.classifier.history import FeedbackOutcome
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import Tier
from neuronode_router.litellm_plugin.hooks.compared import (
    HeldRequests,
    Whose,
    comparison_of,
    limits_of,
    whole_answer,
)
from neuronode_router.litellm_plugin.hooks.request_metadata import (
    BUCKETS,
    DIVERTED,
    PLACES,
    RIVAL,
    asked,
    stamped,
)
from neuronode_router.litellm_plugin.hooks.usage_reading import read_usage
from neuronode_router.routing.residency import required
from neuronode_router.routing.sufficiency import RequestKind
from neuronode_router.tasks.answer_form import has_form, is_unanswered
from neuronode_router.usage.prices import Price

GroupOf = Callable[[Mapping[str, Any]], tuple[str | None, bool]]
"""From `{"model_id": ...}` to (group, embedded)."""


PriceOf = Callable[[str], Price | None]
"""From a group to its listed price, None where it has none."""


class OutcomeHooks(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """The callback LiteLLM calls. LiteLLM looks for its hooks in this very class."""

    def __init__(
        self,
        recorder: DecisionRecorder,
        *,
        group_of: GroupOf,
        judge: AnswerJudge | None = None,
        outcomes: Outcomes | None = None,
        price_of: PriceOf = lambda _: None,
    ) -> None:
        super().__init__()
        self._recorder = recorder
        self._group_of = group_of
        self._judge = judge
        self._outcomes = outcomes
        self._price_of = price_of
        self._held = HeldRequests()
        self.failures = Failures()

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        """Hold what a sampled request asks, as it is sent after everything that may change it. Never raises."""
        if self._judge is not None:
            with self.failures.harmless("holding a request for the judge"):
                mark = stamped(kwargs)
                whose = _whose(kwargs, kwargs)
                if mark and mark.get(RIVAL) is not None and whose is not None:
                    self._held.hold(whose, kwargs, call_type)

    async def async_log_failure_event(
        self, kwargs: Mapping[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Hold the request no longer. Never raises."""
        with self.failures.harmless("holding a request for the judge"):
            self._held.take(_whose(kwargs, kwargs.get("litellm_params") or {}))

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Note whether the answer to a classified request had the form that was demanded, or have it compared. Never
        raises.
        """
        with self.failures.harmless("the outcome of an answer"):
            request = kwargs.get("litellm_params") or {}
            whose = _whose(kwargs, request)
            held = self._held.take(whose)
            mark = stamped(request)
            if not mark or "tiers" not in mark or kwargs.get("cache_hit"):
                return
            if whose is None or not self._as_chosen(mark, request):
                return
            call_id, caller = whose
            self._recorder.answered(call_id, caller=caller)
            self._count_diverted(mark, kwargs, request)
            choice = _choice(response_obj)
            told = None if choice is None else _told(kwargs, choice)
            rival = mark.get(RIVAL)
            if told in (None, FeedbackOutcome.SUFFICED) and self._judge is not None and rival is not None:
                compared = comparison_of(
                    kwargs,
                    held=held,
                    answer=whole_answer(response_obj),
                    rival=rival,
                    whose=whose,
                    places=required(*mark.get(PLACES, ())),
                )
                if compared is not None:  # its verdict says more than a right form
                    self._judge.offer(compared)
                    return
            if told is not None:
                self._recorder.outcome(call_id, told, callers=(caller,))

    def _as_chosen(self, mark: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
        """Return whether the group that was chosen has answered: of another one nothing is learned here."""
        served, _ = self._group_of({"model_id": asked(request)[0]})
        return bool(served == mark["group"])

    def _count_diverted(
        self, mark: Mapping[str, Any], kwargs: Mapping[str, Any], request: Mapping[str, Any]
    ) -> None:
        """Count a request that its text alone would have sent elsewhere, and what that saved at listed prices."""
        diverted = mark.get(DIVERTED)
        if self._outcomes is None or not diverted:
            return
        usage = read_usage(kwargs.get("standard_logging_object"), request)
        price, saved = self._price_of(diverted["group"]), None
        if price is not None and usage.cost is not None:
            saved = price.cost(usage.prompt_tokens, usage.completion_tokens) - usage.cost
        kind = RequestKind(mark["profile"], diverted["label"])
        of = DivertedOf(kind, Step(mark["steps"][0]), Tier(diverted["tier"]), Tier(mark["tier"]))
        self._outcomes.diverted(of, saved_usd=saved)


def _choice(response: object) -> object | None:
    choices = getattr(response, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    return None if getattr(choice, "message", None) is None else choice


def _told(kwargs: Mapping[str, Any], choice: Any) -> FeedbackOutcome | None:
    """Return what an answer tells by itself; None where nothing was demanded that can be checked."""
    calls = getattr(choice.message, "tool_calls", None) or ()
    parameters = kwargs.get("optional_params") or {}
    wanted = parameters.get("response_format")
    content, finish_reason = getattr(choice.message, "content", None), getattr(choice, "finish_reason", None)
    if is_unanswered(finish_reason, limited=bool(limits_of(parameters))):
        return FeedbackOutcome.UNANSWERED
    right = has_form(
        content=content if isinstance(content, str) else None,
        arguments=[str(call.function.arguments) for call in calls],
        finish_reason=finish_reason,
        response_format=wanted if isinstance(wanted, Mapping) else None,
    )
    if right is None:
        return None
    return FeedbackOutcome.SUFFICED if right else FeedbackOutcome.LABEL_FAILURE


def _whose(kwargs: Mapping[str, Any], request: Mapping[str, Any]) -> Whose | None:
    """Return LiteLLM's call id and the caller's hash, None where one is missing."""
    call_id = kwargs.get("litellm_call_id")
    buckets = (request.get(name) for name in BUCKETS)
    hashes = (bucket.get("user_api_key_hash") for bucket in buckets if isinstance(bucket, Mapping))
    caller = next((found for found in hashes if isinstance(found, str)), "")
    return (call_id, caller) if isinstance(call_id, str) and caller else None
