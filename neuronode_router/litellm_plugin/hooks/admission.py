"""Admission: LiteLLM's hooks on the request path. They read one snapshot, decide and stamp; no waiting.

An exception of ours never fails a request of a caller to whom nothing is denied: it goes where LiteLLM alone would have
sent it, and is counted. Whoever is denied something is refused then: nobody could say whether the way is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.access import Principal, may_override
from neuronode_router.auto.explain import explain
from neuronode_router.auto.router import AutoRouter, Caller
from neuronode_router.background import Failures
from neuronode_router.domain.bindings import subjects_of
from neuronode_router.domain.decisions import Decision
from neuronode_router.domain.names import PROFILE_NAME_PREFIX, TIERS, Tier, has_controls
from neuronode_router.domain.profiles import Profile
from neuronode_router.domain.rules import NothingFits
from neuronode_router.errors import DoesNotFit, InvalidRequest, NotReady, UnknownTier
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks import (
    affording,
    asked_task,
    calls,
    chosen_group,
    gate,
    keeping,
    moving,
    purse,
    request_metadata,
)
from neuronode_router.litellm_plugin.hooks.admission_host import AdmissionHost
from neuronode_router.litellm_plugin.hooks.affording import Way
from neuronode_router.litellm_plugin.hooks.asking import Asking
from neuronode_router.litellm_plugin.hooks.group_guardrails import Guarded
from neuronode_router.litellm_plugin.hooks.keeping import Keeper, Talk
from neuronode_router.litellm_plugin.hooks.mirroring import Mirrored
from neuronode_router.litellm_plugin.hooks.redirections import refuse_redirections
from neuronode_router.litellm_plugin.hooks.refusing import REFUSING, answer, mark, marked
from neuronode_router.litellm_plugin.hooks.response_state import deployment_with_state
from neuronode_router.litellm_plugin.hooks.tracing import Tracing
from neuronode_router.litellm_plugin.hooks.usage_reading import attempted_fallbacks
from neuronode_router.routing.conversations import Standing
from neuronode_router.routing.fallback_chain import Held
from neuronode_router.routing.sendable import unsendable
from neuronode_router.routing.snapshot import Snapshot

STARTUP_WAIT_SECONDS = 5.0
"""How long the very first requests of a worker may wait for its first snapshot."""

Refused = Callable[[dict[str, Any], Exception, UserAPIKeyAuth], None]
"""Hears of a request that was refused, which bears its mark, where LiteLLM tells its hooks nothing. Never raises."""


class Admission(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """The callback LiteLLM calls. LiteLLM looks for its hooks in this very class: do not move them to a base."""

    def __init__(
        self, host: AdmissionHost, auto: AutoRouter, current: CurrentSnapshot, keeper: Keeper
    ) -> None:
        super().__init__()
        self._keeper = keeper
        self._host = host
        self._current = current
        self._auto = auto
        self._opened = asyncio.Event()
        self._tracing = Tracing()
        self.failures = Failures()
        self.mirrored: Mirrored = lambda *_: {}
        self.refused: Refused = lambda *_: None

    def open(self) -> None:
        """End the start-up wait, whether there is a snapshot or none could be had."""
        self._opened.set()

    async def opened(self) -> None:
        """Wait until there is a snapshot, or none could be had; after `STARTUP_WAIT_SECONDS` nobody waits any more."""
        if self._current.snapshot is not None or self._opened.is_set():
            return
        try:
            await asyncio.wait_for(self._opened.wait(), STARTUP_WAIT_SECONDS)
        except TimeoutError:
            self._opened.set()

    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: object, data: dict[str, Any], call_type: str
    ) -> dict[str, Any] | None:
        """Choose the model group of a name of ours and stamp the Decision. Raises HTTPException only.

        The name stays in the request until LiteLLM's own hooks have looked at it (see `chosen_group`).
        """
        if calls.is_harmless(call_type) and gate.is_decided():
            return None
        chosen_group.forget()
        gate.let(gate.Undecided(partial(self.is_limited, user_api_key_dict)))
        moving.begin(None)
        await self.opened()
        routed = call_type in calls.ROUTED and "model" in data
        with self._refusing(user_api_key_dict, data, routed=routed):
            if (known := purse.held()) is not None and known.refusal is not None and not routed:
                raise known.refusal
            if routed:
                return await self._admit(user_api_key_dict, data, call_type)
            if calls.is_of_tools(call_type):  # guardrails may ask models about what it says
                gate.let(gate.Free(self.asking(user_api_key_dict, data).places))
            elif calls.is_harmless(call_type):
                gate.let(gate.FREE)
            else:
                kind, web = f"a call of the kind {call_type!r}", call_type in calls.OF_THE_WEB
                await self._judge(user_api_key_dict, data, kind=kind, web=web)
        return None

    @contextmanager
    def _refusing(self, user: UserAPIKeyAuth, data: dict[str, Any], *, routed: bool) -> Iterator[None]:
        """Turn what is refused on purpose into its answer, and an error of ours into one for who is limited only."""
        try:
            yield
        except REFUSING as refusal:
            with self.failures.harmless("the mark of a refusal"):
                revision = self._current.snapshot.revision if self._current.snapshot else 0
                mark(data, refusal, caller=self._host.principal(user).name, revision=revision, routed=routed)
            told = answer(refusal)
            raise told from told.__cause__
        except Exception as error:
            self.failures.record("admission", error)
            if routed:
                request_metadata.mark_fail_open(data)
            gate.let(gate.FREE)
            if self._must_fail(user, data):
                text = "Nobody can tell now what this key may use, and it is limited. Ask again later."
                raise HTTPException(status_code=503, detail={"error": text}) from error

    def asking(self, user: UserAPIKeyAuth, data: dict[str, Any]) -> Asking:
        """Return what a request means to a caller. Raises `NotReady`."""
        snapshot = self._current.snapshot
        if snapshot is None:
            raise NotReady("No control state could be read yet.")
        return Asking(self._host, snapshot, user, data)

    def is_limited(self, user: UserAPIKeyAuth) -> bool:
        """Return whether anything is denied to a caller, or nobody can tell. Never raises."""
        try:
            return self.asking(user, {}).is_unreadable
        except Exception as error:  # noqa: BLE001 - who cannot be known is not let through
            self.failures.record("admission", error)
            return self._must_fail(user, {})

    async def judge(
        self, user: UserAPIKeyAuth, body: Mapping[str, Any], *, counts: bool = False, web: bool = False
    ) -> None:
        """Judge a call that comes by no hook, by the names in its body. Raises HTTPException.

        Whoever is limited may only have tokens counted, and search the web for what may leave. The call goes where
        LiteLLM alone leads the name; where that is elsewhere than for this caller, it is refused.
        """
        # What LiteLLM and we write into requests is none of it yet: whoever sends it here forges it.
        data = {name: value for name, value in body.items() if name not in request_metadata.WRITTEN}
        try:
            with self._refusing(user, data, routed=False):
                await self._judge(user, body, kind="a call of this kind", counts=counts, web=web)
        except HTTPException as refusal:
            self.refused(data, refusal, user)
            raise

    async def _judge(
        self,
        user: UserAPIKeyAuth,
        body: Mapping[str, Any],
        *,
        kind: str,
        counts: bool = False,
        web: bool = False,
    ) -> None:
        asking = self.asking(user, dict(body))
        if web:
            asking.elsewhere()
        counted = counts and isinstance(body.get("model"), str)
        if asking.places if web else asking.is_unreadable and not counted:
            raise gate.unseen(kind)
        for name in calls.bounded_names(body):
            await self._judge_name(asking, name)
        gate.let(asking.passing())

    async def _judge_name(self, asking: Asking, name: str) -> None:
        decision = asking.decide(name)
        if decision.profile is None or decision.group == self._host.named(name):
            await asking.enter([Way(name, decision)])
            return
        asking.elsewhere(decision.profile)
        if asking.is_denied:
            raise gate.unseen(f"a call for {name!r} that this proxy's admission does not see")

    async def _admit(
        self, user: UserAPIKeyAuth, data: dict[str, Any], call_type: str
    ) -> dict[str, Any] | None:
        bucket = request_metadata.scrub(data)
        asking, requested = self.asking(user, data), data["model"]
        if not isinstance(requested, str):
            asking.elsewhere()
            if asking.is_denied:
                raise gate.unseen("a model that is no text")
            gate.let(gate.FREE)
            return None
        if has_controls(requested):
            raise InvalidRequest("The field model holds control characters.")
        if wrong := unsendable(
            {key: value for key, value in data.items() if key not in request_metadata.LITELLMS}
        ):
            raise InvalidRequest(f"The request holds {wrong}, which JSON has not.")
        limited = asking.is_denied
        refuse_redirections(data, call_type, limited=limited)
        names = calls.asked(requested, call_type)
        talk = self._talk(asking, call_type) if len(names) == 1 else None
        if asking.snapshot.state.canary is not None:
            session = request_metadata.session_id(data)
            asking.placement = self._keeper.place(
                talk, asking.snapshot, name=names[0], caller=asking.identity, session=session
            )
        ways = [self._way(name, asking, talk) for name in names]
        with marked(bucket, [(way.decision, way.mark) for way in ways]):
            for refusal in (way.refusal for way in ways if way.refusal is not None):
                raise DoesNotFit(refusal)
            await asking.enter(ways)
            ways = await affording.afford(self._host, user, ways)
            if asking.has_rule and call_type in calls.LATER:
                raise gate.unseen("a session whose content is sent later")
            await asking.settle_fallbacks(ways)
            await asking.settle_tools()
            if asking.is_denied > limited:  # by the profile that decides
                refuse_redirections(data, call_type, limited=True)
        gate.let(asking.passing())
        self._host.guard(data, _guarded(user, requested, ways))
        chosen_group.choose(user, requested, ",".join(way.decision.group for way in ways))
        known = self._keeper.sent(talk, ways[0].decision, asking.snapshot)
        shared = {request_metadata.CONVERSATION: known, request_metadata.CALLER: asking.principal.name}
        shared |= {**asking.personal_mark(), **self.mirrored(asking, ways, call_type)}
        marks = [{**_compared(way.mark or {}, asking), **shared} for way in ways]
        decisions = [way.decision for way in ways]
        request_metadata.stamp_all(bucket, list(zip(decisions, marks, strict=True)), tags=self._host.tags())
        self._tracing.describe(user.parent_otel_span, bucket[request_metadata.KEY])
        return data

    def _must_fail(self, user: UserAPIKeyAuth, data: Mapping[str, Any]) -> bool:
        """Return whether a request that nobody could decide is refused. Never raises."""
        try:
            principal = self._host.principal(user)
            bindings = self._current.snapshot.state.bindings if self._current.snapshot else {}
            return (
                principal.max_tier is not TIERS[-1]
                or principal.confines
                or gate.is_listed(user)
                or bool(self._current.snapshot and self._current.snapshot.confined)
                or purse.is_spent()
                or any(name in bindings for name in subjects_of(principal.identity, principal.team))
                or any(name.startswith(PROFILE_NAME_PREFIX) for name in calls.names(data))
            )
        except Exception as error:  # noqa: BLE001 - on the request path: who cannot be known is not let through
            self.failures.record("admission", error)
            return True

    def _talk(self, asking: Asking, call_type: str) -> Talk | None:
        return self._keeper.look(
            asking.data,
            call_type,
            caller=asking.identity,
            session=request_metadata.session_id(asking.data),
            continues=deployment_with_state(asking.data),
        )

    def _way(self, name: str, asking: Asking, talk: Talk | None) -> Way:
        decision = asking.decide(name)
        mark = {request_metadata.LEAST_BAD: True} if _least_bad(decision, asking.snapshot) else {}
        refusal = None
        if decision.auto:
            decision, routed, refusal = self._route(decision, asking, talk)
            mark |= routed
        elif kept := self._kept(talk, decision, asking):
            decision = keeping.staying(decision, kept)
        if decision.arm is not None:
            decision = keeping.in_its_arm(decision, bent=asking.is_bent(decision))
            mark |= {request_metadata.COMPARED: asking.placement is not None and asking.placement.compared}
        return Way(name, asked_task.named(decision), mark, refusal)

    def _route(
        self, decision: Decision, asking: Asking, talk: Talk | None
    ) -> tuple[Decision, dict[str, Any], str | None]:
        """Return the finished Decision of an `auto` request, what it carries along, and why it is refused if it is."""
        data = asking.data
        tier = request_metadata.wish(data, request_metadata.TIER_HEADER)
        if tier is not None:
            decision = replace(decision, tier=_tier(tier))
        kept = self._kept(talk, decision, asking)
        caller = Caller(
            identity=asking.identity,
            max_tier=asking.highest(decision),
            session=request_metadata.session_id(data),
            continues=talk.continues if talk else deployment_with_state(data),
            kept=None if kept is None else self._held(kept, decision, asking),
            warm=self._keeper.warm(talk, decision),
            places=asking.places_under(decision),
        )
        routed = self._auto.route(decision, data, snapshot=asking.snapshot, caller=caller)
        if routed.refusal is not None:
            return routed.decision, {}, routed.refusal
        explained = (
            explain(routed) if request_metadata.wish(data, request_metadata.EXPLAIN_HEADER) == "1" else None
        )
        # Of keys with a list nobody has asked LiteLLM whether the other group is on it.
        rival = None if asking.is_listed else self._auto.rival(routed, caller, asking.snapshot)
        mark = request_metadata.routed_mark(
            routed.decision,
            sessions=routed.sessions,
            explanation=explained,
            rival=rival,
            diverted=self._auto.diverted_from(routed, asking.snapshot),
        )
        return routed.decision, mark, None

    def _kept(self, talk: Talk | None, decision: Decision, asking: Asking) -> Standing | None:
        """Return where a switch has left the conversation, None where its data may not stay there any more, or where it
        is above the cap: it was a mapping's grant that led there, which is not in force any more.
        """
        kept = self._keeper.kept(talk, decision, asking.snapshot)
        if kept is None or not asking.stays(kept.group, asking.places_under(decision)):
            return None
        return None if _above(self._tier(kept.group, decision, asking), decision, asking) else kept

    def _profiles(self) -> Mapping[str, Profile]:
        return self._current.snapshot.profiles if self._current.snapshot else {}

    def _held(self, kept: Standing, decision: Decision, asking: Asking) -> Held | None:
        """Return where an `auto` conversation stays; None where its group's tier is unknown or above the cap."""
        tier = kept.tier or self._tier(kept.group, decision, asking)
        return None if tier is None or _above(tier, decision, asking) else Held(tier, kept.group)

    def _tier(self, group: str, decision: Decision, asking: Asking) -> Tier | None:
        assert decision.profile is not None
        return asking.snapshot.tier_of(group, profile=decision.profile, noted=self._host.noted_tier)

    def answer_headers(
        self,
        data: dict[str, Any],
        user: UserAPIKeyAuth,
        response: object,
        info: Mapping[str, object] | None = None,
    ) -> dict[str, str] | None:
        """Return our headers of an answer that begins, and note who gave it. Never raises."""
        with self.failures.harmless("response headers"):
            answered = (info or {}).get("model_id")
            location = self._host.place_of(answered) if isinstance(answered, str) else None
            group, embedded = self._host.served_by({"model_id": answered})
            seen, place = request_metadata.asked(data)
            if group is None and seen is not None:
                # Of plain /v1/messages LiteLLM does not say who answered, and of a call with the client's own key it
                # says an id of that call's own: then it is whom we saw asked last.
                answered, location = seen, place
                group, embedded = self._host.served_by({"model_id": answered})
            elif seen == answered:  # some calls are taken elsewhere than the deployment is
                location = place
            self._auto.answered(request_metadata.sessions(data), answered)
            self._keeper.answered(request_metadata.conversation(data), answered)
            return request_metadata.answer_headers(
                data,
                group=group,
                embedded=embedded,
                attempted=attempted_fallbacks(response),
                means=self._host.named,
                location=location,
            )
        return None

    async def async_filter_listed_models(
        self, user_api_key_dict: UserAPIKeyAuth, model_names: Sequence[str]
    ) -> Sequence[str]:
        """Leave out of LiteLLM's listings the profiles that this key may not choose. Never raises."""
        with self.failures.harmless("model listing"):
            principal = self._host.principal(user_api_key_dict)
            profiles = self._profiles()
            return [name for name in model_names if _listed(name, principal, profiles)]
        return [name for name in model_names if not name.startswith(PROFILE_NAME_PREFIX)]


def _guarded(user: UserAPIKeyAuth, requested: str, ways: Sequence[Way]) -> Guarded:
    ladders = [group for way in ways for group in way.decision.ladder]
    return Guarded(user, requested, [way.decision.group for way in ways], ladders)


def _compared(mark: Mapping[str, Any], asking: Asking) -> Mapping[str, Any]:
    """Return a mark by which the judge compares only where everything that the request may lead to has its data.

    What a fallback or a tool leads to is known when all of them are settled, and no sooner.
    """
    rival = mark.get(request_metadata.RIVAL)
    if rival is None:
        return mark
    if not asking.stays(rival, asking.places):
        return {**mark, request_metadata.RIVAL: None}
    return {**mark, request_metadata.PLACES: [sorted(each) for each in asking.places]}


def _least_bad(decision: Decision, snapshot: Snapshot) -> bool:
    profile = snapshot.profiles.get(decision.profile or "")
    return profile is not None and profile.nothing_fits is NothingFits.LEAST_BAD


def _above(tier: Tier | None, decision: Decision, asking: Asking) -> bool:
    return tier is not None and TIERS.index(tier) > TIERS.index(asking.highest(decision))


def _tier(name: str) -> Tier:
    if name not in TIERS:
        raise UnknownTier(f"The header {request_metadata.TIER_HEADER} names no tier.")
    return Tier(name)


def _listed(name: str, principal: Principal, profiles: Mapping[str, Profile]) -> bool:
    if not name.startswith(PROFILE_NAME_PREFIX):
        return True
    profile = profiles.get(name.removeprefix(PROFILE_NAME_PREFIX))
    return profile is not None and may_override(principal, profile)
