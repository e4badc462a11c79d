"""What admission costs a request: CPU of our two hooks in this thread, by length of the prompt.

    python -m benchmarks.admission [--requests N]

Printed in milliseconds. Network, LiteLLM's own work and waiting are not in it; the profiles are those that tests
use (five, eleven tasks each).
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

from benchmarks.load import machine, percentile
from neuronode_router.access import Principal, Role
from neuronode_router.domain import ControlState, HostFacts, Profile, ProfileSet, Tier
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from tests.support.place import FIRST_PROFILE, GROUPS

LENGTHS = (40, 4_000, 100_000)
TARGET_MS = 0.15


def snapshot() -> Snapshot:
    """Return the snapshot of a state with the test profiles."""
    tiers = {tier: (f"tier_{tier}",) for tier in Tier}
    profiles = ProfileSet({name: Profile(name, name, "low", "good", GROUPS[name], tiers) for name in GROUPS})
    groups = {group for tasks in GROUPS.values() for group in tasks.values()}
    state = ControlState(revision=1, active=FIRST_PROFILE, profiles=profiles, committed_at=0.0)
    return build_snapshot(state, HostFacts(frozenset(groups | {f"tier_{tier}" for tier in Tier})))


def request(length: int) -> dict[str, Any]:
    """Return request data as LiteLLM hands it to hooks."""
    return {
        "model": "classification",
        "messages": [{"role": "user", "content": "word " * (length // 5)}],
        "metadata": {"user_api_key": "hash", "headers": {}, "tags": ["own"]},
        "proxy_server_request": {"headers": {"content-type": "application/json"}, "body": {}},
    }


async def measure(length: int, requests: int) -> list[float]:
    """Return the CPU milliseconds of both hooks for each request."""
    # Imported here: LiteLLM takes seconds, and --help needs none of it.
    from litellm.caching.caching import DualCache
    from litellm.proxy._types import UserAPIKeyAuth

    from neuronode_router.litellm_plugin.admission import Admission, Host

    caller = Principal(name="caller", role=Role.MEMBER)
    admission = Admission(
        Host(principal=lambda _: caller, served_by=lambda _: (None, False), tags=lambda: True)
    )
    admission.take(snapshot())
    user, cache, found = UserAPIKeyAuth(api_key="hash"), DualCache(), []
    for _ in range(requests):
        data = request(length)
        begun = time.thread_time_ns()
        await admission.async_pre_call_hook(user, cache, data, "acompletion")
        headers = await admission.async_post_call_response_headers_hook(data, user, None)
        found.append((time.thread_time_ns() - begun) / 1e6)
        assert headers
        assert data["model"] == GROUPS[FIRST_PROFILE]["classification"]
    return found


def main() -> None:
    """Print p50 and p99 for each length of prompt."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=5000)
    requests = parser.parse_args().requests
    print(
        f"CPU milliseconds of admission, target p50 {TARGET_MS} ({machine()})\n{'characters':>10}{'p50':>9}{'p99':>9}"
    )
    for length in LENGTHS:
        times = asyncio.run(measure(length, requests))
        print(f"{length:>10}{percentile(times, 50):9.4f}{percentile(times, 99):9.4f}", flush=True)


if __name__ == "__main__":
    main()
