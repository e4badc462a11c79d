"""A rollout beside the policy, and beside its own breach: what may not begin, and what may not go on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from neuronode_router.control.rollouts import Rollouts
from neuronode_router.domain.audit import Actor
from neuronode_router.errors import RolloutRefused
from neuronode_router.policy.rules import RuleFact
from neuronode_router.rollouts.course import Act, OnBreach, Phase, RolloutPlan
from neuronode_router.rollouts.facts import ArmFacts, BothArms
from neuronode_router.storage.lease import Lease
from tests.support.policy_host import FileHost

ANNA = Actor("anna")
DOWN = """\
default: balanced
rules:
  - name: down
    outage: {group: chat_balanced, probes: 1}
    dwell: 0s
    then: {profile: cost_effective}
    emergency: true
"""
BROKEN = {"chat": BothArms(ArmFacts(900), ArmFacts(100, 100))}
PLAN = RolloutPlan("premium", hold_seconds=0, on_breach=OnBreach.PAUSE)


class Arms:
    """What was recorded of both arms."""

    def __init__(self) -> None:
        self.now: dict[str, BothArms] = {}


@pytest.fixture
def arms() -> Arms:
    return Arms()


@pytest.fixture
async def rollouts(host: FileHost, arms: Arms) -> Rollouts:
    """The rollouts of that host."""
    return Rollouts(
        manager=host.manager,
        store=host.store.rollouts,
        facts=lambda _: arms.now,
        lease=Lease(host.store.database, "rollouts", holder="w", ttl=10, clock=host.clock),
        verdict_of=host.policies.verdict_of,
        clock=host.clock,
        rest=0,
    )


async def test_none_begins_while_an_emergency_decides(host: FileHost, rollouts: Rollouts) -> None:
    """Beside one the emergency's profile would stay for days; when it has ended one may begin."""
    await host.write(DOWN)
    host.facts = {"down": RuleFact(1.0, 9, 9)}
    await host.policies.turn()
    with pytest.raises(RolloutRefused, match="emergency rule down"):
        await rollouts.start(PLAN, actor=ANNA, wait="none")
    failed = host.state().active

    host.facts = {"down": RuleFact(0.0, 9, 0)}
    async with asyncio.timeout(10):
        while host.state().active != "balanced":
            host.clock.now += 10
            await host.policies.turn()
            await asyncio.sleep(0)
    receipt = await rollouts.start(PLAN, actor=ANNA, wait="none")

    assert (failed, receipt.changed) == ("cost_effective", True)


async def test_an_emergency_that_moves_a_task_hinders_none(host: FileHost, rollouts: Rollouts) -> None:
    """The task comes back by itself, also beside a rollout."""
    await host.write(DOWN.replace("{profile: cost_effective}", "{task: chat, group: chat_premium}"))
    host.facts = {"down": RuleFact(1.0, 9, 9)}
    await host.policies.turn()

    await rollouts.start(PLAN, actor=ANNA, wait="none")

    assert host.state().steering.moved == {"chat": "chat_premium"}


async def test_what_is_paused_for_a_breach_goes_on_without_it(
    host: FileHost, rollouts: Rollouts, arms: Arms
) -> None:
    """It would be paused again two seconds later; until then a person can only end it."""
    await rollouts.start(PLAN, actor=ANNA, wait="none")
    arms.now = BROKEN
    await rollouts.turn()
    with pytest.raises(RolloutRefused, match="error_rate"):
        await rollouts.act(Act.RESUME, actor=ANNA, wait="none")
    arms.now = {"chat": replace(BROKEN["chat"], canary=ArmFacts(100, 0))}

    await rollouts.act(Act.RESUME, actor=ANNA, wait="none")

    view = await rollouts.running()
    assert view is not None
    assert view.rollout.phase is Phase.RUNNING
