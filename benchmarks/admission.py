"""What admission costs a request: CPU of our two hooks in this thread, by length of the prompt.

    python -m benchmarks.admission [--requests N] [--quick]

Printed in milliseconds, for a task alias and for `auto`: with prompts never seen before (cold: each is classified) and
with one that comes again (warm). Beside it LiteLLM's complexity router on the same prompts, its classification alone.
Network, LiteLLM's own work and waiting are not in it; the profiles are those that tests use (five, eleven tasks each).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.load import machine, percentile
from neuronode_router.access import Principal, Role
from neuronode_router.classifier import shipped
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.routing.fallback_chain import DeploymentStatus
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from tests.support.place import FIRST_PROFILE, GROUPS

if TYPE_CHECKING:
    from neuronode_router.litellm_plugin.hooks.admission_host import AdmissionHost

LENGTHS = (40, 400, 4_000, 34_000, 100_000)
HOSTILE = "first x 20000"
FILLER = "The market hall stayed closed, and prices for cod had fallen by a third within a year.\n"
TARGETS = {"alias": (0.15, None), "auto": (0.4, 1.0)}
"""Milliseconds of p50 and p99."""
TARGET_RATIO = 3.0
"""100,000 characters to 400, p50."""
WARM_UP = 100


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU milliseconds of requests."""

    p50: float
    p99: float

    @classmethod
    def of(cls, times: list[float]) -> Spent:
        """Return the percentiles of `times`."""
        return cls(percentile(times, 50), percentile(times, 99))

    def __str__(self) -> str:
        return f"{self.p50:10.4f}{self.p99:10.4f}"


def snapshot() -> Snapshot:
    """Return the snapshot of a state with the test profiles."""
    tiers = {tier: (f"tier_{tier}",) for tier in Tier}
    profiles = ProfileSet({name: Profile(name, name, "low", "good", GROUPS[name], tiers) for name in GROUPS})
    groups = {group for tasks in GROUPS.values() for group in tasks.values()}
    state = ControlState(revision=1, active=FIRST_PROFILE, profiles=profiles, committed_at=0.0)
    return build_snapshot(state, HostFacts(frozenset(groups | {f"tier_{tier}" for tier in Tier})))


def statuses() -> dict[str, tuple[DeploymentStatus, ...]]:
    """Return how three tiers of two deployments each stand: well."""
    return {
        f"tier_{tier}": tuple(
            DeploymentStatus(Deployment(f"{tier}-{number}", f"tier_{tier}", expected_ms=200.0))
            for number in range(2)
        )
        for tier in Tier
    }


def prompts(kind: int | str) -> Iterator[str]:
    """Yield prompts of a length, or hostile ones, no two alike: each begins with another word, as numbers are alike."""
    for letters in itertools.product("bcdfghjk", repeat=5):
        word = "".join(letters)
        if kind == HOSTILE:
            yield f"{word} " + "first " * 20_000
        else:
            assert isinstance(kind, int)
            text = f"Fasse Brief {word} zusammen:\n"
            yield (text + FILLER * (kind // len(FILLER) + 1))[:kind]


def request(name: str, prompt: str) -> dict[str, Any]:
    """Return request data as LiteLLM hands it to hooks."""
    return {
        "model": name,
        "messages": [{"role": "user", "content": prompt}],
        "metadata": {"user_api_key": "hash", "headers": {}, "tags": ["own"]},
        "proxy_server_request": {"headers": {"content-type": "application/json"}, "body": {}},
    }


def open_host(entries: Callable[[], Sequence[Mapping[str, Any]]]) -> AdmissionHost:
    """Return a host of one caller to whom nothing is denied; `entries` is LiteLLM's model list."""
    from litellm.proxy import proxy_server

    from neuronode_router.litellm_plugin.auth.spending import ModelBudgets
    from neuronode_router.litellm_plugin.hooks.admission_host import AdmissionHost
    from neuronode_router.litellm_plugin.hooks.group_guardrails import GroupGuardrails
    from neuronode_router.litellm_plugin.router.bridge import bridge_of
    from neuronode_router.litellm_plugin.router.location import Locations

    async def allow(*_: object) -> bool:
        return True

    caller, places = Principal(name="caller", role=Role.MEMBER), Locations(entries)
    return AdmissionHost(
        principal=lambda _: caller,
        served_by=lambda _: (None, False),
        tags=lambda: True,
        spent=lambda *_: None,
        may_use=allow,
        fallbacks=dict,
        grants=allow,
        named=lambda group: group,
        noted_tier=lambda _: None,
        places=places,
        costs=lambda _: True,
        guard=GroupGuardrails(bridge_of(lambda: None)).settle,
        within=ModelBudgets(proxy_server).within,
        place_of=places.of,
    )


async def measure(name: str, texts: Iterator[str], requests: int) -> Spent:
    """Return what both hooks take for each of the prompts."""
    # Imported here: LiteLLM takes seconds, and --help needs none of it.
    from litellm.caching.caching import DualCache
    from litellm.proxy._types import UserAPIKeyAuth

    from neuronode_router.auto.router import AutoRouter
    from neuronode_router.litellm_plugin.current import CurrentSnapshot
    from neuronode_router.litellm_plugin.hooks.admission import Admission
    from tests.host.admitted import keeper_over

    host, stand = open_host(list), statuses()
    current = CurrentSnapshot()
    current.take(snapshot())
    auto = AutoRouter(classifier=shipped(), statuses=lambda: stand)
    admission = Admission(host, auto, current, keeper_over(lambda group: group))
    user, cache, found = UserAPIKeyAuth(api_key="hash"), DualCache(), []
    for prompt in itertools.islice(texts, WARM_UP + requests):
        data = request(name, prompt)
        begun = time.thread_time_ns()
        await admission.async_pre_call_hook(user, cache, data, "acompletion")
        headers = admission.answer_headers(data, user, None)
        found.append((time.thread_time_ns() - begun) / 1e6)
        assert headers
        assert headers["x-neuronode-profile"] == FIRST_PROFILE
    assert not admission.failures.total
    return Spent.of(found[WARM_UP:])


def measure_litellm(texts: Iterator[str], requests: int) -> Spent:
    """Return what LiteLLM's complexity router takes to classify each of the prompts."""
    from benchmarks.classifier.baselines import LiteLLMRouter

    router, found = LiteLLMRouter(), []
    for prompt in itertools.islice(texts, requests):
        begun = time.thread_time_ns()
        router(prompt)
        found.append((time.thread_time_ns() - begun) / 1e6)
    return Spent.of(found)


def litellm_requests(kind: int | str) -> int:
    """Return how often to ask LiteLLM's router, which takes seconds for long prompts."""
    if kind == HOSTILE:
        return 1
    assert isinstance(kind, int)
    return 200 if kind <= 4_000 else 5


def main() -> None:
    """Print p50 and p99 for each kind of prompt."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument(
        "--quick", action="store_true", help="300 requests each, and LiteLLM only up to 4,000"
    )
    args = parser.parse_args()
    requests = 300 if args.quick else args.requests
    columns = ("task alias", "auto, cold", "auto, warm", "LiteLLM's router")
    print(f"CPU milliseconds of admission, p50 and p99 ({machine()})")
    print(f"{'characters':>14}" + "".join(f"{column:>20}" for column in columns))
    cold: dict[int | str, Spent] = {}
    gc.freeze()  # what is imported is not collected anew in every pass
    for kind in (*LENGTHS, HOSTILE):
        alias = asyncio.run(measure("classification", prompts(kind), requests))
        cold[kind] = asyncio.run(measure("auto", prompts(kind), requests))
        warm = asyncio.run(measure("auto", itertools.repeat(next(prompts(kind))), requests))
        short = isinstance(kind, int) and kind <= 4_000
        asked = args.quick and not short
        theirs = "-" if asked else str(measure_litellm(prompts(kind), litellm_requests(kind)))
        print(f"{kind:>14}{alias}{cold[kind]}{warm}{theirs:>20}", flush=True)
    p50, p99 = max(spent.p50 for spent in cold.values()), max(spent.p99 for spent in cold.values())
    print(
        f"auto, cold: worst p50 {p50:.3f} (target {TARGETS['auto'][0]}), worst p99 {p99:.3f} (target "
        f"{TARGETS['auto'][1]}), 100,000 : 400 characters {cold[100_000].p50 / cold[400].p50:.2f} (target "
        f"{TARGET_RATIO}); task alias: p50 target {TARGETS['alias'][0]}"
    )


if __name__ == "__main__":
    main()
