"""The choice of a deployment in a real LiteLLM router: LiteLLM's pipeline with and without us, and what we add."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.litellm_plugin.router.deployment_filter import DeploymentFilter
from neuronode_router.routing.overload import Health
from tests.host.routers import FakeMonitor, add, bridged, change, cool_down, deployment, pick, router
from tests.support.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE = "http://127.0.0.1:9"
TIMES = 60


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Upstream() as running:
        yield running.url


@pytest.fixture
def monitor() -> FakeMonitor:
    return FakeMonitor()


@pytest.fixture(params=[False, True], ids=["alone", "with us"])
def steer(request: pytest.FixtureRequest, monitor: FakeMonitor) -> Any:
    """Build a router; with us it has our strategy, which knows `a` and `b` and finds `a` faster."""

    def build(entries: list[dict[str, Any]], **settings: Any) -> Any:
        built = router(entries, **settings)
        if request.param:
            monitor.knows("a", latency_ms=50)
            monitor.knows("b", latency_ms=500)
            chosen_by(built, monitor)
        return built

    return build


def chosen_by(over: Any, monitor: Any) -> DeploymentFilter:
    """Let LiteLLM ask our filter about the deployments of `over`."""
    choice = DeploymentFilter(bridged(over), monitor)
    litellm.logging_callback_manager.add_litellm_callback(choice)
    return choice


def pair(**differences: Any) -> list[dict[str, Any]]:
    """Return a group `g` of two deployments, with parameters of one or the other: `a_order=2`."""
    return [
        deployment(
            "g", name, NOWHERE, **{key[2:]: value for key, value in differences.items() if key[0] == name}
        )
        for name in "ab"
    ]


async def chosen(over: Any, *, times: int = TIMES, name: str = "g", **request: Any) -> Counter[str]:
    """Return how often each deployment is chosen, by the whole of LiteLLM's pipeline."""
    return Counter([await pick(over, name, **request) for _ in range(times)])


class Drops(CustomLogger):  # type: ignore[misc]
    """A callback of the operator's that drops a deployment."""

    async def async_filter_deployments(
        self, model: str, healthy_deployments: list[Any], *_: Any, **__: Any
    ) -> Any:
        return [entry for entry in healthy_deployments if entry["model_info"]["id"] != "a"]


async def test_pipeline_cooldown(steer: Any) -> None:
    """What LiteLLM has in cooldown is not chosen, however fast it was."""
    over = steer(pair())
    cool_down(over, "a")

    assert await chosen(over) == {"b": TIMES}


async def test_pipeline_all_in_cooldown(steer: Any) -> None:
    """LiteLLM's own refusal stays."""
    over = steer(pair())
    cool_down(over, "a")
    cool_down(over, "b")

    with pytest.raises(litellm.types.router.RouterRateLimitError):
        await chosen(over)


async def test_pipeline_order(steer: Any) -> None:
    """A lower order goes first."""
    assert await chosen(steer(pair(a_order=2, b_order=1))) == {"b": TIMES}


async def test_pipeline_tags(steer: Any) -> None:
    """A tagged request stays with the deployments of its tag."""
    over = steer(pair(a_tags=["free"], b_tags=["paid"]), enable_tag_filtering=True)

    assert await chosen(over, metadata={"tags": ["paid"]}) == {"b": TIMES}


async def test_pipeline_teams(steer: Any) -> None:
    """A deployment of another team is not chosen."""
    entries = pair()
    entries[0]["model_info"]["team_id"] = "others"

    found = await chosen(steer(entries), metadata={"user_api_key_team_id": "ours"})

    assert found == {"b": TIMES}


async def test_pipeline_blocked(steer: Any) -> None:
    """A paused deployment is not chosen."""
    entries = pair()
    entries[0]["model_info"]["blocked"] = True

    assert await chosen(steer(entries)) == {"b": TIMES}


async def test_pipeline_alias(steer: Any) -> None:
    """An alias leads to its group."""
    over = steer(pair(), model_group_alias={"task": "g"})
    cool_down(over, "a")

    assert await chosen(over, name="task") == {"b": TIMES}


async def test_pipeline_excluded(steer: Any) -> None:
    """What LiteLLM's retries leave out stays out."""
    over = steer(pair())

    assert await chosen(over, _excluded_deployment_ids=["a"]) == {"b": TIMES}
    assert await chosen(over, _retry_skipped_deployment_ids=("a",)) == {"b": TIMES}


async def test_pipeline_pre_call_checks(steer: Any) -> None:
    """A deployment whose window is too small for the prompt is not chosen."""
    entries = pair()
    entries[0]["model_info"] |= {"max_input_tokens": 1}

    assert await chosen(steer(entries, enable_pre_call_checks=True)) == {"b": TIMES}


async def test_pipeline_callbacks(steer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's own filters run, and count."""
    over = steer(pair())
    monkeypatch.setattr(litellm, "callbacks", [Drops(), *litellm.callbacks])

    assert await chosen(over) == {"b": TIMES}


async def test_pipeline_by_id(steer: Any) -> None:
    """A deployment that is named itself is the one."""
    assert await chosen(steer(pair()), name="b") == {"b": TIMES}


async def test_pipeline_unknown_name(steer: Any) -> None:
    """LiteLLM's own error for a name that nobody has."""
    with pytest.raises(litellm.BadRequestError):
        await chosen(steer(pair()), name="nothing")


async def test_pipeline_strategies_that_keep_limits(steer: Any) -> None:
    """Where the operator chose a strategy for limits or prices, it decides."""
    entries = pair(a_input_cost_per_token=9.0, b_input_cost_per_token=0.1)

    assert await chosen(steer(entries, routing_strategy="cost-based-routing")) == {"b": TIMES}


async def test_pipeline_strategy_of_a_key(steer: Any) -> None:
    """A strategy that a key or team brings along goes before the router's."""
    entries = pair(a_input_cost_per_token=9.0, b_input_cost_per_token=0.1)

    assert await chosen(steer(entries), routing_strategy="cost-based-routing") == {"b": TIMES}


async def test_pipeline_weights(steer: Any) -> None:
    """Shares that an operator gave are LiteLLM's to draw by."""
    found = await chosen(steer(pair(a_weight=1, b_weight=9)), times=400)

    assert 0.82 < found["b"] / 400 < 0.97


async def test_pipeline_fallback(steer: Any, url: str) -> None:
    """A failing group moves on to the next, through the whole router."""
    entries = [
        *(deployment("bad", name, url) for name in ("a-fail-500", "b-fail-500")),
        *(deployment("g", name, url) for name in ("a", "b")),
    ]

    answer = await steer(entries).acompletion(
        model="bad", messages=[{"role": "user", "content": "hello"}], fallbacks=["g"]
    )

    assert answer.choices[0].message.content[0] in "ab"


@pytest.fixture
def ours(monitor: FakeMonitor) -> Any:
    """Build a router with our strategy."""

    def build(entries: list[dict[str, Any]], **settings: Any) -> Any:
        built = router(entries, **settings)
        chosen_by(built, monitor)
        return built

    return build


async def test_the_faster_one_is_preferred(ours: Any, monitor: FakeMonitor) -> None:
    """Idle, all requests go to the shorter expected wait."""
    monitor.knows("a", latency_ms=50)
    monitor.knows("b", latency_ms=500)

    assert await chosen(ours(pair())) == {"a": TIMES}


async def test_equals_share(ours: Any, monitor: FakeMonitor) -> None:
    """Equally fast ones share the requests."""
    monitor.knows("a")
    monitor.knows("b")

    found = await chosen(ours(pair()), times=400)

    assert 0.4 < found["a"] / 400 < 0.6


@pytest.mark.parametrize("health", [Health.SLOW, Health.FAILING, Health.COOLDOWN, Health.UNAVAILABLE])
@pytest.mark.parametrize("latency_ms", [1.0, None])
async def test_what_is_not_well_is_avoided(
    ours: Any, monitor: FakeMonitor, health: Health, latency_ms: float | None
) -> None:
    """Also where nothing was measured yet, and where LiteLLM draws by shares."""
    monitor.knows("a", health=health, latency_ms=latency_ms)
    monitor.knows("b", latency_ms=None)

    assert await chosen(ours(pair())) == {"b": TIMES}
    assert await chosen(ours(pair(a_weight=9, b_weight=1))) == {"b": TIMES}


async def test_a_trickle_probes(ours: Any, monitor: FakeMonitor) -> None:
    """A tenth of the requests find out whether one is well again."""
    monitor.knows("a", health=Health.PROBING)
    monitor.knows("b")

    found = await chosen(ours(pair()), times=600)

    assert 0.05 < found["a"] / 600 < 0.16


async def test_a_session_keeps_its_deployment(ours: Any, monitor: FakeMonitor) -> None:
    """The one that admission stamped, while it is well."""
    monitor.knows("a", latency_ms=50)
    monitor.knows("b", latency_ms=500)
    mark = {"neuronode": {"keep": "b"}}
    over = ours(pair())

    kept = await chosen(over, metadata=mark)
    monitor.knows("b", health=Health.SLOW)
    left = await chosen(over, litellm_metadata=mark)

    assert (kept, left) == ({"b": TIMES}, {"a": TIMES})


async def test_a_retry_goes_elsewhere(ours: Any, monitor: FakeMonitor) -> None:
    """What failed this very request a moment ago is not asked again while another is there."""
    monitor.knows("a", latency_ms=50)
    monitor.knows("b", latency_ms=500)
    over = ours(pair())
    failed = {"previous_models": ({"deployment_id": "a"},)}

    assert await chosen(over, metadata=failed) == {"b": TIMES}
    cool_down(over, "b")
    assert await chosen(over, metadata=failed) == {"a": TIMES}


async def test_retries_of_a_real_request_go_elsewhere(ours: Any, monitor: FakeMonitor, url: str) -> None:
    """The fast one fails; the second attempt of the same request is answered by the other."""
    monitor.knows("a-fail-500", latency_ms=1)
    monitor.knows("b", latency_ms=500)
    over = ours([deployment("g", name, url) for name in ("a-fail-500", "b")], disable_cooldowns=True)

    answer = await over.acompletion(model="g", messages=[{"role": "user", "content": "hello"}], num_retries=1)

    assert answer.choices[0].message.content.startswith("b")


async def test_a_request_that_only_one_can_hold_goes_there(ours: Any, monitor: FakeMonitor) -> None:
    """Window and modality are looked at where the deployments of a group differ."""
    monitor.knows("a", latency_ms=50, context_window=100)
    monitor.knows("b", latency_ms=500, context_window=10_000)
    over = ours(pair())

    assert await chosen(over) == {"a": TIMES}
    assert await chosen(over, max_tokens=4000) == {"b": TIMES}


async def test_where_nothing_is_known_litellm_chooses(ours: Any) -> None:
    """An empty monitor leaves LiteLLM's shuffle as it is."""
    found = await chosen(ours(pair()), times=400)

    assert 0.4 < found["a"] / 400 < 0.6


async def test_a_broken_monitor_does_no_harm() -> None:
    """It is counted, and LiteLLM chooses."""

    class Broken:
        def candidate(self, deployment_id: str) -> Any:
            raise ZeroDivisionError(deployment_id)

    over = router(pair())
    choice = chosen_by(over, Broken())

    found = await chosen(over)

    assert found.total() == TIMES
    assert choice.failures.total == TIMES


@pytest.mark.parametrize("strategy", ["latency-based-routing", "least-busy", "simple-shuffle"])
async def test_it_survives_changes_of_litellms_strategy(
    ours: Any, monitor: FakeMonitor, strategy: str
) -> None:
    """A save in LiteLLM's UI or a reload sets the strategy anew: what was an operator's choice is ours again."""
    monitor.knows("a", latency_ms=50)
    monitor.knows("b", latency_ms=500)
    over = ours(pair(), routing_strategy="cost-based-routing")
    before = bridged(over).strategy("g", {})

    change(over, routing_strategy=strategy)

    assert before == "cost-based-routing"
    assert await chosen(over) == {"a": TIMES}


async def test_what_changes_in_the_router_is_seen(ours: Any, monitor: FakeMonitor) -> None:
    """Deployments and aliases that come later are chosen from as on the router itself."""
    over = ours([deployment("g", "b", NOWHERE)])
    monitor.knows("a", latency_ms=50)
    monitor.knows("b", latency_ms=500)

    add(over, deployment("g", "a", NOWHERE))
    change(over, model_group_alias={"later": "g"})

    assert await chosen(over, name="later") == {"a": TIMES}


async def test_another_router_of_the_process_is_not_chosen_for(ours: Any, monitor: FakeMonitor) -> None:
    """LiteLLM asks its callbacks for every router; the deployments of others are not ours to leave out."""
    monitor.knows("a", latency_ms=50)
    monitor.knows("b", latency_ms=500)
    ours(pair())
    other = router([deployment("g", name, NOWHERE) for name in ("c", "d")])
    monitor.knows("c", latency_ms=50)
    monitor.knows("d", latency_ms=500)

    found = await chosen(other, times=200)

    assert set(found) == {"c", "d"}


async def test_cooldowns_are_read_from_memory(ours: Any) -> None:
    """By deployment id; those that are over are not among them."""
    over = ours(pair())
    before = bridged(over).cooling()

    cool_down(over, "a")

    assert (before, bridged(over).cooling()) == (frozenset(), frozenset({"a"}))
