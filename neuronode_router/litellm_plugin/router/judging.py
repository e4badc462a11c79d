"""Asks groups for the judge, through LiteLLM's router in this process: on no caller's key, and not measured.

Spend logs carry the tag `neuronode-judge`, our usage the reason `judge`. No text is kept.
"""

from __future__ import annotations

from typing import Any

from neuronode_router.auto.judge import GroupAnswer, GroupFailed, GroupQuestion
from neuronode_router.domain.decisions import Reason
from neuronode_router.litellm_plugin.hooks.gate import confined
from neuronode_router.litellm_plugin.hooks.request_metadata import ASKED, KEY
from neuronode_router.litellm_plugin.hooks.usage_reading import outcome_of
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.router.location import Locations
from neuronode_router.litellm_plugin.router.prices import dearest_price
from neuronode_router.litellm_plugin.router.probing import account, ask_group, cost_of
from neuronode_router.routing.residency import Required, is_within
from neuronode_router.usage.prices import Price

NAME = "neuronode-judge"
"""Alias and tag under which LiteLLM's spend logs show what the judge asked."""


class JudgedGroups:
    """The groups of the live router."""

    def __init__(self, bridge: RouterBridge) -> None:
        self._bridge = bridge

    def price(self, group: str) -> Price | None:
        """Return the price of the group's dearest deployment, None where one of them has none."""
        return dearest_price(self._bridge.entries(), group)

    def stays(self, group: str, places: Required) -> bool:
        """Return whether a deployment of the group is at one of these places."""
        return any(is_within(place, places) for place in Locations(self._bridge.entries).of_group(group))

    async def answer(self, question: GroupQuestion) -> GroupAnswer:
        """Return the answer. Raises `GroupFailed`, at the latest after about `question.seconds`."""
        try:
            with confined(question.places):
                response = await ask_group(
                    self._bridge.live(),
                    question.group,
                    [dict(message) for message in question.messages],
                    metadata=account(NAME) | self._shown(question.group),
                    seconds=question.seconds,
                    max_tokens=question.max_tokens,
                    **({} if question.form is None else {"response_format": question.form}),
                )
            choice = response.choices[0]
            whole = choice.finish_reason == "stop" and not choice.message.tool_calls
            return GroupAnswer((choice.message.content or "") if whole else "", cost_of(response))
        except Exception as error:
            # Of LiteLLM's errors only the class is told: their texts quote addresses and keys.
            raise GroupFailed(outcome_of(error)) from error

    def _shown(self, group: str) -> dict[str, Any]:
        """Return what usage and spend logs show the request by. Where tags choose deployments it carries none."""
        # Whom LiteLLM asks is not noted of what is not measured.
        mark: dict[str, Any] = {
            "name": group,
            "group": group,
            "reason": Reason.JUDGE.value,
            "steps": [],
            ASKED: None,
        }
        return {KEY: mark} | ({} if self._bridge.filters_by_tag() else {"tags": [NAME]})
