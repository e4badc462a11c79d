"""Finished requests and profiles for tests of the usage room.

It must not know the store or LiteLLM.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

from neuronode_router.domain.decisions import Reason
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import Profile
from neuronode_router.usage.finished import FinishedRequest, RequestOutcome, UsageKey

NOW = 1_800_000_000.0
"""A whole minute; no whole hour."""

TASKS = ("classification", "extraction", "chat")
TIERS = ("fast", "medium", "complex")

PROMPT_PRICE, COMPLETION_PRICE = 1e-6, 2e-6


def profile(name: str, **changes: Any) -> Profile:
    """Return a profile whose groups carry its name; `changes` replaces fields."""
    fields: dict[str, Any] = {
        "name": name,
        "description": "",
        "cost_level": "medium",
        "performance_level": "high",
        "tasks": MappingProxyType({task: f"{task}_{name}" for task in TASKS}),
        "tiers": MappingProxyType({Tier(tier): (f"{tier}_{name}", f"spare_{tier}_{name}") for tier in TIERS}),
    }
    return Profile(**fields | changes)


def finished(**changes: Any) -> FinishedRequest:
    """Return an answered request of `chat` under `premium`; fields of it and of its key may be changed."""
    key = UsageKey(
        profile="premium",
        revision=3,
        task="chat",
        chosen_group="chat_premium",
        served_group="chat_premium",
        deployment="d-1",
        team="a",
        reason=Reason.ACTIVE_PROFILE,
    )
    names = {name: changes.pop(name) for name in UsageKey._fields if name in changes}
    fields: dict[str, Any] = {
        "call_id": "call-1",
        "at": NOW,
        "prompt_tokens": 11,
        "completion_tokens": 3,
        "cost": 11 * PROMPT_PRICE + 3 * COMPLETION_PRICE,
        "output_cost": 3 * COMPLETION_PRICE,
        "latency_ms": 120.0,
    }
    return FinishedRequest(key=key._replace(**names), **fields | changes)


def _request(draw: Any) -> FinishedRequest:
    task = draw(st.sampled_from([*TASKS, ""]))
    auto = not task or draw(st.booleans())  # then the task is what it was classified as, or nothing was
    tier = draw(st.sampled_from(TIERS)) if auto else ""
    group = f"{tier or task}_premium"
    outcome = draw(
        st.sampled_from(
            [RequestOutcome.ANSWERED, RequestOutcome.ANSWERED, RequestOutcome.CACHED, RequestOutcome.TIMEOUT]
        )
    )
    prompt, completion = draw(st.integers(0, 5000)), draw(st.integers(0, 900))
    paid = outcome is RequestOutcome.ANSWERED
    priced = draw(st.booleans())
    cost = prompt * PROMPT_PRICE + completion * COMPLETION_PRICE
    return finished(
        task=task,
        tier=tier,
        chosen_group=group,
        served_group=draw(st.sampled_from([group, "rescue"])),
        deployment=f"{group}-{priced}",
        team=draw(st.sampled_from(["", "a", "b"])),
        reason=draw(st.sampled_from([Reason.ACTIVE_PROFILE, Reason.ACTIVE_PROFILE, Reason.OVERRIDE_HEADER])),
        outcome=outcome,
        at=NOW + draw(st.integers(-90_000, 0)),
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost=(cost if paid else 0.0) if priced else None,
        output_cost=completion * COMPLETION_PRICE if priced and paid else 0.0,
        latency_ms=draw(st.floats(0.1, 1e6)) if paid else None,
        first_token_ms=draw(st.none() | st.floats(0.1, 1e6)) if paid else None,
        images=draw(st.booleans()),
    )


requests = st.composite(_request)()
"""Any finished request of the profile `premium` in the last day."""
