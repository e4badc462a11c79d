"""What steering costs a request: rollout, policy, residency, personal data and warm, in use and not in use.

    python -m benchmarks.in_use [--turns 60]

CPU of admission's two hooks in this thread, in turns on one admission: each feature on and off, and off against off,
which is the method's own error. Beside it what is left of each feature on a request's path while nobody uses it: the
calls that admission makes of it, on the same objects. Network, LiteLLM's own work and waiting are not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from litellm.caching.caching import DualCache
from litellm.proxy._types import UserAPIKeyAuth

from benchmarks.admission import open_host, request, statuses
from benchmarks.load import machine, ratios
from neuronode_router.auto.router import AutoRouter
from neuronode_router.classifier import shipped
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileSet
from neuronode_router.domain.rollouts import Canary
from neuronode_router.domain.rules import PersonalDataRule
from neuronode_router.domain.state import ControlState
from neuronode_router.domain.steering import Bend, Steering
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks.admission import Admission
from neuronode_router.litellm_plugin.hooks.admission_host import AdmissionHost
from neuronode_router.litellm_plugin.hooks.asking import Asking
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from tests.host.admitted import keeper_over
from tests.support.place import FIRST_PROFILE, GROUPS

TURN = 100
"""Requests before something is switched again."""
CALLS = 50_000
PROMPT = "Which of these labels is right for the letter below? " * 8
USER = UserAPIKeyAuth(api_key="hash")
HERE = "http://127.0.0.1:9"


def state(**changed: Any) -> ControlState:
    """Return a revision of the test profiles; `residency` and `personal_data` are of the active one."""
    tiers = {tier: (f"tier_{tier}",) for tier in Tier}
    profiles = {name: Profile(name, name, "low", "good", GROUPS[name], tiers) for name in GROUPS}
    rules = {key: changed.pop(key) for key in ("residency", "personal_data") if key in changed}
    profiles[FIRST_PROFILE] = replace(profiles[FIRST_PROFILE], **rules)
    return replace(ControlState(1, FIRST_PROFILE, ProfileSet(profiles), committed_at=0.0), **changed)


def groups() -> frozenset[str]:
    """Return every group that the profiles name."""
    return frozenset(
        {group for tasks in GROUPS.values() for group in tasks.values()} | {f"tier_{t}" for t in Tier}
    )


def snapshots() -> Mapping[str, Snapshot]:
    """Return what is served while each feature is in use. Warm has no part in requests, so it is served as nothing."""
    canary = Canary("r-1", "balanced", "a1" * 16, share=500, since=0.0)
    bends = (Bend("night", emergency=False, task="chat", group="tier_fast", max_tier=Tier.MEDIUM),)
    made = {
        "nothing": state(),
        "rollout": state(canary=canary),
        "policy": state(steering=Steering("p", bends=bends)),
        "residency": state(residency=("local",)),
        "personal data": state(personal_data=PersonalDataRule.LOCAL),
        "warm": state(),
    }
    return {name: build_snapshot(each, HostFacts(groups())) for name, each in made.items()}


@dataclass(slots=True)
class Desk:
    """One admission whose snapshot can be changed."""

    current: CurrentSnapshot
    host: AdmissionHost
    admission: Admission

    async def turn(self, snapshot: Snapshot) -> float:
        """Return the CPU of one request, in microseconds: the median of a turn."""
        self.current.take(snapshot)
        cache, found = DualCache(), []
        for _ in range(TURN):
            data = request("chat", PROMPT)
            begun = time.thread_time_ns()
            await self.admission.async_pre_call_hook(USER, cache, data, "acompletion")
            self.admission.answer_headers(data, USER, None)
            found.append((time.thread_time_ns() - begun) / 1000)
        assert not self.admission.failures.total
        return statistics.median(found)


def desk() -> Desk:
    """Return an admission over deployments on this machine."""
    stand = statuses()
    entries = [
        {
            "model_name": group,
            "litellm_params": {"model": "openai/m", "api_base": HERE},
            "model_info": {"id": group},
        }
        for group in sorted(groups())
    ]
    host = open_host(lambda: entries)
    current = CurrentSnapshot()
    auto = AutoRouter(classifier=shipped(), statuses=lambda: stand)
    return Desk(current, host, Admission(host, auto, current, keeper_over(lambda group: group)))


def unused(host: AdmissionHost, snapshot: Snapshot) -> Mapping[str, Sequence[Callable[[], object]]]:
    """Return the calls that admission makes of each feature for a task that is not `auto`, where nobody uses any."""
    asking = Asking(host, snapshot, USER, request("chat", PROMPT))
    decision = asking.decide("chat")
    profiles = {FIRST_PROFILE}
    return {
        "rollout": (lambda: asking.snapshot.state.canary is not None, lambda: decision.arm is not None),
        "policy": (lambda: asking.highest(decision),),
        "residency": (
            lambda: asking.places_of(FIRST_PROFILE),
            lambda: asking.stays(decision.group, asking.places),
        ),
        "personal data": (
            lambda: asking.at_home(decision),
            lambda: asking.personal.refusal(profiles),
            asking.personal_mark,
        ),
        "warm": (),
    }


def microseconds(calls: Sequence[Callable[[], object]]) -> float:
    """Return the thread CPU of all of them together."""
    begun = time.thread_time_ns()
    for _ in range(CALLS):
        for call in calls:
            call()
    return (time.thread_time_ns() - begun) / CALLS / 1000 if calls else 0.0


async def in_turns(desk: Desk, served: Mapping[str, Snapshot], turns: int) -> None:
    """Print one line for each feature."""
    left = {name: microseconds(calls) for name, calls in unused(desk.host, served["nothing"]).items()}
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in served}
    await desk.turn(served["nothing"])
    for number in range(turns):
        for name, snapshot in served.items():
            both = {}
            for on in (False, True) if number % 2 else (True, False):
                both[on] = await desk.turn(snapshot if on else served["nothing"])
            pairs[name].append((both[False], both[True]))
    for name, found in pairs.items():
        off, on = (statistics.median(column) for column in zip(*found, strict=True))
        idle = "" if name == "nothing" else f"; not in use {left[name]:.2f} us"
        print(f"{name:>14}: {off:6.1f} us off, {on:6.1f} us on, {ratios(found)}{idle}", flush=True)


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--turns", type=int, default=60)
    turns = arguments.parse_args().turns
    print(machine())
    gc.freeze()  # what is imported is not collected anew in every turn
    asyncio.run(in_turns(desk(), snapshots(), turns))


if __name__ == "__main__":
    main()
