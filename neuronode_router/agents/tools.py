"""The tools: what each asks of the admin API, and what an agent is told about it.

It must not know the protocol that tools are offered by, nor any rule of its own: the admin API decides who may what.
"""

from __future__ import annotations

import time
from typing import Annotated

from pydantic import Field

from neuronode_router.agents.steering_tools import STEERING_TOOLS
from neuronode_router.agents.tool import (
    AdminCall,
    AgentTool,
    Document,
    Hours,
    NoArguments,
    ProfileName,
    Reason,
    ToolArguments,
)
from neuronode_router.domain.names import path_step

HOUR = 3600.0
DAY_HOURS = 24.0
WEEK_HOURS = 168.0


class PlanArguments(ToolArguments):
    """The profile to look at, and the requests it is reckoned with."""

    profile: ProfileName
    hours: Hours = WEEK_HOURS


class ExplainArguments(ToolArguments):
    """The request to explain."""

    call_id: Annotated[
        str,
        Field(
            min_length=1, max_length=128, description="The `x-litellm-call-id` of an answer of the last hour."
        ),
    ]


class UsageArguments(ToolArguments):
    """What a report is about."""

    by: Annotated[
        str,
        Field(
            max_length=256,
            description="Grouping, several with commas: profile, revision, task, tier, chosen_group, served_group,"
            " deployment, team, reason, outcome, arm, location. By served_group alone, fallback_rate is the share"
            " that a group answered in the place of another.",
        ),
    ] = "profile"
    hours: Hours = DAY_HOURS
    step: Annotated[
        int | None, Field(description="Seconds of one step of a series: 60, 3600 or 86400. Default: one sum.")
    ] = None


class DeploymentsArguments(ToolArguments):
    """Whose state is asked for."""

    group: Annotated[str | None, Field(max_length=256, description="Only this model group.")] = None


class RequestsArguments(ToolArguments):
    """How many requests are listed."""

    limit: Annotated[int, Field(ge=1, le=200, description="How many at most.")] = 20


class ResidencyArguments(ToolArguments):
    """Whose requests, and where they should have stayed."""

    within: Annotated[
        str,
        Field(
            min_length=1,
            max_length=256,
            description="Places, with commas: local, eu, us, a country, a provider.",
        ),
    ] = "local"
    team: Annotated[str | None, Field(min_length=1, max_length=64, description="Only this team's.")] = None
    hours: Hours = DAY_HOURS


class SwitchArguments(ToolArguments):
    """The profile that is to answer."""

    profile: ProfileName
    reason: Reason = ""
    dry_run: Annotated[bool, Field(description="Only show the receipt that a switch would get.")] = False


class RollbackArguments(ToolArguments):
    """The revision that is to come back."""

    reason: Reason
    revision: Annotated[int | None, Field(ge=1, description="Default: the one before the last change.")] = (
        None
    )


async def _status(call: AdminCall, asked: NoArguments) -> Document:
    return await call("GET", "/profiles/status")


async def _plan(call: AdminCall, asked: PlanArguments) -> Document:
    active = (await call("GET", "/profiles/status"))["active_profile"]
    difference = await call("GET", "/diff", params={"from": active, "to": asked.profile})
    forecast = await call(
        "POST", "/plan", body={"profile": asked.profile, "from": time.time() - asked.hours * HOUR}
    )
    return {"active_profile": active, "changes": difference["changes"], "forecast": forecast}


async def _explain(call: AdminCall, asked: ExplainArguments) -> Document:
    request = await call("GET", f"/requests/{path_step(asked.call_id)}/explain")
    report = await call("GET", "/usage", params={"by": "task,served_group"})
    names = {"task": request["task"] or "", "served_group": request["served_group"]}
    usual = [line["figures"] for line in report["lines"] if line["names"] == names]
    return {"request": request, "usual_last_24_hours": usual[0] if usual else None}


async def _usage(call: AdminCall, asked: UsageArguments) -> Document:
    wanted = {"by": asked.by, "from": time.time() - asked.hours * HOUR, "step": asked.step}
    return await call("GET", "/usage", params=wanted)


async def _deployments(call: AdminCall, asked: DeploymentsArguments) -> Document:
    found = await call("GET", "/router/stats")
    wanted = [each for each in found["deployments"] if asked.group in (None, each["group"])]
    return {**found, "deployments": wanted}


async def _requests(call: AdminCall, asked: RequestsArguments) -> Document:
    return await call("GET", "/requests", params={"limit": asked.limit})


async def _residency(call: AdminCall, asked: ResidencyArguments) -> Document:
    wanted = {"within": asked.within, "from": time.time() - asked.hours * HOUR, "team": asked.team}
    return await call("GET", "/usage/residency", params=wanted)


async def _switch(call: AdminCall, asked: SwitchArguments) -> Document:
    return await call("POST", "/profiles/switch", body=asked.model_dump())


async def _rollback(call: AdminCall, asked: RollbackArguments) -> Document:
    return await call("POST", "/rollback", body={"to": asked.revision or "previous", "reason": asked.reason})


TOOLS = (
    AgentTool(
        "status",
        "What is in force: the active profile, its task mappings, the revision, every worker, problems and warnings.",
        NoArguments,
        _status,
    ),
    AgentTool(
        "plan",
        "What a switch to a profile would change: the model group of each task, and what the recorded requests would"
        " have cost and how long they would have taken under it. Nothing is changed.",
        PlanArguments,
        _plan,
    ),
    AgentTool(
        "explain",
        "One request of the last hour: profile, task, tier, group and why; outcome, fallback, tokens, cost and latency;"
        " `alternatives`: what it would have cost under every other profile; `usual_last_24_hours`: the latencies of"
        " requests of the same task that the same group answered, to tell a slow request from a slow group.",
        ExplainArguments,
        _explain,
    ),
    AgentTool(
        "usage",
        "Requests, cost, latency, errors and fallbacks of a period, grouped as asked, beside the period before.",
        UsageArguments,
        _usage,
    ),
    AgentTool(
        "deployments",
        "How the deployments of the model groups stand now: state, its cause, latency, errors, requests in flight.",
        DeploymentsArguments,
        _deployments,
    ),
    AgentTool(
        "requests",
        "The newest requests of the last hour: who asked for what, profile, task, tier, group and why, how"
        " each ended. No text. `explain` tells more of one.",
        RequestsArguments,
        _requests,
    ),
    AgentTool(
        "residency",
        "Where the requests of a period went, for an audit: how many to places within those named, how many elsewhere,"
        " and of how many nobody can tell.",
        ResidencyArguments,
        _residency,
    ),
    AgentTool(
        "switch",
        "Let another profile answer, for everybody and in every worker. Returns the receipt.",
        SwitchArguments,
        _switch,
        writes=True,
    ),
    AgentTool(
        "rollback",
        "Bring back the profile and mappings of an earlier revision as a new one. Returns the receipt.",
        RollbackArguments,
        _rollback,
        writes=True,
    ),
    *STEERING_TOOLS,
)
"""Those that write are offered only where an operator said so."""


def offered(*, writes: bool) -> tuple[AgentTool, ...]:
    """Return the tools that read, and with `writes` the others too."""
    return tuple(tool for tool in TOOLS if writes or not tool.writes)
