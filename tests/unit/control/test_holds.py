"""What people hold until a time, and what comes back then, without a policy and beside a rollout."""

from __future__ import annotations

import pytest

from neuronode_router.control.rollouts import Rollouts
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.steering import NOT_STEERED
from neuronode_router.errors import NothingHeld
from neuronode_router.rollouts.course import Act, OnBreach, OnDone, RolloutPlan
from neuronode_router.storage.lease import Lease
from tests.support.policy_host import FileHost

ANNA = Actor("anna")
HOUR = 3600.0
PLAN = RolloutPlan("cost_effective", (10,), 60.0, (), OnBreach.ROLLBACK, OnDone.ASK)


@pytest.fixture
def rollouts(host: FileHost) -> Rollouts:
    """The rollouts of that host."""
    lease = Lease(host.store.database, "rollouts", holder="w", ttl=10, clock=host.clock)
    return Rollouts(
        manager=host.manager,
        store=host.store.rollouts,
        facts=lambda _: {},
        lease=lease,
        clock=host.clock,
    )


async def switch(host: FileHost, profile: str, *, until: float | None = None, hold: bool = False) -> None:
    """Switch as a person does; `until` is seconds from now."""
    ends = None if until is None else host.clock.now + until
    await host.manager.switch(profile, actor=ANNA, until=ends, hold=hold, wait="none")


async def later(host: FileHost, seconds: float) -> str:
    """Return what is active when the worker has looked some time later."""
    host.clock.now += seconds
    await host.policies.turn()
    return host.state().active


async def test_what_was_held_without_an_end_comes_back(host: FileHost) -> None:
    """It was active before."""
    await switch(host, "premium", hold=True)
    await switch(host, "cost_effective", until=HOUR)

    assert await later(host, HOUR) == "premium"
    assert host.state().steering == NOT_STEERED


async def test_of_two_times_the_first_one_says_what_was_before(host: FileHost) -> None:
    """Whatever was held in between was to end too."""
    await switch(host, "premium", until=HOUR)
    await switch(host, "cost_effective", until=2 * HOUR)

    assert await later(host, 2 * HOUR) == "balanced"


@pytest.mark.parametrize("act", ["switch", "rollback"])
@pytest.mark.parametrize("hold", [True, False])
async def test_a_plain_act_without_a_policy_ends_a_hold(host: FileHost, act: str, hold: bool) -> None:
    """Nothing is held but by `--until` and `--hold`."""
    await switch(host, "premium", until=None if hold else HOUR, hold=hold)
    if act == "switch":
        await switch(host, "cost_effective")
    else:
        await host.manager.rollback(actor=ANNA, wait="none")

    assert host.state().steering == NOT_STEERED
    assert await later(host, HOUR) == ("cost_effective" if act == "switch" else "balanced")


async def test_the_same_profile_said_plainly_stays(host: FileHost) -> None:
    """Whoever switches to what is held until a time has it for good."""
    await switch(host, "premium", until=HOUR)
    await switch(host, "premium")

    assert await later(host, HOUR) == "premium"


@pytest.mark.parametrize("released", [True, False])
async def test_what_was_before_comes_back_once_a_rollout_is_over(
    host: FileHost, rollouts: Rollouts, released: bool
) -> None:
    """The rollout is not disturbed by the end of the hold, and does not make it last."""
    await switch(host, "premium", until=HOUR)
    await rollouts.start(PLAN, actor=ANNA, wait="none")
    if released:
        await host.policies.release(actor=ANNA, wait="none")
    assert await later(host, HOUR) == "premium"
    assert host.state().canary is not None
    with pytest.raises(NothingHeld):
        await host.policies.release(actor=ANNA, wait="none")

    await rollouts.act(Act.ABORT, actor=ANNA, wait="none")
    assert await later(host, 1) == "balanced"
    assert host.state().steering == NOT_STEERED


async def test_a_promotion_stays_though_a_hold_has_ended_meanwhile(
    host: FileHost, rollouts: Rollouts
) -> None:
    """Whoever promotes has switched."""
    await switch(host, "premium", until=HOUR)
    await rollouts.start(PLAN, actor=ANNA, wait="none")
    await later(host, HOUR)
    await rollouts.act(Act.PROMOTE, actor=ANNA, wait="none")

    assert await later(host, HOUR) == "cost_effective"
    assert host.state().steering == NOT_STEERED
