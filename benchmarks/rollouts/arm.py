"""CPU of the deciding thread for a request's arm, while a rollout runs and while none does.

Usage: python -m benchmarks.rollouts.arm [--calls 100000]. Thread CPU, so that other load does not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileSet
from neuronode_router.domain.rollouts import Canary
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin.hooks.keeping import Keeper, KeeperHost
from neuronode_router.routing.caches import CacheShares
from neuronode_router.routing.conversations import Conversations
from neuronode_router.routing.snapshot import Snapshot, build_snapshot

TURNS = [{"role": role, "content": "word " * 200} for role in ("user", "assistant", "user")]


def snapshot() -> Snapshot:
    """Return a revision that tries one of two profiles."""
    profiles = {
        name: Profile(
            name, "", "low", "high", {"chat": f"chat_{name}"}, dict.fromkeys(Tier, (f"chat_{name}",))
        )
        for name in ("balanced", "premium")
    }
    canary = Canary("r-1", "premium", "a1" * 16, share=100, since=0.0)
    state = ControlState(2, "balanced", ProfileSet(profiles), committed_at=0.0, canary=canary)
    return build_snapshot(state, HostFacts(groups=frozenset({"chat_balanced", "chat_premium"})))


def microseconds(act: Callable[[], object], calls: int) -> float:
    """Return the thread CPU of one call."""
    start = time.thread_time_ns()
    for _ in range(calls):
        act()
    return (time.thread_time_ns() - start) / calls / 1000


def main() -> None:
    """Print one line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    calls = parser.parse_args().calls
    host = KeeperHost(group_of=lambda name: name, is_well=lambda _: True, target=lambda _: None)
    keeper = Keeper(Conversations(secret=lambda: b"s"), CacheShares(), host)
    rolling = snapshot()
    resting = build_snapshot(
        replace(rolling.state, canary=None), HostFacts(groups=frozenset(rolling.aliases.values()))
    )
    talk = keeper.look({"messages": TURNS}, "acompletion", caller="me", session=None, continues=None)
    for name, now, of in (
        ("no rollout", resting, talk),
        ("by its conversation", rolling, talk),
        ("by its caller", rolling, None),
    ):
        place = partial(keeper.place, of, now, name="chat", caller="me", session=None)
        print(f"{name}: {microseconds(place, calls):.2f} us")


if __name__ == "__main__":
    main()
