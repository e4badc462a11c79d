"""The group that admission chose for one request: LiteLLM's limiter still sees the name that was sent.

What operators key by the names that clients send (limits of keys and teams) bites only while the request carries that
name; the group takes its place once LiteLLM's own hooks have looked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.litellm_plugin.hooks.callbacks import resolved

LIMITER = "parallel_request_limiter"
"""LiteLLM's name for the hook that enforces limits of keys, teams and projects."""

RESOLVER = "_model_group_resolver"
"""Where that hook keeps the argument `model_group_resolver` of its constructor."""

_BY_MODEL = ("model_rpm_limit", "model_tpm_limit", "model_itpm_limit", "model_otpm_limit")
_METADATA = ("metadata", "team_metadata", "organization_metadata", "project_metadata")
_FIELDS = ("rpm_limit_per_model", "tpm_limit_per_model", "model_max_budget")

BY_GROUP = frozenset(
    {"litellm.proxy.hooks.dynamic_rate_limiter", "litellm.proxy.hooks.dynamic_rate_limiter_v3"}
)
"""Modules of LiteLLM's hooks that look limits up by the name in the request, and count by the group that answered."""

PreCall = Callable[..., Awaitable[Any]]
"""LiteLLM's hook before a call, asked by keywords."""

Resolve = Callable[[str], str | None]
"""From a name to the group that its limits are looked up and counted under beside its own."""


@dataclass(frozen=True, slots=True)
class ChosenGroup:
    """What one request asked for, and where it goes."""

    name: str
    group: str
    counted_as: str
    """The name or the group: LiteLLM keeps one count a request for limits by model."""


_chosen: ContextVar[ChosenGroup | None] = ContextVar("neuronode_chosen_group", default=None)


def forget() -> None:
    """Begin a request for which nothing was chosen yet."""
    _chosen.set(None)


def choose(user: UserAPIKeyAuth, name: str, group: str) -> None:
    """Note where a request goes. Its name is replaced later, by `Renaming`.

    A limit on the group is shared by all that leads there, so the group is counted wherever it has one. Else a limit on
    the name is counted by name: one on `auto` would otherwise hold for each tier anew, one on a task after each switch.
    """
    limited = set(_limited(user))
    by_name = name in limited and group not in limited
    _chosen.set(ChosenGroup(name, group, counted_as=name if by_name else group))


def _limited(user: UserAPIKeyAuth) -> Iterator[str]:
    for place in _METADATA:
        metadata = getattr(user, place, None)
        if isinstance(metadata, dict | Mapping):
            yield from (name for limit in _BY_MODEL for name in metadata.get(limit) or ())
    for field in _FIELDS:
        yield from getattr(user, field, None) or ()


class GroupResolver:
    """Tells LiteLLM's limiter the chosen group where it would look a name up in the alias map.

    The map knows the active profile only, neither bindings and overrides nor what was chosen for `auto`.
    """

    def __init__(self, theirs: Resolve) -> None:
        self._theirs = theirs

    def __call__(self, name: str) -> str | None:
        """Return the group that counts, LiteLLM's own answer for what is none of ours."""
        chosen = _chosen.get()
        if chosen is not None and name in (chosen.name, chosen.group):
            return chosen.counted_as
        return self._theirs(name)


def tell_limiter(hook_named: Callable[[str], Any]) -> None:
    """Let LiteLLM's limiter ask us, unless it does, or is not there (yet). `hook_named` finds LiteLLM's own hooks."""
    limiter = hook_named(LIMITER)
    theirs = getattr(limiter, RESOLVER, None)
    if theirs is not None and not isinstance(theirs, GroupResolver):
        setattr(limiter, RESOLVER, GroupResolver(theirs))


class ByGroup:
    """Shows the chosen group to a hook of LiteLLM's that books by group what it checks by the name it sees."""

    def __init__(self, theirs: PreCall) -> None:
        self._theirs = theirs

    async def __call__(self, *, data: dict[str, Any], **said: Any) -> Any:
        """Return what LiteLLM's hook returns, and raise what it raises. The request itself keeps its name."""
        chosen = _chosen.get()
        if chosen is not None and data.get("model") == chosen.name:
            data = {**data, "model": chosen.group}
        return await self._theirs(data=data, **said)


def tell_by_group() -> None:
    """Show the group to those of LiteLLM's hooks that need it, unless they are shown it."""
    for callback in map(resolved, litellm.callbacks):
        if type(callback).__module__ in BY_GROUP and not isinstance(callback.async_pre_call_hook, ByGroup):
            callback.async_pre_call_hook = ByGroup(callback.async_pre_call_hook)


class Renaming(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """Puts the chosen group in the place of the name, as the last of the hooks before a call."""

    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: object, data: dict[str, Any], call_type: str
    ) -> dict[str, Any] | None:
        """Rewrite the request's model. What another hook has changed meanwhile is left alone. Never raises."""
        chosen = _chosen.get()
        if chosen is None or data.get("model") != chosen.name:
            return None
        data["model"] = chosen.group
        return data
