"""Probes through LiteLLM's real router: the group itself, with its price, unmeasured, without texts of errors."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import litellm
import pytest
from litellm.constants import LITTELM_INTERNAL_HEALTH_SERVICE_ACCOUNT_NAME as ACCOUNT
from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.litellm_plugin.router.probing import ITSELF, RouterAsker
from neuronode_router.proof.probes import PROBES, TOOL, ProbeReason, Shape, judge
from neuronode_router.proof.runner import ProbeFailed
from neuronode_router.routing.inventory import Deployment, Inventory
from tests.host.routers import bridged, deployment, measured, router
from tests.support.upstream import Upstream
from tests.support.waiting import eventually

PAID = "a group of its own"
PRICED = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """The fake provider."""
    with Upstream() as provider:
        yield provider


def asker(made: Any, *known: Deployment) -> RouterAsker:
    groups: dict[str, tuple[Deployment, ...]] = {}
    for each in known:
        groups[each.group] = (*groups.get(each.group, ()), each)
    return RouterAsker(lambda: made, lambda: Inventory(MappingProxyType(groups)))


async def probe(made: Any, name: str, shape: Shape = Shape.TEXT, *, seconds: float = 10) -> Any:
    return await asker(made).ask(name, PROBES[shape], seconds=seconds)


@pytest.mark.parametrize("shape", [Shape.TEXT, Shape.LABEL, Shape.JSON])
async def test_an_answer_comes_with_its_price(upstream: Upstream, shape: Shape) -> None:
    """And is what the shape asks for."""
    made = router([deployment("g", "plain", f"{upstream.url}/v1", info=PRICED)])

    answer = await probe(made, "g", shape)

    assert judge(shape, answer) is ProbeReason.ANSWERED
    assert answer.cost_usd == pytest.approx(11e-6 + (3 if shape is Shape.TEXT else 1) * 2e-6)


async def test_what_has_no_price_costs_none(upstream: Upstream) -> None:
    """Never 0.00."""
    made = router([deployment("g", "priceless", f"{upstream.url}/v1")])

    assert (await probe(made, "g")).cost_usd is None


async def test_a_tool_call_is_read() -> None:
    """From LiteLLM's own response type."""
    function = {"name": TOOL, "arguments": '{"city": "Berlin"}'}
    calls = [{"id": "1", "type": "function", "function": function}]
    made = router(
        [deployment("g", "caller", "http://127.0.0.1:9/v1", mock_tool_calls=calls, mock_response="")]
    )

    assert judge(Shape.TOOL_CALL, await probe(made, "g", Shape.TOOL_CALL)) is ProbeReason.ANSWERED


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("out-fail-500", ProbeReason.UNAVAILABLE),
        ("out-fail-401", ProbeReason.AUTHENTICATION),
        ("out-fail-404", ProbeReason.NOT_FOUND),
        ("out-fail-429", ProbeReason.RATE_LIMIT),
        ("out-fail-400", ProbeReason.BAD_REQUEST),
    ],
)
async def test_a_failure_is_a_word(upstream: Upstream, name: str, why: ProbeReason) -> None:
    """Without retries and fallbacks, whatever the router is set to."""
    made = router(
        [deployment("g", name, f"{upstream.url}/v1"), deployment("rescue", "saviour", f"{upstream.url}/v1")],
        num_retries=3,
        fallbacks=[{"g": ["rescue"]}],
    )
    before = upstream.counts()

    with pytest.raises(ProbeFailed) as failed:
        await probe(made, "g")

    after = upstream.counts()
    assert (failed.value.why, str(failed.value)) == (why, why.value)
    assert after[name]["requests"] - before[name]["requests"] == 1
    assert after["saviour"]["requests"] == before["saviour"]["requests"]


async def test_a_slow_group_times_out(upstream: Upstream) -> None:
    """After the seconds a probe has."""
    made = router([deployment("g", "tardy-slow-5000", f"{upstream.url}/v1")])

    with pytest.raises(ProbeFailed, match="timeout"):
        await probe(made, "g", seconds=0.3)


async def test_no_router_is_a_failure_too() -> None:
    """While LiteLLM starts."""
    with pytest.raises(ProbeFailed, match="failed"):
        await probe(None, "g")


class Payer(CustomLogger):  # type: ignore[misc]
    """Notes on whose account LiteLLM books."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts: list[object] = []

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Note it."""
        metadata = kwargs["litellm_params"]["metadata"]
        if metadata["model_group"] == PAID:  # LiteLLM may still tell of what other tests asked
            self.accounts.append(metadata.get("user_api_key"))


async def test_litellm_books_on_its_own_account_and_we_measure_nothing(upstream: Upstream) -> None:
    """Not on a client's key; the statistics hear of a client's request only."""
    made, payer = router([deployment(PAID, "paid", f"{upstream.url}/v1", info=PRICED)]), Payer()
    litellm.logging_callback_manager.add_litellm_callback(payer)
    try:
        with measured(made) as seen:
            await probe(made, PAID)
            await made.acompletion(model=PAID, messages=[{"role": "user", "content": "Hello"}])
            await seen.settled(2)
            counted = seen.counted()
        await eventually(lambda: payer.accounts == [ACCOUNT, None])
    finally:
        litellm.logging_callback_manager.remove_callback_from_all_lists(payer)

    assert counted == {"paid": (1, 0)}


class TestAddress:
    async def test_a_group_whose_weights_are_in_memory_is_asked_by_name(self) -> None:
        """So is what is no Ollama, and what nobody knows."""
        found = asker(None, Deployment("a", "g", loaded=True), Deployment("b", "g"))

        assert [found.address(name, wake=False) for name in ("g", "unknown")] == ["g", "unknown"]

    async def test_of_a_mixed_group_a_loaded_deployment_is_asked(self) -> None:
        """By its id, so that no other one is chosen."""
        found = asker(None, Deployment("a", "g", loaded=False), Deployment("b", "g", loaded=True))

        assert (found.address("g", wake=False), found.address("g", wake=True)) == ("b", "g")

    async def test_nobody_is_asked_where_none_is_loaded(self) -> None:
        """Unless it is wanted."""
        found = asker(None, Deployment("a", "g", loaded=False))

        assert (found.address("g", wake=False), found.address("g", wake=True)) == (None, "g")

    async def test_a_deployment_can_be_asked_by_its_id(self, upstream: Upstream) -> None:
        """LiteLLM's router takes it for a name."""
        entries = [deployment("g", name, f"{upstream.url}/v1") for name in ("one", "two")]
        before = upstream.counts()["two"]["requests"]

        await probe(router(entries), "two")

        assert upstream.counts()["two"]["requests"] == before + 1


@pytest.mark.parametrize("method", ["acompletion", "aanthropic_messages", "aresponses"])
@pytest.mark.parametrize(("how", "cools"), [({}, True), (ITSELF, False)], ids=["a client's", "ours"])
async def test_what_we_ask_keeps_no_client_from_a_deployment(
    upstream: Upstream, method: str, how: dict[str, Any], *, cools: bool
) -> None:
    """An error that would put a deployment into LiteLLM's cooldown for a client does not for us."""
    url = f"{upstream.url}/v1"
    made = router([deployment("g", "out-fail-429", url), deployment("g", "well", url)], allowed_fails=0)
    said = [{"role": "user", "content": "hi"}]
    body = {"input": said} if method == "aresponses" else {"messages": said, "max_tokens": 9}

    with pytest.raises(litellm.exceptions.RateLimitError):
        await getattr(made, method)(model="out-fail-429", **body, **(how or {"num_retries": 0}))

    if cools:
        await eventually(lambda: "out-fail-429" in bridged(made).cooling())
    await getattr(made, method)(model="well", **body, **how)
    assert ("out-fail-429" in bridged(made).cooling()) is cools
