"""Fit in a real LiteLLM router: what cannot hold a request is not asked, whatever the strategy, order or endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import litellm
import pytest
from litellm.responses.utils import ResponsesAPIRequestUtils

from neuronode_router.background import Failures
from neuronode_router.litellm_plugin.hooks.callbacks import Callbacks
from neuronode_router.litellm_plugin.hooks.request_metadata import KEY, LEAST_BAD, SIZE
from neuronode_router.litellm_plugin.hooks.response_state import deployment_with_state
from neuronode_router.litellm_plugin.router.deployment_filter import DeploymentFilter
from neuronode_router.litellm_plugin.router.model_facts import with_model_facts
from neuronode_router.litellm_plugin.router.widening import Widening
from neuronode_router.routing.conversation import read_needs
from neuronode_router.routing.inventory import Ability, read_inventory
from tests.host.routers import FakeMonitor, bridged, cool_down, deployment, pick, router
from tests.support.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENTENCE = "The market hall stayed closed, and prices had fallen within a year. "
LONG = [{"role": "user", "content": SENTENCE * 4_300}]
LONGER = [{"role": "user", "content": SENTENCE * 300}]
SHORT = [{"role": "user", "content": "hello"}]
IMAGE = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}
]
SHOWN = pytest.mark.skipif(
    find_spec("litellm.router_rust") is None,
    reason="before 1.110 a router shows filters no input of embeddings: only the gate sees it",
)
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def monitor() -> FakeMonitor:
    return FakeMonitor()


@pytest.fixture
def ours(monitor: FakeMonitor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Build routers whose deployments our filter knows by the monitor, and no other filter."""
    monkeypatch.setattr(litellm, "callbacks", [])
    added: list[tuple[Failures, Callbacks]] = []

    def build(entries: list[dict[str, Any]], **settings: Any) -> Any:
        over, failures = router(entries, **settings), Failures()
        choice = DeploymentFilter(bridged(over), monitor, failures=failures)
        added.append((failures, Callbacks([Widening(monitor.candidate, failures=failures)], [choice])))
        added[-1][1].hold()
        return over

    yield build
    for failures, callbacks in added:
        assert failures.total == 0
        callbacks.release()


async def served(over: Any, name: str = "g", **request: Any) -> str:
    answer = await over.acompletion(model=name, **request)
    return str(answer._hidden_params["model_id"])


@pytest.mark.parametrize("strategy", ["simple-shuffle", "usage-based-routing-v2"])
@pytest.mark.parametrize("first", [1, None])
async def test_order_does_not_lead_to_a_window_that_is_too_small(
    ours: Any, monitor: FakeMonitor, upstream: Upstream, strategy: str, first: int | None
) -> None:
    """300,000 characters leave out the deployment that order or strategy would have picked; short ones do not."""
    monitor.knows("a", context_window=8192)
    monitor.knows("b", context_window=131_072)
    entries = [
        deployment("g", "a", upstream.url, **({"order": first} if first else {})),
        deployment("g", "b", upstream.url, **({"order": 2} if first else {})),
    ]
    over = ours(entries, routing_strategy=strategy)

    assert {await served(over, messages=LONG) for _ in range(5)} == {"b"}
    if first:
        assert await served(over, messages=SHORT) == "a"


@pytest.mark.parametrize(
    ("request_", "of_a", "of_b"),
    [
        ({"messages": IMAGE}, {"refuses": frozenset({"image"})}, {}),
        ({"messages": IMAGE}, {}, {"modalities": frozenset({"text", "image"})}),
        ({"messages": SHORT, "tools": TOOLS}, {"cannot": frozenset({Ability.TOOLS})}, {}),
        ({"messages": SHORT, "logprobs": True}, {"accepts": frozenset({"n"})}, {}),
        ({"messages": SHORT, "max_tokens": 3000}, {"max_tokens": 2000}, {}),
    ],
)
async def test_what_a_request_needs_chooses_within_a_group(
    ours: Any, monitor: FakeMonitor, upstream: Upstream, request_: dict[str, Any], of_a: Any, of_b: Any
) -> None:
    """The faster one, which lacks it, is left out."""
    monitor.knows("a", latency_ms=10, **of_a)
    monitor.knows("b", latency_ms=900, **of_b)
    over = ours([deployment("g", name, upstream.url) for name in "ab"])

    assert await served(over, messages=SHORT) == "a"
    assert {await served(over, **request_) for _ in range(5)} == {"b"}


async def test_where_nothing_fits_nobody_is_asked(
    ours: Any, monitor: FakeMonitor, upstream: Upstream
) -> None:
    """The error is LiteLLM's own, a 400, and names need and limits."""
    monitor.knows("a", context_window=8192)
    over = ours([deployment("g", "a", upstream.url)])
    before = upstream.counts()

    with pytest.raises(litellm.ContextWindowExceededError) as refused:
        await over.acompletion(model="g", messages=LONG)

    assert refused.value.status_code == 400
    assert "8192" in str(refused.value)
    assert upstream.counts() == before


async def test_modalities_that_nothing_reads_are_refused(
    ours: Any, monitor: FakeMonitor, upstream: Upstream
) -> None:
    """An image that no deployment of the group sees is not sent to one that ignores it."""
    monitor.knows("a", refuses=frozenset({"image"}))
    over = ours([deployment("g", "a", upstream.url)])
    before = upstream.counts()

    with pytest.raises(litellm.BadRequestError, match="image"):
        await over.acompletion(model="g", messages=IMAGE)

    assert upstream.counts() == before


async def test_the_least_bad_answers_where_a_profile_says_so(
    ours: Any, monitor: FakeMonitor, upstream: Upstream
) -> None:
    """The mark that admission wrote lets it through."""
    monitor.knows("a", context_window=8192)
    over = ours([deployment("g", "a", upstream.url)])

    assert await served(over, messages=LONG, metadata={KEY: {LEAST_BAD: True}}) == "a"


async def test_the_books_hear_how_large_a_request_is(
    ours: Any, monitor: FakeMonitor, upstream: Upstream
) -> None:
    """Of a stream that its client left nobody else tells what its prompt was."""
    monitor.knows("a", context_window=131_072)
    mark: dict[str, Any] = {"revision": 1}

    await served(ours([deployment("g", "a", upstream.url)]), messages=LONGER, metadata={KEY: mark})

    assert mark[SIZE] == read_needs({"messages": LONGER}).tokens


async def test_fallbacks_follow_what_does_not_fit(
    ours: Any, monitor: FakeMonitor, upstream: Upstream
) -> None:
    """Those of the request, and those that an operator configured for prompts that are too long."""
    monitor.knows("a", context_window=8192)
    entries = [deployment("g", "a", upstream.url), deployment("large", "b", upstream.url)]

    assert await served(ours(entries), messages=LONG, fallbacks=["large"]) == "b"
    assert await served(ours(entries, context_window_fallbacks=[{"g": ["large"]}]), messages=LONG) == "b"


async def test_one_that_would_fit_and_rests_is_waited_for(
    ours: Any, monitor: FakeMonitor, upstream: Upstream
) -> None:
    """It is in cooldown: LiteLLM says that there is none now, not that the request is too long."""
    monitor.knows("a", context_window=8192)
    monitor.knows("b", context_window=131_072)
    over = ours([deployment("g", name, upstream.url) for name in "ab"])
    cool_down(over, "b")

    with pytest.raises(litellm.types.router.RouterRateLimitError):
        await over.acompletion(model="g", messages=LONG)


async def windows(over: Any, *requests: dict[str, Any]) -> list[object]:
    """Return the `num_ctx` that each request asks an Ollama for."""
    asked: list[object] = []

    class Sees(litellm.integrations.custom_logger.CustomLogger):  # type: ignore[misc]
        async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
            asked.append(kwargs.get("num_ctx"))

    sees = Sees()
    litellm.logging_callback_manager.add_litellm_callback(sees)
    for request in requests:
        await over.acompletion(model="g", mock_response="ok", **request)
    litellm.logging_callback_manager.remove_callback_from_all_lists(sees)
    return asked


async def test_an_ollama_is_asked_for_the_window_that_a_request_needs(
    ours: Any, monitor: FakeMonitor, upstream: Upstream
) -> None:
    """As far as the deployment allows, and only where its usual window is too small."""
    monitor.knows("a", context_window=32_768, num_ctx=4096)
    over = ours([deployment("g", "a", upstream.url, provider="ollama_chat")])

    assert await windows(over, {"messages": SHORT}, {"messages": LONGER}) == [None, 8192]


@pytest.mark.parametrize(
    ("own", "usual", "asked"),
    [(16_384, 4096, 16_384), (2048, 4096, 8192), (2048, 8192, 8192), (0, 4096, 8192)],
)
async def test_a_window_that_a_request_asks_for_itself_stays_where_it_is_enough(
    ours: Any, monitor: FakeMonitor, upstream: Upstream, own: int, usual: int, asked: int
) -> None:
    """It is never made smaller, and made larger where it would cut the prompt."""
    monitor.knows("a", context_window=32_768, num_ctx=usual)
    over = ours([deployment("g", "a", upstream.url, provider="ollama_chat")])

    assert await windows(over, {"messages": LONGER, "num_ctx": own}) == [asked]


async def test_litellms_own_map_tells_what_models_can() -> None:
    """What an operator writes into `model_info` goes before it, and an Ollama's windows are not its business."""
    entries = [
        deployment("g", "gpt-4o", "http://127.0.0.1:9"),
        deployment(
            "g", "gpt-4", "http://127.0.0.1:9", info={"max_input_tokens": 5, "supports_vision": False}
        ),
        deployment("g", "llama3.1", "http://127.0.0.1:9", provider="ollama_chat"),
        deployment("g", "unheard-of", "http://127.0.0.1:9"),
    ]

    known = {each.id: each for each in read_inventory(with_model_facts(entries)).groups["g"]}

    assert known["gpt-4o"].context_window == litellm.model_cost["gpt-4o"]["max_input_tokens"]
    assert {"image", "pdf"} <= known["gpt-4o"].modalities
    assert (known["gpt-4"].context_window, known["gpt-4"].refuses) == (5, {"image"})
    assert known["llama3.1"].context_window is None
    assert "tools" in (known["llama3.1"].accepts or ())
    assert known["unheard-of"].context_window is None


def response_id(deployment_id: str) -> str:
    """Return an id of a response as LiteLLM hands it out."""
    return str(
        ResponsesAPIRequestUtils._build_responses_api_response_id(
            custom_llm_provider="openai", model_id=deployment_id, response_id="r-1"
        )
    )


async def test_what_is_continued_goes_to_the_deployment_that_has_it(
    ours: Any, monitor: FakeMonitor, upstream: Upstream
) -> None:
    """However slow it is: another one does not know what was said before."""
    monitor.knows("a", latency_ms=10)
    monitor.knows("b", latency_ms=900)
    over = ours([deployment("g", name, upstream.url) for name in "ab"])

    found = {await pick(over, "g", previous_response_id=response_id("b")) for _ in range(5)}

    assert found == {"b"}


@pytest.mark.parametrize("given", ["", "resp_", "resp_%%%", "resp_" + "A" * 10_000, 7, None, ["x"], "a;b;c"])
async def test_ids_that_say_nothing_are_no_matter(given: object) -> None:
    """What a client made up leads nowhere and raises nothing."""
    assert deployment_with_state({"previous_response_id": given}) is None


HIDDEN = SENTENCE * 900


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (
            "acompletion",
            {"messages": [{"content": "x", "tool_calls": [{"function": {"arguments": HIDDEN}}]}]},
        ),
        ("acompletion", {"messages": [{"role": "user", "content": {"text": "x", "more": HIDDEN}}]}),
        (
            "acompletion",
            {"messages": SHORT, "extra_body": {"messages": [{"role": "user", "content": HIDDEN}]}},
        ),
        ("acompletion", {"messages": SHORT, "documents": [{"text": HIDDEN}]}),
        ("acompletion", {"messages": SHORT, "input": HIDDEN}),
        ("acompletion", {"messages": SHORT, "prompt": HIDDEN}),
        ("aresponses", {"input": [{"content": "x", "output": HIDDEN}]}),
        pytest.param("aembedding", {"input": [[HIDDEN], ["x"]]}, marks=SHOWN),
        ("arerank", {"query": "x", "documents": ["y", HIDDEN]}),
        ("atext_completion", {"prompt": ["x", HIDDEN]}),
    ],
)
async def test_nothing_unseen_is_sent(
    ours: Any, monitor: FakeMonitor, upstream: Upstream, call: str, body: dict[str, Any]
) -> None:
    """However it is hidden in a body, nobody is asked for what does not fit."""
    monitor.knows("a", context_window=8192)
    over = ours([deployment("g", "a", upstream.url)])
    before = upstream.counts()

    with pytest.raises(litellm.BadRequestError, match="window"):
        await getattr(over, call)(model="g", **body)

    assert upstream.counts() == before


@pytest.mark.parametrize("prompt", [[SENTENCE * 200] * 6, SENTENCE * 200])
async def test_prompts_need_to_fit_singly(
    ours: Any, monitor: FakeMonitor, upstream: Upstream, prompt: list[str] | str
) -> None:
    """Also where LiteLLM hands them over a second time, as messages."""
    monitor.knows("a", context_window=8192)
    over = ours([deployment("g", "a", upstream.url)])

    answer = await over.atext_completion(model="g", prompt=prompt)

    assert answer._hidden_params["model_id"] == "a"
