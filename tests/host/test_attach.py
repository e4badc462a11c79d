"""A router of the SDK that is attached: it finds out by itself which deployment is fast, and is left as it was."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import litellm
import openai
import pytest

import neuronode_router
from neuronode_router.errors import RouterTaken
from neuronode_router.litellm_plugin.hooks.callbacks import Handing
from neuronode_router.routing.overload import Health
from tests.host.routers import deployment, router
from tests.support.servers import RedisServer
from tests.support.upstream import Upstream
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Upstream() as running:
        yield running.url


def pair(url: str, *names: str, **about: Any) -> Any:
    return router([deployment("g", name, url, info=about) for name in names], disable_cooldowns=True)


async def ask(over: Any, times: int) -> Counter[str]:
    """Return how often each deployment answered, one request after the other; "" where none did."""
    found: Counter[str] = Counter()
    for _ in range(times):
        try:
            answer = await over.acompletion(model="g", messages=[{"role": "user", "content": "hello"}])
            found[answer.choices[0].message.content.partition(" ")[0]] += 1
        except openai.APIError:
            found[""] += 1
    return found


async def test_an_attached_router_finds_the_faster_deployment(url: str) -> None:
    """After a few requests have shown it, the slow one is asked no more; closed, LiteLLM draws as before."""
    over = pair(url, "fast", "lame-slow-400")
    await ask(over, 1)  # LiteLLM's first request imports for a while, whichever deployment it is given
    async with neuronode_router.attach(over) as attached:
        monitor = attached.health.monitor
        await ask(over, 12)
        await eventually(
            lambda: all(
                found and found.latency_ms for found in map(monitor.candidate, ("fast", "lame-slow-400"))
            )
        )

        learned = await ask(over, 20)

    left = await ask(over, 40)
    assert learned == {"fast": 20}
    assert set(left) == {"fast", "lame-slow-400"}


async def test_a_failing_deployment_is_left_alone(url: str) -> None:
    """Its errors make it FAILING, whatever LiteLLM's cooldown says, and the other answers everything."""
    over = pair(url, "good", "bad-fail-500")
    async with neuronode_router.attach(over) as attached:
        first = await ask(over, 24)
        await eventually(lambda: attached.health.monitor.verdicts["bad-fail-500"].health is Health.FAILING)

        then = await ask(over, 20)

    assert first[""] > 0
    assert then == {"good": 20}


async def test_requests_at_once_are_spread(url: str) -> None:
    """Equals are asked equally often while forty requests run."""
    over = pair(url, "one-slow-50", "two-slow-50")
    async with neuronode_router.attach(over):
        found = sum(await asyncio.gather(*(ask(over, 3) for _ in range(40))), Counter())

    assert min(found.values()) > 0.35 * found.total()


async def test_a_closed_router_is_as_it_was(url: str) -> None:
    """No method of its own, no callback in LiteLLM, and it may be attached again; twice at once it may not."""
    over = pair(url, "fast")
    before = dict(vars(over))
    attached = neuronode_router.attach(over)
    with pytest.raises(RouterTaken):
        neuronode_router.attach(over)

    await attached.close()
    await attached.close()
    left = {name for name in vars(over) if name not in before}
    again = neuronode_router.attach(over)
    await again.close()

    assert not left
    assert not any(isinstance(one, Handing) for one in (*litellm.callbacks, *litellm._async_success_callback))


async def test_two_routers_over_one_list_are_both_measured(url: str) -> None:
    """LiteLLM makes equal ids of equal entries."""
    one, other = pair(url, "fast"), pair(url, "fast")
    async with neuronode_router.attach(one) as first, neuronode_router.attach(other) as second:
        await ask(one, 4)
        await ask(other, 3)
        await eventually(lambda: _answers(first) == _answers(second) == 7)


def _answers(attached: Any) -> int:
    return sum(found.window.answers for found in attached.health.statistics.snapshot().values())


@pytest.mark.servers
async def test_processes_share_what_they_see(url: str, redis_server: RedisServer) -> None:
    """What one router measures, another one on the same Redis knows without a request of its own."""
    first, second = (pair(url, "fast", "lame-slow-400") for _ in range(2))
    async with (
        neuronode_router.attach(first, redis_url=redis_server.url) as one,
        neuronode_router.attach(second, redis_url=redis_server.url) as other,
    ):
        await eventually(lambda: one.health.statistics.mode == other.health.statistics.mode == "redis")
        await ask(first, 12)

        def knows() -> bool:
            found = map(other.health.monitor.candidate, ("fast", "lame-slow-400"))
            return all(candidate and candidate.latency_ms for candidate in found)

        await eventually(knows)

        assert await ask(second, 15) == {"fast": 15}


async def test_importing_the_package_stays_cheap() -> None:
    """`attach` imports LiteLLM when it is called, not before."""
    check = "import sys, neuronode_router as n; n.attach; sys.exit('litellm' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
