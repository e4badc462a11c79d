"""Asks another profile's groups what clients asked, through LiteLLM's router in this process, in the client's format.

On no caller's key, not measured, without retries and fallbacks; through the gate, with what the caller may reach. Spend
logs carry the tag `neuronode-mirror`, our usage the reason `mirror`. No text is kept.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from neuronode_router.auto.comparison import (
    VERDICT_FORM,
    VERDICT_TOKENS,
    Comparison,
    question,
    verdict,
)
from neuronode_router.auto.judge import AskedGroups, GroupFailed, GroupQuestion
from neuronode_router.domain.decisions import Decision, Reason
from neuronode_router.domain.rules import PersonalDataRule
from neuronode_router.errors import HoldsPersonalData, NotAllowed
from neuronode_router.litellm_plugin.hooks import gate, moving
from neuronode_router.litellm_plugin.hooks.answers import full_answer
from neuronode_router.litellm_plugin.hooks.attempts import unmeasured
from neuronode_router.litellm_plugin.hooks.compared import as_messages
from neuronode_router.litellm_plugin.hooks.mirroring import ChosenRequest, MirrorHooks
from neuronode_router.litellm_plugin.hooks.request_metadata import ANSWERS, ASKED, KEY
from neuronode_router.litellm_plugin.hooks.usage_reading import outcome_of
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.router.probing import ITSELF, account
from neuronode_router.routing.conversation import read_needs
from neuronode_router.routing.counterpart import counterpart
from neuronode_router.routing.fit import Misfit, why_not
from neuronode_router.routing.inventory import TEXT, Inventory
from neuronode_router.routing.repeatable import MAX_BYTES, Repeated, Repetition, repetition, wanted_form
from neuronode_router.shadows.mirror import FullAnswer, JudgedAnswer, MirrorFailed, Original, Ready
from neuronode_router.shadows.pairs import Skip
from neuronode_router.usage.finished import RequestOutcome

NAME = "neuronode-mirror"
"""Alias and tag under which LiteLLM's spend logs show what is asked once more."""
SECONDS = 120.0
"""How long an answer may take."""
TOLD_SECONDS = 10.0
"""How long LiteLLM may take to tell of an answer that has ended."""
ANSWER_TOKENS = 4096
"""How long an answer may be of which the client says nothing: without a limit no budget could bound it."""
FRAME_TOKENS = 512
"""What a provider may add to a request beyond what is sent."""

_CALLS: Mapping[Repeated, tuple[str, str]] = {
    Repeated.CHAT: ("acompletion", "metadata"),
    Repeated.MESSAGES: ("aanthropic_messages", "litellm_metadata"),
    Repeated.RESPONSES: ("aresponses", "litellm_metadata"),
}
"""The router's method, and where it takes metadata."""

_OF_MISFIT = {Misfit.CONTEXT_WINDOW: Skip.WINDOW, Misfit.RESIDENCY: Skip.RESIDENCY}


@dataclass(frozen=True, slots=True)
class _Again:
    """A request on its way to another profile's group."""

    chosen: ChosenRequest
    group: str
    how: Repetition
    limit: int
    state: gate.Passing | gate.Free


class MirroredGroups:
    """The groups of the live router. `judges` asks the judge, `chance` says which answer it reads first."""

    def __init__(
        self,
        bridge: RouterBridge,
        *,
        hooks: Callable[[], MirrorHooks],
        inventory: Callable[[], Inventory],
        judges: AskedGroups,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._bridge = bridge
        self._hooks = hooks
        self._inventory = inventory
        self._judges = judges
        self._chance = chance

    async def ready(self, original: Original) -> Ready | Skip:
        """Return how to ask the other profile's group, or why it is not asked."""
        chosen: ChosenRequest = original.request
        decision = self._counterpart(chosen)
        how = None if isinstance(decision, Skip) else _repetition(chosen)
        if isinstance(decision, Skip):
            return decision
        if how is None:
            return Skip.UNREPEATABLE
        if how.size > MAX_BYTES:
            return Skip.TOO_LONG
        state = await _admitted(chosen, decision)
        wrong = state if isinstance(state, Skip) else self._misfit(decision.group, how, state)
        if isinstance(state, Skip) or wrong is not None:
            return wrong or Skip.FAULT
        again = _Again(chosen, decision.group, how, self._limit(decision.group, how), state)
        return self._priced(original, again)

    def _counterpart(self, chosen: ChosenRequest) -> Decision | Skip:
        asking, profile = chosen.asking.anew(), chosen.shadow.profile
        places = asking.places_of(profile)
        found = counterpart(
            asking.snapshot,
            chosen.decision,
            profile,
            may_go=lambda group: asking.stays(group, places),
        )
        found = None if found is None else asking.at_home(found)
        if found is None or not self._bridge.has_group(found.group):
            return Skip.NO_GROUP
        return Skip.SAME_GROUP if found.group == chosen.decision.group else found

    def _misfit(self, group: str, how: Repetition, state: gate.Passing | gate.Free) -> Skip | None:
        needs = replace(read_needs(how.body), places=state.places)
        if needs.modalities != TEXT:
            return Skip.NOT_TEXT
        wrong = why_not(self._inventory().groups.get(group, ()), needs)
        return None if wrong is None else _OF_MISFIT.get(wrong, Skip.UNFIT)

    def _limit(self, group: str, how: Repetition) -> int:
        if how.limit is not None:
            return how.limit
        known = [each.max_tokens for each in self._inventory().groups.get(group, ())]
        return min([ANSWER_TOKENS, *(tokens for tokens in known if tokens)])

    def _priced(self, original: Original, again: _Again) -> Ready | Skip:
        price = self._judges.price(again.group)
        if price is None:
            return Skip.UNPRICED
        messages = as_messages(again.how.body) if self._is_judged(again) else None
        answer_usd = price.cost(again.how.size + FRAME_TOKENS, again.limit)
        judge_usd = None
        if messages is not None and again.chosen.shadow.judge is not None:
            most = _comparison(messages, original.answer.said.text, again)
            cost = self._judges.price(again.chosen.shadow.judge)
            judge_usd = cost.cost(most.verdict_tokens, VERDICT_TOKENS) if cost and most.fits else None
        return Ready(
            most_usd=answer_usd + (judge_usd or 0.0),
            ask=lambda: self._answer(again),
            answer_usd=answer_usd,
            judge=None
            if judge_usd is None or messages is None
            else lambda other: self._verdict(original, again, messages, other, judge_usd),
            text=_last_said(again.how.body) if original.shadow.sample_text and _may_be_kept(again) else None,
        )

    def _is_judged(self, again: _Again) -> bool:
        """Return whether a judge may see it: of keys with a list nobody has asked LiteLLM whether it is on that."""
        judge = again.chosen.shadow.judge
        if judge is None or again.chosen.asking.is_listed:
            return False
        return not again.state.places or self._judges.stays(judge, again.state.places)

    async def _answer(self, again: _Again) -> FullAnswer:
        """Return what the group answers. Raises `MirrorFailed`, at the latest after about two minutes."""
        try:
            with self._hooks().awaited() as (number, told), unmeasured():
                gate.let(again.state)
                journey = again.chosen.journey
                moving.begin(journey and replace(journey, call_type=None, again=True))
                async with asyncio.timeout(SECONDS):
                    await self._ask(again, number)
                async with asyncio.timeout(TOLD_SECONDS):
                    call = await told
        except Exception as error:
            # Of LiteLLM's errors only the class is told: their texts quote addresses and keys.
            raise MirrorFailed(outcome_of(error)) from error
        form = wanted_form(again.how.format, again.chosen.sent or {})
        found = full_answer(call, form=form, limited=True)  # by the client, or by us
        if found is None:
            raise MirrorFailed(RequestOutcome.LOST)
        return found

    async def _ask(self, again: _Again, number: int) -> None:
        method, bucket = _CALLS[again.how.format]
        streams = again.chosen.streams
        metadata = account(NAME) | self._shown(again.group, number)
        answer = await getattr(self._bridge.live(), method)(
            model=again.group,
            stream=streams,
            timeout=SECONDS,
            **{bucket: metadata, again.how.limit_name: again.limit},
            **ITSELF,
            **again.how.body,
        )
        if streams:
            async for _ in answer:
                pass

    async def _verdict(
        self,
        original: Original,
        again: _Again,
        messages: Sequence[Mapping[str, str]],
        other: FullAnswer,
        most_usd: float,
    ) -> JudgedAnswer:
        """Return whether the other answer would have done. Never raises."""
        group, comparison = again.chosen.shadow.judge, _comparison(messages, other.said.text, again)
        if group is None or not comparison.fits or not original.answer.said.text or other.said.calls:
            return JudgedAnswer(None, 0.0)
        first = self._chance() < 0.5
        asked = question(comparison, original.answer.said.text, light_first=first)
        try:
            said = await self._judges.answer(
                GroupQuestion(group, asked, VERDICT_TOKENS, VERDICT_FORM, places=again.state.places)
            )
        except GroupFailed as failed:
            return JudgedAnswer(None, failed.cost_usd(most_usd))
        cost = most_usd if said.cost_usd is None else said.cost_usd
        return JudgedAnswer(verdict(said.text, light_first=first), cost)

    def _shown(self, group: str, number: int) -> dict[str, Any]:
        """Return what usage and spend logs show the request by. Where tags choose deployments it carries none."""
        # Whom LiteLLM asks is not noted of what is not measured.
        mark: dict[str, Any] = {
            "name": group,
            "group": group,
            "reason": Reason.MIRROR.value,
            "steps": [],
            ASKED: None,
            ANSWERS: number,
        }
        return {KEY: mark} | ({} if self._bridge.filters_by_tag() else {"tags": [NAME]})


def _repetition(chosen: ChosenRequest) -> Repetition | None:
    return None if chosen.sent is None else repetition(chosen.format, chosen.sent, chosen.fields)


async def _admitted(chosen: ChosenRequest, decision: Decision) -> gate.Passing | gate.Free | Skip:
    """Return what the gate must know, or why the caller would have been refused."""
    asking = chosen.asking.anew()
    try:
        state = await asking.admit_again(decision)
    except HoldsPersonalData:
        return Skip.RESIDENCY
    except NotAllowed:
        return Skip.ACCESS if asking.stays(decision.group, asking.places) else Skip.RESIDENCY
    return state if asking.stays(decision.group, state.places) else Skip.RESIDENCY


def _comparison(messages: Sequence[Mapping[str, str]], answer: str, again: _Again) -> Comparison:
    return Comparison("", "", messages, answer, again.group, places=again.state.places)


def _may_be_kept(again: _Again) -> bool:
    """Return whether administrators may be shown the texts: never of callers with a rule for personal data, nor where
    the request holds any, whoever has a rule.
    """
    has_rule = again.chosen.asking.principal.personal_data is not PersonalDataRule.ALLOW
    return not has_rule and not again.chosen.asking.personal.kinds


def _last_said(body: Mapping[str, Any]) -> str:
    """Return what was said last, for a sample."""
    messages = as_messages(body)
    return messages[-1]["content"] if messages else ""
