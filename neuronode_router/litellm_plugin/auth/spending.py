"""The budgets of callers whose request bears a name of ours: at the door nobody knows yet whether its group costs.

LiteLLM skips all budgets where the name that was sent costs nothing by its map, which knows the active profile only. It
is told here what the name may cost; where the budget is spent and something that the name may lead to is free, the
caller is let in with that noted, and admission refuses what costs. It must not know where a request goes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import litellm
from fastapi import HTTPException, Request
from litellm.proxy._types import ProxyException, UserAPIKeyAuth
from litellm.proxy.auth.auth_utils import get_request_route
from litellm.proxy.common_utils.http_parsing_utils import read_request_body

from neuronode_router.background import Failures
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks import purse
from neuronode_router.litellm_plugin.router.costs import GroupCosts, told
from neuronode_router.routing import targets
from neuronode_router.routing.snapshot import Snapshot

Judged = Callable[[], Awaitable[UserAPIKeyAuth]]
"""LiteLLM's authentication of one request, which can be asked again."""


_OF_BUDGET = "budget_exceeded"
"""LiteLLM's word for the kind of a refusal."""

_OF_MEMBER = "team_member_model_max_budget"
"""LiteLLM 1.106 knows none of members."""


class Spending:
    """Has LiteLLM judge budgets by what a name of ours may cost."""

    def __init__(self, current: CurrentSnapshot, costs: GroupCosts, failures: Failures) -> None:
        self._current = current
        self._costs = costs
        self._failures = failures

    async def judged(self, request: Request, judge: Judged) -> UserAPIKeyAuth:
        """Return the caller, and hold what is known of his budgets. Raises what LiteLLM's authentication raises."""
        snapshot = self._current.snapshot
        names = await self._names(request, snapshot) if snapshot else ()
        if snapshot is None or not names:
            return await judge()
        if not self._costs.hold():
            user = await judge()
            purse.hold(purse.Purse(settled=any(map(self._costs.costs, names))))
            return user
        costs = any(self._costs.costs(group) for group in _led(snapshot, names))
        try:
            with told(costs=costs):
                user = await judge()
        except ProxyException as refusal:
            if not (costs and _is_of_budget(refusal)) or all(map(self._costs.costs, _groups(snapshot))):
                raise
            known = purse.Purse(refusal=_spent(refusal))
        else:
            purse.hold(purse.Purse(settled=costs, judge=partial(_paying, judge)))
            return user
        with told(costs=False):
            user = await judge()
        purse.hold(known)
        return user

    async def _names(self, request: Request, snapshot: Snapshot) -> tuple[str, ...]:
        """Return the names that a request asks for, none where none of them is ours. Never raises."""
        from litellm.proxy.auth.auth_utils import get_model_from_request

        if request.method != "POST":
            return ()
        with self._failures.harmless("budgets by the group"), suppress(HTTPException, ProxyException):
            body = await read_request_body(request)
            found: Any = get_model_from_request(body, get_request_route(request))
            asked = [found] if isinstance(found, str) else found or ()
            names = tuple(name for one in asked for name in targets.asked(one, several=True))
            return names if any(name in snapshot.decisions for name in names) else ()
        return ()


class ModelBudgets:
    """The budgets that operators set for single groups. LiteLLM's door looks them up by the name that was sent."""

    def __init__(self, proxy: Any) -> None:
        self._proxy = proxy

    async def within(self, user: UserAPIKeyAuth, group: str) -> None:
        """Return where a caller may go by these. Raises `BudgetExceededError`."""
        asked = list(self._asked(user))
        try:
            for ask in asked:
                await ask(model=group)
        except litellm.BudgetExceededError as refusal:
            raise purse.BudgetExceededError(refusal.status_code, {"error": refusal.message}) from refusal

    def _asked(self, user: UserAPIKeyAuth) -> Iterator[Callable[..., Awaitable[object]]]:
        """Yield LiteLLM's own checks of those budgets that there are."""
        limiter = self._proxy.model_max_budget_limiter
        of_key, of_user = user.model_max_budget, user.user_model_max_budget
        of_team, of_member = user.team_model_max_budget, getattr(user, _OF_MEMBER, None)
        if of_key:
            yield partial(limiter.is_key_within_model_budget, user_api_key_dict=user)
        if of_user and user.user_id:
            yield partial(
                limiter.is_user_within_model_budget, user_id=user.user_id, user_model_max_budget=of_user
            )
        if of_team and user.team_id:
            yield partial(
                limiter.is_team_within_model_budget,
                team_id=user.team_id,
                team_model_max_budget=of_team,
                key_model_max_budget=of_key,
            )
        if of_member and user.user_id and user.team_id:
            yield partial(
                limiter.is_team_member_within_model_budget,
                user_id=user.user_id,
                team_id=user.team_id,
                team_member_model_max_budget=of_member,
            )
        if user.end_user_model_max_budget and user.end_user_id:
            yield partial(
                limiter.is_end_user_within_model_budget,
                end_user_id=user.end_user_id,
                end_user_model_max_budget=user.end_user_model_max_budget,
            )


async def _paying(judge: Judged) -> UserAPIKeyAuth:
    """Return the caller of a request that costs. Raises `BudgetExceededError`."""
    try:
        with told(costs=True):
            return await judge()
    except ProxyException as refusal:
        if not _is_of_budget(refusal):
            raise
        raise _spent(refusal) from refusal


def _is_of_budget(refusal: ProxyException) -> bool:
    return bool(refusal.type == _OF_BUDGET)


def _spent(refusal: ProxyException) -> purse.BudgetExceededError:
    return purse.BudgetExceededError(int(refusal.code), {"error": refusal.message})


def _led(snapshot: Snapshot, names: tuple[str, ...]) -> Iterator[str]:
    """Yield where LiteLLM's map leads: of `auto` to every rung of its profile."""
    for name in names:
        decision = snapshot.decisions.get(name)
        yield name if decision is None else decision.group
        if decision is not None and decision.auto and decision.profile is not None:
            yield from (group for rung in snapshot.ladders[decision.profile].values() for group in rung)


def _groups(snapshot: Snapshot) -> Iterator[str]:
    """Yield every group that a name of ours may lead to."""
    yield from (decision.group for meanings in snapshot.meanings.values() for decision in meanings.values())
    yield from (group for rungs in snapshot.ladders.values() for rung in rungs.values() for group in rung)
