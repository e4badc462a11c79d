"""Before each attempt: takes out of a conversation's history what its deployment's provider could not accept.

It runs for the first attempt, for retries and for fallbacks alike, and changes the attempt's own copy of the request.
Requests under names that are none of ours pass as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.background import Failures
from neuronode_router.litellm_plugin.hooks.answers import turns_of
from neuronode_router.litellm_plugin.hooks.gate import is_inner
from neuronode_router.litellm_plugin.hooks.request_metadata import conversation, note_moved
from neuronode_router.routing.conversations import Made, Sent, is_foreign
from neuronode_router.routing.history import Acceptable, acceptable, rejected, unfit_thinking

CHAT = "acompletion"
"""The kind of call whose parameters LiteLLM refuses; of others it translates them."""

DEMANDING = ("claude", "anthropic", "arn:aws")
"""In names of models that want a tool loop to have begun with a thought. Bedrock's inference profiles name no model:
those that think there are Claude.
"""


@dataclass(slots=True, eq=False)
class Journey:
    """One request of a conversation that has begun, through all its attempts."""

    made: tuple[Made, ...]
    trusting: bool
    """Whether what nobody knows of the history is taken for the own of whoever is asked."""
    continues: str | None = None
    """The deployment that keeps what was said before."""
    call_type: object = None
    """What the client called: LiteLLM translates some calls into others, by a call within the call."""
    again: bool = False
    """Whether a conversation's request is asked once more, on nobody's key."""

    def left(self, group: str) -> bool:
        """Return whether the conversation comes from another group."""
        return any(one.group != group for one in self.made) or not (self.made or self.trusting)


_journey: ContextVar[Journey | None] = ContextVar("neuronode_journey", default=None)


def begin(journey: Journey | None) -> None:
    """Say what is known of this request's conversation, None where there is nothing to take out."""
    _journey.set(journey)


def known() -> Journey | None:
    """Return what was said of this request's conversation."""
    return _journey.get()


@dataclass(frozen=True, slots=True)
class Target:
    """What is known of the deployment that is asked now."""

    maker: str
    group: str
    accepts: frozenset[str] | None
    """OpenAI's names of the parameters that it takes; None where nobody said."""


@dataclass(frozen=True, slots=True)
class MoveHost:
    """What is asked of the host about deployments, and told of answers."""

    target: Callable[[str], Target | None]
    ended: Callable[[Sent, object, Iterable[Mapping[str, Any]]], None] = lambda *_: None
    """Hears by what a request is known, which deployment has ended its answer, and the answer's turns."""


class MovedHistory(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """LiteLLM's callback for each attempt. LiteLLM looks for hooks in this very class."""

    def __init__(self, host: MoveHost, *, failures: Failures) -> None:
        super().__init__()
        self._host = host
        self._harmless = failures.harmless("moving a conversation")

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: object
    ) -> dict[str, Any] | None:
        """Return the request as the deployment's provider can accept it, None where it can already. Never raises."""
        journey = _journey.get()
        if journey is None or (is_inner(kwargs) and not journey.again):
            return None
        with self._harmless:
            kind = getattr(call_type, "value", call_type)
            journey.call_type = journey.call_type or kind
            deployment_id = (kwargs.get("model_info") or {}).get("id")
            target = self._host.target(deployment_id) if isinstance(deployment_id, str) else None
            if target is not None and kind == journey.call_type:
                return self._moved(kwargs, journey, target)
        return None

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Note who has ended an answer, and by what it is known again, of streams too. Never raises."""
        with self._harmless:
            sent = conversation(kwargs.get("litellm_params") or {})
            if sent is not None:
                payload = kwargs.get("standard_logging_object") or {}
                self._host.ended(sent, payload.get("model_id"), turns_of(response_obj))

    def _moved(self, kwargs: dict[str, Any], journey: Journey, target: Target) -> dict[str, Any] | None:
        def foreign(place: int) -> bool:
            return is_foreign(journey.made, place, target.maker, trusting=journey.trusting)

        found = acceptable(kwargs, foreign, keeps_state=self._keeps_state(kwargs, journey, target))
        names, left_out, changed = set(found.names), set(found.left_out), dict(found.changed)
        if journey.left(target.group):
            for more in _parameters(kwargs, changed.get("messages", kwargs.get("messages")), journey, target):
                names |= more.names
                left_out |= more.left_out
                changed |= more.changed
        note_moved(kwargs, names)
        if not names:
            return None
        return {key: value for key, value in (kwargs | changed).items() if key not in left_out - set(changed)}

    def _keeps_state(self, kwargs: Mapping[str, Any], journey: Journey, target: Target) -> bool:
        if journey.continues is None:
            return True
        before = self._host.target(journey.continues)
        return (before is not None and before.maker == target.maker) or not _has_responses(kwargs)


def _parameters(
    kwargs: Mapping[str, Any], messages: object, journey: Journey, target: Target
) -> list[Acceptable]:
    """Return which parameters must go."""
    found = []
    if journey.call_type == CHAT and target.accepts is not None:
        found.append(rejected(kwargs, target.accepts))
    if _is_demanding(kwargs):
        names = unfit_thinking(kwargs, messages)
        found.append(Acceptable(left_out=names, names=names))
    return found


def _is_demanding(kwargs: Mapping[str, Any]) -> bool:
    names = (
        kwargs.get("model"),
        kwargs.get("base_model"),
        (kwargs.get("model_info") or {}).get("base_model"),
    )
    return any(word in name for name in names if isinstance(name, str) for word in DEMANDING)


def _has_responses(kwargs: Mapping[str, Any]) -> bool:
    """Return whether LiteLLM hands `previous_response_id` on; to others it sends the history that it kept itself."""
    provider = kwargs.get("custom_llm_provider")
    model = str(kwargs.get("model"))
    if not isinstance(provider, str):
        model, provider, _, _ = litellm.get_llm_provider(model)
    find = litellm.utils.ProviderConfigManager.get_provider_responses_api_config
    known = provider in {one.value for one in litellm.LlmProviders}  # an operator's own handler is none
    return known and find(provider=litellm.LlmProviders(provider), model=model) is not None
