"""The tools about what steers itself: rollouts, and the policy of windows and rules.

It must not know the protocol that tools are offered by, nor any rule of its own: the admin API decides who may what.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from pydantic import Field

from neuronode_router.agents.tool import (
    AdminCall,
    AgentTool,
    Document,
    NoArguments,
    ProfileName,
    Reason,
    ToolArguments,
)
from neuronode_router.domain.names import path_step
from neuronode_router.errors import UnknownRollout


class RolloutArguments(ToolArguments):
    """Which rollout."""

    rollout: Annotated[
        str | None, Field(min_length=1, max_length=64, description="Its id. Default: the one that runs.")
    ] = None


class PreviewArguments(ToolArguments):
    """How far ahead."""

    days: Annotated[float, Field(gt=0, le=62, description="Days from now.")] = 14


class RolloutEditArguments(ToolArguments):
    """What the active profile is to say, with the keys of its file."""

    tasks: Annotated[dict[str, str], Field(description="Model groups by task.")] = {}
    tiers: Annotated[dict[str, list[str]], Field(description="Ladders of model groups by tier.")] = {}


class RolloutStartArguments(ToolArguments):
    """What is to be tried, and how: a profile, or an edit of the active one."""

    profile: ProfileName | None = None
    edit: RolloutEditArguments | None = None
    reason: Reason = ""
    steps: Annotated[
        list[float] | None,
        Field(min_length=1, description="Percent of the conversations, growing. Default: 1, 10, 50, 100."),
    ] = None
    hold: Annotated[
        float | None, Field(ge=0, description="Seconds for which each step is watched. Default: 600.")
    ] = None
    on_breach: Annotated[
        Literal["rollback", "pause"] | None, Field(description="When it is worse. Default: rollback.")
    ] = None
    on_done: Annotated[
        Literal["promote", "ask"] | None, Field(description="After the last step. Default: ask.")
    ] = None
    dry_run: Annotated[bool, Field(description="Only show the receipt that it would get.")] = False


class ReasonArguments(ToolArguments):
    """Why."""

    reason: Reason = ""


async def _rollout_status(call: AdminCall, asked: RolloutArguments) -> Document:
    if asked.rollout is None:
        return await call("GET", "/rollouts", params={"limit": 5})
    return await call("GET", f"/rollouts/{path_step(asked.rollout)}")


async def _rollout_start(call: AdminCall, asked: RolloutStartArguments) -> Document:
    return await call("POST", "/rollouts", body=asked.model_dump(exclude_none=True))


def _rollout(act: str) -> Callable[[AdminCall, ReasonArguments], Awaitable[Document]]:
    """Return what does an act to the rollout that runs."""

    async def run(call: AdminCall, asked: ReasonArguments) -> Document:
        running = (await call("GET", "/rollouts", params={"limit": 1}))["running"]
        if running is None:
            raise UnknownRollout("No rollout runs.")
        return await call("POST", f"/rollouts/{running['id']}/{act}", body=asked.model_dump())

    return run


async def _policy_show(call: AdminCall, asked: NoArguments) -> Document:
    return await call("GET", "/policy")


async def _policy_preview(call: AdminCall, asked: PreviewArguments) -> Document:
    return await call("GET", "/policy/preview", params={"days": asked.days})


async def _policy_release(call: AdminCall, asked: ReasonArguments) -> Document:
    return await call("POST", "/policy/release", body=asked.model_dump())


STEERING_TOOLS = (
    AgentTool(
        "rollout_status",
        "The rollout that runs, with the figures of both arms side by side and what comes next and why; and the newest"
        " earlier ones. Or one of them by its id.",
        RolloutArguments,
        _rollout_status,
    ),
    AgentTool(
        "policy_show",
        "The policy of windows and rules: what it makes active now and why, who holds what, and how each rule stands.",
        NoArguments,
        _policy_show,
    ),
    AgentTool(
        "policy_preview",
        "What will be active in the days to come and why, if rules and rollouts stay as they are now.",
        PreviewArguments,
        _policy_preview,
    ),
    AgentTool(
        "rollout_start",
        "Let a growing share of the conversations try a profile, or an edit of the active one's mappings, watched"
        " against the active one. Returns the receipt.",
        RolloutStartArguments,
        _rollout_start,
        writes=True,
    ),
    AgentTool(
        "rollout_promote",
        "Make what is tried what answers everybody, now; an edit is written into its profile. Returns the receipt.",
        ReasonArguments,
        _rollout("promote"),
        writes=True,
    ),
    AgentTool(
        "rollout_pause",
        "Leave the share of the rollout that runs as it is; it is watched on. Returns the receipt.",
        ReasonArguments,
        _rollout("pause"),
        writes=True,
    ),
    AgentTool(
        "rollout_resume",
        "Let the rollout that is paused go on. Returns the receipt.",
        ReasonArguments,
        _rollout("resume"),
        writes=True,
    ),
    AgentTool(
        "rollout_abort",
        "End the rollout that runs: the active profile answers everybody again. Returns the receipt.",
        ReasonArguments,
        _rollout("abort"),
        writes=True,
    ),
    AgentTool(
        "policy_release",
        "End what a person holds: the policy decides again. Returns the receipt.",
        ReasonArguments,
        _policy_release,
        writes=True,
    ),
)
