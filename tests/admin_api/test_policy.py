"""The policy over HTTP: put in force, shown with its reason, previewed, held against and released; what is refused."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from admin_api.router import PREFIX
from neuronode_router.control.policies import LEASE
from neuronode_router.domain.audit import Actor
from neuronode_router.policy.document import RuleMode
from neuronode_router.policy.file import parse_policy
from neuronode_router.policy.rules import RuleMemory
from neuronode_router.storage.lease import Lease
from tests.admin_api.world import BASE, World, running_world
from tests.support.metering import value
from tests.support.waiting import eventually

POLICY = f"{PREFIX}/policy"
ANY = {"If-Match": "*"}
ALWAYS = {"name": "always", "zone": "Europe/Berlin", "then": {"profile": "cost_effective"}}
LATENCY = {"group": "nobody", "enter_ms": 2, "return_ms": 1}
DOCUMENT: dict[str, Any] = {"default": "balanced", "schedule": [ALWAYS]}


async def put(world: World, document: dict[str, Any], **headers: str) -> Any:
    """Put a policy in force and return the answer."""
    async with world.client() as admin:
        return await admin.put(POLICY, json=document, headers=ANY | headers)


async def act(world: World) -> Any:
    """Let the worker look, as it does each second."""
    assert world.policies is not None
    return await world.policies.turn()


async def shown(world: World) -> dict[str, Any]:
    """Return the policy as it is shown."""
    async with world.client() as admin:
        answer = await admin.get(POLICY)
    assert answer.headers["etag"]
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


async def test_without_a_policy_nothing_is_decided(world: World) -> None:
    """It is shown as empty, and no look does anything."""
    found = await shown(world)

    assert (found["digest"], found["document"], found["now"]["level"]) == ("", {}, "nothing")
    assert await act(world) is None


async def test_a_policy_is_put_in_force_and_acts(world: World) -> None:
    """The document is a revision with its difference; what follows from it is another one, by the policy."""
    receipt = (await put(world, DOCUMENT)).raise_for_status().json()
    acted = await act(world)

    assert (receipt["action"], receipt["awaited"], receipt["complete"]) == ("policy", True, True)
    assert (acted.profile, acted.awaited) == ("cost_effective", False)
    by_policy, by_admin = await world.manager.audit(limit=2)
    assert by_admin.reason == "default none -> balanced; + schedule always"
    assert (by_policy.actor.kind, by_policy.reason) == (
        "policy",
        "cost_effective: window always (Europe/Berlin time)",
    )
    found = await shown(world)
    assert (found["active"], found["now"]["level"]) == ("cost_effective", "schedule")
    assert found["document"] == DOCUMENT
    assert found["precedence"] == ["emergency", "manual", "rollout", "rule", "schedule", "default"]


async def test_the_status_tells_where_a_moved_task_goes(world: World) -> None:
    """Of the mappings it shows what answers, not what the file says."""
    moving = ALWAYS | {"then": {"task": "chat", "group": "chat_cost_effective"}}
    (await put(world, {"default": "balanced", "schedule": [moving]})).raise_for_status()
    await act(world)

    async with world.client() as admin:
        status = (await admin.get(f"{BASE}/status")).json()
    told = await world.manager.get_current_profile()

    assert (status["active_profile"], status["active_mappings"]["chat"]) == (
        "balanced",
        "chat_cost_effective",
    )
    assert status["active_mappings"] == told["active_mappings"]
    assert status["active_mappings"]["classification"] == "classification_balanced"


async def test_what_the_policy_is_refused_is_shown_and_counted(tmp_path: Path) -> None:
    """A window that leads to what nobody has proven changes nothing where proof is wanted."""
    async with running_world(tmp_path, gate="enforce") as world:
        await put(world, DOCUMENT)
        assert await act(world) is None
        assert world.policies is not None
        assert world.metering is not None
        (problem,) = world.policies.problems()
        told = await world.metering.exposition()

    assert problem.code == "policy_refused"
    assert value(told, "policy_refusals_total", level="schedule") == 1
    assert value(told, "policy_acts_total", level="schedule") == 0


async def test_the_standing_of_rules_is_told(world: World) -> None:
    """What applies, and what only would; nothing without a policy."""
    budget = {"usd": 1e9, "enter": 0.8, "return": 0.6}
    rules = [
        {"name": "trial", "budget": budget, "then": {"max_tier": "fast"}, "dry_run": True},
        {"name": "spared", "budget": budget, "then": {"max_tier": "fast"}},
    ]

    def standing() -> dict[tuple[str, RuleMode], bool]:
        state = world.store.read()
        assert state is not None
        assert world.policies is not None
        return world.policies.standing(state)

    before = standing()
    await put(world, {"rules": rules})
    fence, _ = Lease(world.store.database, LEASE, holder="worker-1", ttl=10).take()
    assert fence is not None
    world.store.policies.remember({"trial": RuleMemory(active=True)}, fence, revision=world.store.revision())

    assert before == {}
    assert standing() == {
        ("trial", RuleMode.DRY_RUN): True,
        ("spared", RuleMode.ORDINARY): False,
    }


async def test_what_is_put_is_in_the_file(world: World) -> None:
    """The file reads as the same policy; an empty document takes it away."""
    await put(world, DOCUMENT)
    file = world.profiles.parent / "policy.yaml"
    policy, problems = parse_policy(file.read_bytes())

    assert policy is not None, problems
    assert policy.digest == (await shown(world))["digest"]
    await put(world, {})
    assert not file.exists()
    assert (await shown(world))["digest"] == ""


async def test_a_switch_is_held_until_it_is_released(world: World) -> None:
    """While a policy is in force, what a person switches to goes before its windows."""
    await put(world, DOCUMENT)
    async with world.client() as admin:
        await admin.post(f"{BASE}/switch", json={"profile": "premium"})
        assert await act(world) is None
        held = await shown(world)
        released = await admin.post(f"{POLICY}/release", json={})
        again = await admin.post(f"{POLICY}/release", json={})

    assert (held["active"], held["now"]["level"]) == ("premium", "manual")
    assert held["now"]["hold"]["profile"] == "premium"
    assert released.json()["profile"] == "cost_effective"
    assert (again.status_code, again.json()["code"]) == (409, "nothing_held")
    assert (await world.manager.audit(limit=1))[0].reason == "hold released"


async def test_a_timed_switch_works_without_a_policy(world: World) -> None:
    """When its time is over, what was active before comes back."""
    before = (await shown(world))["active"]
    async with world.client() as admin:
        await admin.post(f"{BASE}/switch", json={"profile": "cost_effective", "until": time.time() + 3600})
        assert (await shown(world))["now"]["level"] == "manual"
    soon = time.time() + 0.5
    await world.manager.switch("cost_effective", actor=Actor("anna"), until=soon)
    await eventually(lambda: time.time() > soon)

    assert (await act(world)).profile == before


async def test_a_switch_without_a_policy_holds_nothing(world: World) -> None:
    """Where nothing is steered, a switch is what it always was."""
    async with world.client() as admin:
        await admin.post(f"{BASE}/switch", json={"profile": "cost_effective"})

    state = await world.manager.current()
    assert state is not None
    assert state.steering.hold is None


async def test_a_preview_is_stretches_with_reasons(world: World) -> None:
    """It begins now and ends after so many days."""
    window = ALWAYS | {"from": "20:00", "to": "06:00"}
    await put(world, {"default": "balanced", "schedule": [window]})
    async with world.client() as admin:
        answer = await admin.get(f"{POLICY}/preview", params={"days": 3})

    stretches = answer.raise_for_status().json()["stretches"]
    assert {one["profile"] for one in stretches} == {"balanced", "cost_effective"}
    assert len(stretches) in (6, 7)
    assert stretches[-1]["until"] - stretches[0]["since"] == pytest.approx(3 * 86_400)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (DOCUMENT | {"spelled": "wrong"}, "not known"),
        (DOCUMENT | {"default": "nobody"}, "no profile 'nobody'"),
        (
            {"rules": [{"name": "r", "outage": {"group": "nobody"}, "then": {"max_tier": "fast"}}]},
            "no deployment of model group 'nobody'",
        ),
        (
            {"rules": [{"name": "r", "outage": {"provider": "nobody"}, "then": {"max_tier": "fast"}}]},
            "no deployment of provider 'nobody'",
        ),
        (
            {"rules": [{"name": "r", "latency": LATENCY, "then": {"max_tier": "fast"}}]},
            "no model group 'nobody'",
        ),
        (
            {
                "schedule": [
                    {"name": "w", "zone": "UTC", "then": {"task": "nothing", "group": "chat_premium"}}
                ]
            },
            "has a task 'nothing'",
        ),
    ],
)
async def test_what_nobody_knows_is_refused(world: World, document: dict[str, Any], message: str) -> None:
    """Each problem is told, and what is in force stays."""
    answer = await put(world, document)

    assert (answer.status_code, answer.json()["code"]) == (422, "policy_invalid")
    assert message in answer.json()["problems"][0]["message"]
    assert (await shown(world))["digest"] == ""


async def test_a_task_is_not_moved_to_what_fails_with_it(world: World) -> None:
    """A rule for a provider whose group has no other deployment is refused; one other deployment is enough."""
    deployments = {"openai": {"a", "b"}, "chat_premium": {"a", "b"}, "chat_balanced": {"b", "c"}}
    world.deployments = deployments

    answers = [
        await put(
            world,
            {
                "rules": [
                    {"name": "r", "outage": {"provider": "openai"}, "then": {"task": "chat", "group": group}}
                ]
            },
        )
        for group in ("chat_premium", "chat_balanced")
    ]

    assert [answer.status_code for answer in answers] == [422, 200]
    assert "would fail with it" in answers[0].json()["problems"][0]["message"]


async def test_a_policy_is_replaced_only_by_who_says_what_it_is_based_on(world: World) -> None:
    """Without If-Match, or with the ETag of an earlier revision, nothing is changed."""
    async with world.client() as admin:
        without = await admin.put(POLICY, json=DOCUMENT)
        outdated = await admin.put(POLICY, json=DOCUMENT, headers={"If-Match": '"9999"'})

    assert (without.status_code, outdated.status_code) == (428, 412)
