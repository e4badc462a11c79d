"""Admission: LiteLLM's hooks on the request path. They read one snapshot, decide and stamp; no waiting.

An exception of ours never fails a request: it goes where LiteLLM alone would have sent it, and is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fastapi import HTTPException
from litellm.caching.caching import DualCache
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.access import Principal, may_override
from neuronode_router.auto.explain import explain
from neuronode_router.auto.router import AutoRouter, Caller
from neuronode_router.background import Failures
from neuronode_router.domain import PROFILE_NAME_PREFIX, TIERS, Beyond, Decision, NothingFits, Profile, Tier
from neuronode_router.errors import (
    DoesNotFit,
    NeuronodeError,
    NotAllowed,
    NotReady,
    UnknownProfile,
    UnknownTier,
)
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks import chosen_group, operators_fallbacks, request_metadata, tracing
from neuronode_router.litellm_plugin.hooks.operators_fallbacks import Configured
from neuronode_router.litellm_plugin.hooks.usage_reading import attempted_fallbacks
from neuronode_router.routing.admit import admit
from neuronode_router.routing.binding import bound_profile
from neuronode_router.routing.snapshot import Snapshot

STARTUP_WAIT_SECONDS = 5.0
"""How long the very first requests of a worker may wait for its first snapshot."""

ROUTED_CALLS = frozenset(
    {
        *("completion", "acompletion", "text_completion", "atext_completion", "embedding", "aembedding"),
        *("responses", "aresponses", "anthropic_messages", "aanthropic_messages"),
        *("generate_content", "agenerate_content", "generate_content_stream", "agenerate_content_stream"),
    }
)
"""The calls that go through LiteLLM's router. Others (pass-through bodies, files, tools) are not touched at
all.
"""

REFUSALS: Mapping[type[NeuronodeError], int] = {
    NotAllowed: 403,
    UnknownProfile: 404,
    UnknownTier: 400,
    DoesNotFit: 400,
}
"""What admission refuses on purpose, and the status the client gets."""


@dataclass(frozen=True, slots=True)
class AdmissionHost:
    """What admission asks of the host, as plain callables."""

    principal: Callable[[UserAPIKeyAuth], Principal]
    served_by: Callable[[Mapping[str, Any]], tuple[str | None, bool]]
    """From headers-hook facts to (model group that answered, whether the embedded model did)."""
    tags: Callable[[], bool]
    """Whether requests may carry our tags."""
    spent: Callable[[UserAPIKeyAuth, str, Beyond], float | None]
    """From a caller, a bound subject and its rule to the share of the budget that is spent, None where unknown."""
    may_use: Callable[[UserAPIKeyAuth, str, str], Awaitable[bool]]
    """From a caller, the name it sent and a group to whether it may use the one or the other."""
    fallbacks: Callable[[], Configured]
    """The fallbacks that the operator has configured in LiteLLM."""


class Admission(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """The callback LiteLLM calls. LiteLLM looks for its hooks in this very class: do not move them to a
    base.
    """

    def __init__(self, host: AdmissionHost, auto: AutoRouter, current: CurrentSnapshot) -> None:
        super().__init__()
        self._host = host
        self._current = current
        self._auto = auto
        self._opened = asyncio.Event()
        self.failures = Failures()

    def open(self) -> None:
        """End the start-up wait, whether there is a snapshot or none could be had."""
        self._opened.set()

    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: DualCache, data: dict[str, Any], call_type: str
    ) -> dict[str, Any] | None:
        """Choose the model group of a name of ours and stamp the Decision. Raises HTTPException of `REFUSALS` only.

        The name stays in the request until LiteLLM's own hooks have looked at it (see `chosen_group`).
        """
        chosen_group.forget()
        if call_type not in ROUTED_CALLS:
            return None
        if self._current.snapshot is None and not self._opened.is_set():
            await self._startup()
        try:
            return await self._admit(user_api_key_dict, data)
        except tuple(REFUSALS) as refusal:
            raise HTTPException(
                status_code=REFUSALS[type(refusal)], detail={"error": f"{refusal.message} {refusal.fix}"}
            ) from refusal
        except Exception as error:
            self.failures.record("admission", error)
            request_metadata.mark_fail_open(data)
            if str(data.get("model")).startswith(PROFILE_NAME_PREFIX):
                # LiteLLM would serve this alias without asking who may choose a profile.
                raise HTTPException(
                    status_code=503, detail={"error": "Profiles cannot be chosen now."}
                ) from error
            return None

    async def _admit(self, user: UserAPIKeyAuth, data: dict[str, Any]) -> dict[str, Any] | None:
        bucket = request_metadata.scrub(data)
        snapshot, requested = self._current.snapshot, data.get("model")
        if not isinstance(requested, str):
            return None
        if snapshot is None:
            raise NotReady("No control state could be read yet.")

        def may(profile: Profile) -> bool:
            return may_override(self._host.principal(user), profile)

        def bound() -> str | None:
            caller = self._host.principal(user)
            spent = partial(self._host.spent, user)
            return bound_profile(snapshot.state.bindings, key=caller.identity, team=caller.team, spent=spent)

        if "fallbacks" in data:
            data["fallbacks"] = _without_profiles(data["fallbacks"])
        wanted = request_metadata.wish(data, request_metadata.PROFILE_HEADER)
        decision = admit(snapshot, requested, wanted_profile=wanted, may_override=may, bound=bound)
        mark = None
        if decision.auto:
            decision, mark = self._route(decision, user, data, snapshot)
        if not await self._host.may_use(user, requested, decision.group):
            raise _kept_out(decision)
        operators_fallbacks.carry(data, self._host.fallbacks(), name=requested, group=decision.group)
        chosen_group.choose(user, requested, decision.group)
        request_metadata.stamp(
            bucket, decision, tags=self._host.tags(), least_bad=_least_bad(decision, snapshot), routed=mark
        )
        tracing.describe(user.parent_otel_span, bucket[request_metadata.KEY])
        return data

    def _route(
        self, decision: Decision, user: UserAPIKeyAuth, data: dict[str, Any], snapshot: Snapshot
    ) -> tuple[Decision, dict[str, Any]]:
        """Return the finished Decision of an `auto` request and what it carries along; its ladder goes to LiteLLM."""
        tier = request_metadata.wish(data, request_metadata.TIER_HEADER)
        if tier is not None:
            decision = replace(decision, tier=_tier(tier))
        principal = self._host.principal(user)
        caller = Caller(
            identity=user.token or principal.name,
            max_tier=principal.max_tier,
            session=request_metadata.session_id(data),
        )
        routed = self._auto.route(decision, data, snapshot=snapshot, caller=caller)
        if routed.refusal is not None:
            raise DoesNotFit(routed.refusal)
        explained = (
            explain(routed) if request_metadata.wish(data, request_metadata.EXPLAIN_HEADER) == "1" else None
        )
        decision = routed.decision
        # Also an empty ladder: the group's configured fallbacks know no caps. The client's own were checked by LiteLLM.
        after = data["fallbacks"] if "fallbacks" in data else self._configured(decision, snapshot, caller)
        data["fallbacks"] = [*decision.ladder, *after]
        return decision, request_metadata.routed_mark(
            decision, sessions=routed.sessions, explanation=explained
        )

    def _configured(self, decision: Decision, snapshot: Snapshot, caller: Caller) -> Sequence[Any]:
        if decision.profile is None:
            return ()
        return operators_fallbacks.after_ladder(
            self._host.fallbacks(),
            name=decision.original_model,
            profile=snapshot.state.profiles.profiles[decision.profile],
            max_tier=caller.max_tier,
        )

    async def _startup(self) -> None:
        try:
            await asyncio.wait_for(self._opened.wait(), STARTUP_WAIT_SECONDS)
        except TimeoutError:
            self._opened.set()

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: UserAPIKeyAuth,
        response: object,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, object] | None = None,
    ) -> dict[str, str] | None:
        """Return our response headers: for plain and streamed answers, and for errors. Never raises."""
        with self.failures.harmless("response headers"):
            info = dict(litellm_call_info or {})
            # Of plain /v1/messages LiteLLM does not say who answered: then it is whom we saw asked last.
            info["model_id"] = info.get("model_id") or request_metadata.asked(data)
            group, embedded = self._host.served_by(info)
            self._auto.answered(request_metadata.sessions(data), info.get("model_id"))
            return request_metadata.answer_headers(
                data, group=group, embedded=embedded, attempted=attempted_fallbacks(response)
            )
        return None

    async def async_filter_listed_models(
        self, user_api_key_dict: UserAPIKeyAuth, model_names: Sequence[str]
    ) -> Sequence[str]:
        """Leave out of LiteLLM's listings the profiles that this key may not choose. Never raises."""
        with self.failures.harmless("model listing"):
            principal = self._host.principal(user_api_key_dict)
            profiles = self._current.snapshot.state.profiles.profiles if self._current.snapshot else {}
            return [name for name in model_names if _listed(name, principal, profiles)]
        return [name for name in model_names if not name.startswith(PROFILE_NAME_PREFIX)]


def _without_profiles(fallbacks: object) -> list[object]:
    """Leave out names that choose a profile: LiteLLM would follow the alias without asking who may."""
    theirs = fallbacks if isinstance(fallbacks, list) else []
    return [name for name in theirs if not str(name).startswith(PROFILE_NAME_PREFIX)]


def _least_bad(decision: Decision, snapshot: Snapshot) -> bool:
    profile = snapshot.state.profiles.profiles.get(decision.profile or "")
    return profile is not None and profile.nothing_fits is NothingFits.LEAST_BAD


def _kept_out(decision: Decision) -> NotAllowed:
    return NotAllowed(
        f"This key may not use the model group {decision.group!r}, which {decision.original_model!r} leads to under "
        f"the profile {decision.profile!r}.",
        fix="Have the name or the group added to the models of the key and of its team.",
    )


def _tier(name: str) -> Tier:
    if name not in TIERS:
        raise UnknownTier(f"The header {request_metadata.TIER_HEADER} names no tier.")
    return Tier(name)


def _listed(name: str, principal: Principal, profiles: Mapping[str, Profile]) -> bool:
    if not name.startswith(PROFILE_NAME_PREFIX):
        return True
    profile = profiles.get(name.removeprefix(PROFILE_NAME_PREFIX))
    return profile is not None and may_override(principal, profile)
