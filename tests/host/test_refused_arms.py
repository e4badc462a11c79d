"""What is refused because of the mappings that are tried fails in their arm; what the policy decides is in none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi import HTTPException
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, Profile
from neuronode_router.domain.rollouts import Canary
from neuronode_router.domain.steering import Bend, Steering
from neuronode_router.litellm_plugin.hooks.request_metadata import stamped
from neuronode_router.routing.fallback_chain import DeploymentStatus
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.snapshot import build_snapshot
from neuronode_router.usage.finished import GOOD_ENDS, FinishedRequest
from tests.host.test_gate import Way
from tests.host.test_residency import ELSEWHERE, kept, way
from tests.host.test_usage_hooks import CountingHooks, counting

__all__ = ["counting", "kept", "way"]

ALL = 1000
"""The share with which everybody tries."""


def try_out(way: Way, steering: Steering | None = None, **changed: Any) -> None:
    """Have everybody try `strict`, with these fields of its profile."""
    state = way.current.snapshot.state  # type: ignore[union-attr]
    profiles = dict(state.profiles.profiles)
    tried: Profile = replace(profiles["strict"], **changed)
    state = replace(
        state,
        profiles=replace(state.profiles, profiles=profiles | {"strict": tried}),
        canary=Canary("r-1", "strict", "a1" * 16, share=ALL, since=0.0),
        steering=steering or state.steering,
    )
    way.current.take(build_snapshot(state, HostFacts(groups=frozenset({*ELSEWHERE, "mixed"}))))


async def ask(
    way: Way, counting: CountingHooks, model: str, *, caller: str = "ordinary", text: str = "hi"
) -> tuple[bool, list[FinishedRequest], dict[str, Any]]:
    """Send a request up to the router; return whether it was refused, what was counted then, and its mark."""
    user = UserAPIKeyAuth(api_key=caller)
    data: dict[str, Any] = {"metadata": {}, "model": model, "messages": [{"role": "user", "content": text}]}
    data["proxy_server_request"] = {"body": {"model": model}, "headers": {}}
    try:
        await way.logging.pre_call_hook(user, data, "acompletion")  # type: ignore[call-overload]
    except Exception as error:  # noqa: BLE001  what LiteLLM does with whatever a hook raises
        await counting.hooks.async_post_call_failure_hook(data, error, user)
        return True, counting.counted(), dict(stamped(data) or {})
    return False, counting.counted(), dict(stamped(data) or {})


@pytest.mark.parametrize(
    ("changed", "model", "caller"),
    [
        ({"residency": ("local",)}, "strategy", "ordinary"),
        ({}, "strategy", "confined"),
        ({"residency": ("local",), "tasks": {"chat": "american"}}, "chat", "ordinary"),
        ({"residency": ("local",)}, "strategy,chat", "ordinary"),
    ],
)
async def test_what_the_tried_mappings_have_refused_is_an_error_of_the_canary(
    way: Way, counting: CountingHooks, changed: dict[str, Any], model: str, caller: str
) -> None:
    """By the profile's residency or the key's; of several names each."""
    try_out(way, **changed)

    refused, found, _ = await ask(way, counting, model, caller=caller)

    assert refused
    assert [one.key.arm for one in found] == ["canary"] * len(model.split(","))
    assert not {one.key.outcome for one in found} & GOOD_ENDS
    assert {one.key.task for one in found} == set(model.split(","))


async def test_what_fits_nowhere_is_an_error_of_the_canary(way: Way, counting: CountingHooks) -> None:
    """Where `auto` itself refuses it."""
    try_out(way, tiers=dict.fromkeys(Tier, ("german",)))
    small = DeploymentStatus(Deployment("german", "german", context_window=8))
    way.admission._auto._statuses = lambda: {"german": (small,)}

    refused, found, _ = await ask(way, counting, "auto", text="word " * 500)

    assert refused
    assert [one.key.arm for one in found] == ["canary"]


@pytest.mark.parametrize(
    ("model", "caller", "outcome", "decided"),
    [
        ("strategy", "confined", "refused_residency", True),
        ("strategy,chat", "confined", "refused_residency", True),
        ("@profile/nowhere", "ordinary", "not_found", False),
        ("chat\n", "ordinary", "bad_request", False),
    ],
)
async def test_what_is_refused_is_counted_with_why(
    way: Way, counting: CountingHooks, model: str, caller: str, outcome: str, decided: bool
) -> None:
    """Without a rollout it belongs to no arm; what was refused before anything was decided says so."""
    refused, found, mark = await ask(way, counting, model, caller=caller)

    assert refused
    assert [(one.key.outcome, one.key.arm, one.key.location) for one in found] == [(outcome, "", "")] * len(
        model.split(",")
    )
    assert {one.key.task for one in found} == (set(model.split(",")) if decided else {""})
    assert (mark["reason"] == "refused") is not decided


async def test_a_call_that_is_not_admitted_is_counted_by_no_mark_that_its_client_wrote(
    way: Way, counting: CountingHooks
) -> None:
    """Whoever is confined is refused a batch, whatever its metadata say."""
    user = UserAPIKeyAuth(api_key="confined")
    forged = {"profile": "mine", "reason": "active_profile", "group": "american"}
    data: dict[str, Any] = {"metadata": {"neuronode": forged}, "input_file_id": "file-1"}

    with pytest.raises(HTTPException) as refusal:
        await way.logging.pre_call_hook(user, data, "acreate_batch")  # type: ignore[call-overload]
    await counting.hooks.async_post_call_failure_hook(data, refusal.value, user)

    (found,) = counting.counted()
    assert (found.key.outcome, found.key.profile, found.key.reason) == ("refused_access", "", "refused")


@pytest.mark.parametrize(
    ("bend", "model", "arm"),
    [
        (Bend("night", emergency=False, task="chat", group="german"), "chat", None),
        (Bend("night", emergency=False, task="chat", group="german"), "summary", "canary"),
        (Bend("dear", emergency=False, max_tier=Tier.FAST), "auto:complex", None),
        (Bend("dear", emergency=False, max_tier=Tier.FAST), "auto:fast", "canary"),
        (Bend("dear", emergency=False, max_tier=Tier.FAST), "chat", "canary"),
    ],
)
async def test_what_the_policy_decides_speaks_for_no_arm(
    way: Way, counting: CountingHooks, bend: Bend, model: str, arm: str | None
) -> None:
    """Neither profile has sent the request where it goes."""
    try_out(way, Steering(policy="p", bends=(bend,)))

    refused, _, mark = await ask(way, counting, model)

    assert not refused
    assert mark.get("arm") == arm
