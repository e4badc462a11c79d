"""The two callbacks that LiteLLM has of us: one that comes first of all, and one that comes last.

At some forty places of each request LiteLLM asks every callback whether it has something to do there. Ours are many
parts with a few hooks each: two callbacks stand for them, and hand on to the parts of each hook in their order. It must
not know what a part does; what a part raises goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import litellm
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.litellm_logging import get_custom_logger_compatible_class
from litellm.proxy._types import UserAPIKeyAuth

FILTER, PRE_CALL = "async_filter_deployments", "async_pre_call_hook"

Hook = Callable[..., Any]

_numbers = itertools.count(1)


class Handing(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """A callback that stands for several parts. Made by `standing_for`."""

    def __init__(self, parts: Sequence[CustomLogger]) -> None:
        super().__init__()
        self.number = next(_numbers)
        """LiteLLM takes callbacks of one class name for the same unless a number or a text tells them apart."""
        self.parts = tuple(parts)
        self.hooks: Mapping[str, Sequence[Hook]] = {
            name: [getattr(part, name) for part in parts if _has(part, name)] for name in HANDED
        }


def standing_for(parts: Sequence[CustomLogger], *, called: str) -> Handing:
    """Return a callback with the hooks that its parts have, and no others. LiteLLM shows what its class is `called`.

    LiteLLM looks for hooks in the very class of a callback; one that a newer release calls in another way must not be
    there where the part is off that needs it.
    """
    made: Handing = _class(called, tuple(name for name in HANDED if any(_has(part, name) for part in parts)))(
        parts
    )
    return made


@lru_cache
def _class(called: str, names: tuple[str, ...]) -> type[Handing]:
    """Return the same class for the same hooks: LiteLLM keeps what it knows of a class for ever."""
    return type(called, (Handing,), {name: HANDED[name] for name in names})


async def _pre_call(
    self: Handing, user_api_key_dict: UserAPIKeyAuth, cache: object, data: dict[str, Any], call_type: str
) -> dict[str, Any] | None:
    changed: dict[str, Any] | None = None
    for hook in self.hooks[PRE_CALL]:
        changed = await hook(user_api_key_dict, cache, changed or data, call_type) or changed
    return changed


async def _filter(
    self: Handing,
    model: str,
    healthy_deployments: list[Any],
    messages: list[Any] | None,
    request_kwargs: dict[str, Any] | None = None,
    parent_otel_span: object = None,
) -> list[Any]:
    for hook in self.hooks[FILTER]:
        healthy_deployments = await hook(
            model, healthy_deployments, messages, request_kwargs, parent_otel_span
        )
    return healthy_deployments


async def _listed(
    self: Handing, user_api_key_dict: UserAPIKeyAuth, model_names: Sequence[str]
) -> Sequence[str]:
    for hook in self.hooks["async_filter_listed_models"]:
        model_names = await hook(user_api_key_dict, model_names)
    return model_names


async def _asking(self: Handing, kwargs: dict[str, Any], call_type: object) -> dict[str, Any] | None:
    changed: dict[str, Any] | None = None
    for hook in self.hooks["async_pre_call_deployment_hook"]:
        changed = await hook(changed or kwargs, call_type) or changed
    return changed


async def _answered(self: Handing, request_data: dict[str, Any], response: object, call_type: object) -> None:
    for hook in self.hooks["async_post_call_success_deployment_hook"]:
        await hook(request_data, response, call_type)


async def _refused(
    self: Handing,
    request_data: Mapping[str, Any],
    exception: Exception,
    call_type: object,
    fallback_depth: int | None = None,
) -> None:
    for hook in self.hooks["async_post_call_failure_deployment_hook"]:
        await hook(request_data, exception, call_type, fallback_depth)


async def _headers(
    self: Handing,
    data: dict[str, Any],
    user_api_key_dict: UserAPIKeyAuth,
    response: object,
    request_headers: dict[str, str] | None = None,
    litellm_call_info: dict[str, object] | None = None,
) -> dict[str, str] | None:
    headers: dict[str, str] = {}
    for hook in self.hooks["async_post_call_response_headers_hook"]:
        headers |= await hook(data, user_api_key_dict, response, request_headers, litellm_call_info) or {}
    return headers or None


async def _failed(
    self: Handing,
    request_data: dict[str, Any],
    original_exception: Exception,
    user_api_key_dict: UserAPIKeyAuth,
    traceback_str: str | None = None,
) -> None:
    for hook in self.hooks["async_post_call_failure_hook"]:
        await hook(request_data, original_exception, user_api_key_dict, traceback_str)


async def _ended(
    self: Handing, kwargs: dict[str, Any], response_obj: object, start_time: object, end_time: object
) -> None:
    for hook in self.hooks["async_log_success_event"]:
        await hook(kwargs, response_obj, start_time, end_time)


async def _broke(
    self: Handing, kwargs: dict[str, Any], response_obj: object, start_time: object, end_time: object
) -> None:
    for hook in self.hooks["async_log_failure_event"]:
        await hook(kwargs, response_obj, start_time, end_time)


HANDED: Mapping[str, Hook] = {
    PRE_CALL: _pre_call,
    FILTER: _filter,
    "async_filter_listed_models": _listed,
    "async_pre_call_deployment_hook": _asking,
    "async_post_call_success_deployment_hook": _answered,
    "async_post_call_failure_deployment_hook": _refused,
    "async_post_call_response_headers_hook": _headers,
    "async_post_call_failure_hook": _failed,
    "async_log_success_event": _ended,
    "async_log_failure_event": _broke,
}
"""All hooks of LiteLLM's that any part has, and what hands each on."""


class Callbacks:
    """Both, in LiteLLM's list and in their places. The `last` parts have the last word."""

    def __init__(self, first: Sequence[CustomLogger], last: Sequence[CustomLogger]) -> None:
        self.both = (standing_for(first, called="NeuronodeFirst"), standing_for(last, called="NeuronodeLast"))

    def hold(self) -> None:
        """Put back what LiteLLM has dropped or moved. A second call does nothing."""
        for callback in self.both:
            if callback not in litellm.callbacks:
                litellm.callbacks.append(
                    callback
                )  # its manager would add none to a list that an operator has filled
        hold_order(*self.both)

    def release(self) -> None:
        """Take both out of all of LiteLLM's lists."""
        for callback in self.both:
            litellm.logging_callback_manager.remove_callback_from_all_lists(callback)


def hold_order(first: CustomLogger, last: CustomLogger) -> None:
    """Keep the first, where it chooses groups, before what acts on them, LiteLLM's own hooks and guardrails; and the
    last after everything that renames requests or leaves deployments out.
    """
    callbacks = litellm.callbacks
    before = map(resolved, callbacks[: callbacks.index(first)])
    if _acts(first, PRE_CALL) and any(map(acts_on_groups, before)):
        callbacks.remove(first)
        callbacks.insert(0, first)
    after = map(resolved, callbacks[callbacks.index(last) + 1 :])
    if any(_acts(one, PRE_CALL) or _acts(one, FILTER) for one in after):
        callbacks.remove(last)
        callbacks.append(last)


def acts_on_groups(callback: object) -> bool:
    """Return whether what a hook does before a call follows from the group: LiteLLM's own do, and guardrails."""
    litellms = type(callback).__module__.startswith("litellm.")
    return _acts(callback, PRE_CALL) and (litellms or isinstance(callback, CustomGuardrail))


def resolved(callback: Any) -> Any:
    """Return the hook itself, which operators may name by a word of LiteLLM's."""
    return get_custom_logger_compatible_class(callback) if isinstance(callback, str) else callback


def _acts(callback: object, name: str) -> bool:
    return isinstance(callback, CustomLogger) and _has(callback, name)


def _has(callback: CustomLogger, name: str) -> bool:
    return getattr(type(callback), name, None) is not getattr(CustomLogger, name, None)
