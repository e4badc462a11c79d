"""Every attempt of a real LiteLLM router at a real provider process is counted once, at the right deployment."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import litellm
import openai
import pytest
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger
from litellm.types.utils import Usage
from litellm.utils import Rules

from neuronode_router.litellm_plugin.hooks.attempts import AttemptHooks
from neuronode_router.litellm_plugin.hooks.request_metadata import ASKED, WENT
from neuronode_router.stats import tally as fields
from tests.host.routers import Measured, bridged, deployment, measured, router
from tests.support.upstream import Upstream
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWER, ERROR = (1, 0), (0, 1)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def url(upstream: Upstream) -> str:
    return upstream.url


@pytest.fixture
async def counted(url: str) -> AsyncIterator[Measured]:
    entries = [
        deployment("good", "ok", url),
        deployment("claude", "claude", url, provider="anthropic"),
        deployment("text", "text", url, provider="text-completion-openai"),
        deployment("ollama", "llama", url, provider="ollama_chat"),
        deployment("full", "full-fail-503", url),
        deployment("busy", "busy-fail-429", url),
        deployment("wrong", "wrong-fail-400", url),
        deployment("keyless", "keyless-fail-401", url),
        deployment("forbidden", "forbidden-fail-403", url),
        deployment("unheard", "unheard-fail-404", url),
        deployment("gone", "gone", "http://127.0.0.1:9"),
        deployment("silent", "silent-slow-3000", url, timeout=0.3),
        deployment("slow", "slow-3000", url, timeout=20.0),
        deployment("breaks", "breaks-break-stream", url),
    ]
    with measured(router(entries, disable_cooldowns=True)) as found:
        yield found
    assert found.attempts.failures.total == 0


def say(text: str = "hello") -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


async def consume(answer: Any) -> None:
    """Read an answer to its end."""
    if hasattr(answer, "__aiter__"):
        async for _ in answer:
            pass


PLAIN = {
    "chat": ("acompletion", {"model": "good", "messages": say()}, "ok"),
    "chat of Anthropic": ("acompletion", {"model": "claude", "messages": say(), "max_tokens": 9}, "claude"),
    "text": ("atext_completion", {"model": "text", "prompt": "hello"}, "text"),
    "embedding": ("aembedding", {"model": "good", "input": ["hello"]}, "ok"),
    "responses": ("aresponses", {"model": "good", "input": "hello"}, "ok"),
    "responses by chat": ("aresponses", {"model": "claude", "input": "hello"}, "claude"),
    "messages": ("aanthropic_messages", {"model": "claude", "messages": say(), "max_tokens": 9}, "claude"),
    "messages by responses": (
        "aanthropic_messages",
        {"model": "good", "messages": say(), "max_tokens": 9},
        "ok",
    ),
}
STREAMED = {kind: call for kind, call in PLAIN.items() if kind != "embedding"}


@pytest.mark.parametrize("kind", PLAIN)
async def test_a_plain_answer_counts_once(counted: Measured, kind: str) -> None:
    """Whatever the endpoint, also where LiteLLM makes a call within the call, and with its tokens."""
    method, body, name = PLAIN[kind]

    await getattr(counted.router, method)(**body)

    await counted.settled(1)
    assert counted.counted() == {name: ANSWER}
    assert counted.tally(name).get(fields.TOKENS, 0) == (0 if kind == "embedding" else 3)


@pytest.mark.parametrize("kind", STREAMED)
async def test_a_stream_counts_once_at_its_end_with_its_first_token(counted: Measured, kind: str) -> None:
    """In flight until it has been read; the first token is no later than the end."""
    method, body, name = STREAMED[kind]

    stream = await getattr(counted.router, method)(**body, stream=True)
    running = dict(counted.recorder.depths)
    await consume(stream)

    assert running == {name: 1}
    await counted.settled(1)
    assert counted.counted() == {name: ANSWER}
    assert (
        sum(count for field, count in counted.tally(name).items() if field.startswith(fields.FIRST_TOKEN))
        == 1
    )


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("full", {"full-fail-503": ERROR}),
        ("busy", {"busy-fail-429": ERROR}),
        ("gone", {"gone": ERROR}),
        ("silent", {"silent-slow-3000": ERROR}),
        ("keyless", {"keyless-fail-401": ERROR}),
        ("forbidden", {"forbidden-fail-403": ERROR}),
        ("unheard", {"unheard-fail-404": ERROR}),
        ("wrong", {}),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_failure_counts_once_unless_the_request_was_wrong(
    counted: Measured, group: str, expected: dict[str, tuple[int, int]], stream: bool
) -> None:
    """No capacity, no connection, the operator's time-out and our key or model refused are errors; a bad request says
    nothing.
    """
    with pytest.raises(openai.OpenAIError):
        await consume(await counted.router.acompletion(model=group, messages=say(), stream=stream))

    await counted.settled(1)
    assert counted.counted() == expected


class Gate(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """A callback that refuses what is about to be sent, with the status by which a provider would refuse our key."""

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        """Refuse it."""
        raise HTTPException(status_code=403, detail="Not from here.")


async def test_what_the_proxy_itself_refuses_says_nothing(
    counted: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own 403 is no word of the provider, which was not asked: no caller out of bounds may use that.

    Of streams LiteLLM logs it as the attempt's failure; of plain requests it tells nobody.
    """
    monkeypatch.setattr(litellm, "callbacks", [*litellm.callbacks, Gate()])

    with pytest.raises(HTTPException):
        await consume(await counted.router.acompletion(model="good", messages=say(), stream=True))

    await counted.settled(1)
    assert counted.counted() == {}


async def test_a_request_that_cannot_be_sent_says_nothing(counted: Measured) -> None:
    """LiteLLM fails on malformed messages with its class for lost connections: no caller may use that."""
    with pytest.raises(litellm.APIConnectionError):
        await counted.router.acompletion(model="good", messages=[{"role": "user", "content": 5}])

    await counted.settled(1)
    assert counted.counted() == {}


@pytest.mark.parametrize(
    "wish",
    [
        {"timeout": 0.05},
        {"timeout": "0.05"},
        {"request_timeout": "0.05"},
        {"request_timeout": 0.05},
        {"timeout": httpx.Timeout(20.0, read=0.05)},
        {"timeout": "5e-2"},
        {"timeout": " 0.05 "},
        {"stream": True, "stream_timeout": "0.000001"},
        {"stream": True, "timeout": "0.000001"},
    ],
    ids=str,
)
async def test_impatient_callers_leave_no_trace(counted: Measured, wish: dict[str, Any]) -> None:
    """A time-out that the request brought itself, shorter than the operator's, is the caller's affair."""
    for _ in range(3):
        with pytest.raises(litellm.Timeout):
            await consume(await counted.router.acompletion(model="slow", messages=say(), **wish))

    await counted.settled(3)
    assert counted.counted() == {}


@pytest.mark.parametrize("wish", [{"timeout": 0}, {"stream_timeout": 0.05}, {"timeout": None}], ids=str)
async def test_what_litellm_passes_over_is_no_excuse(counted: Measured, wish: dict[str, Any]) -> None:
    """A wish of no time, and one for streams at a plain request: the operator's time-out ran out."""
    with pytest.raises(litellm.Timeout):
        await counted.router.acompletion(model="silent", messages=say(), **wish)

    await counted.settled(1)
    assert counted.counted() == {"silent-slow-3000": ERROR}


async def test_a_longer_wish_than_the_operator_allows_is_no_excuse(counted: Measured) -> None:
    """LiteLLM waits as long as the request wishes; a silence beyond the operator's limit is evidence."""
    with pytest.raises(litellm.Timeout):
        await counted.router.acompletion(model="silent", messages=say(), timeout=0.5)

    await counted.settled(1)
    assert counted.counted() == {"silent-slow-3000": ERROR}


async def test_a_cancelled_request_leaves_no_trace(counted: Measured) -> None:
    """In flight while it ran; gone at once when its caller gives up."""
    request = asyncio.create_task(counted.router.acompletion(model="slow", messages=say()))
    await eventually(lambda: counted.recorder.depths == {"slow-3000": 1})

    request.cancel()
    await asyncio.gather(request, return_exceptions=True)

    assert not counted.recorder.depths
    assert counted.counted() == {}


# Not `messages` of Anthropic: of such a stream LiteLLM says outside the proxy that it was complete. Nor `text`: outside
# the proxy LiteLLM keeps a text stream that was left.
@pytest.mark.parametrize("kind", sorted(STREAMED.keys() - {"messages", "text"}))
@pytest.mark.parametrize("politely", [True, False], ids=["closed", "dropped"])
async def test_a_stream_that_is_left_leaves_no_trace(counted: Measured, kind: str, politely: bool) -> None:
    """Closed, or forgotten and freed: it is in flight no more, and its piece of an answer is not counted."""
    method, body, name = STREAMED[kind]
    many = {key: say("words-50 pause-20") if key == "messages" else value for key, value in body.items()}
    many |= {key: "words-50 pause-20" for key in ("input", "prompt") if key in body}
    stream = await getattr(counted.router, method)(**many, stream=True)
    await anext(aiter(stream))
    assert counted.recorder.depths == {name: 1}

    if politely and hasattr(stream, "aclose"):
        await stream.aclose()
    del stream
    gc.collect()

    await eventually(lambda: not counted.recorder.depths)
    assert counted.counted() == {}


async def test_a_stream_that_breaks_is_an_error(counted: Measured) -> None:
    """After its beginning, too."""
    with pytest.raises(litellm.APIConnectionError):
        await consume(
            await counted.router.acompletion(model="breaks", messages=say("words-20 pause-5"), stream=True)
        )

    await counted.settled(1)
    assert counted.counted() == {"breaks-break-stream": ERROR}


async def test_retries_and_fallbacks_count_at_each_deployment(counted: Measured) -> None:
    """Two attempts at the first group, one at the second: one request of the client, three attempts."""
    answer = await counted.router.acompletion(
        model="full", messages=say(), num_retries=1, fallbacks=["busy", "good"]
    )

    assert answer.choices[0].message.content.startswith("ok")
    await counted.settled(1)
    assert counted.counted() == {"full-fail-503": (0, 2), "busy-fail-429": (0, 2), "ok": ANSWER}


async def test_a_stream_is_timed_from_its_own_attempt(counted: Measured) -> None:
    """As on a proxy, where the attempts of a request share a logging object that began long before them."""
    request: dict[str, Any] = {"messages": say(), "stream": True, "litellm_call_id": "mine"}
    long_ago = datetime.now() - timedelta(minutes=1)  # noqa: DTZ005  as LiteLLM has it
    shared, request = litellm.utils.function_setup("acompletion", Rules(), long_ago, model="full", **request)

    await consume(await counted.router.acompletion(**request, litellm_logging_obj=shared, fallbacks=["good"]))

    await counted.settled(1)
    assert counted.counted() == {"full-fail-503": ERROR, "ok": ANSWER}
    times = fields.histograms(counted.tally("ok"))
    for kind in (fields.TOTAL, fields.FIRST_TOKEN):
        slowest = times[kind].quantile(1.0)
        assert slowest is not None
        assert slowest < 30_000


async def test_what_a_stream_thought_first_counts_as_writing(counted: Measured) -> None:
    """LiteLLM tells of reasoning tokens with the usage, at the end."""
    began = datetime.now()  # noqa: DTZ005  as LiteLLM has it
    stream = await counted.router.acompletion(
        model="good", messages=say(), stream=True, litellm_call_id="mine"
    )
    told = {"litellm_call_id": "mine", "completion_start_time": began + timedelta(seconds=18)}
    answer = litellm.ModelResponse(usage=Usage(completion_tokens=2000, reasoning_tokens=1800))

    await counted.attempts.async_log_success_event(told, answer, began, began + timedelta(seconds=20))
    await consume(stream)

    await counted.settled(1)
    assert counted.counted() == {"ok": ANSWER}
    assert 15_000 < counted.tally("ok")[fields.GENERATING_MS] <= 20_000


async def test_a_task_remembers_no_attempt_that_has_ended(counted: Measured) -> None:
    """A program may make all its requests in one task."""
    task = asyncio.current_task()
    assert task is not None
    before = len(task._callbacks or ())  # type: ignore[attr-defined]  # of asyncio's own class

    for group in ("good", "full", "good"):
        with contextlib.suppress(openai.OpenAIError):
            await counted.router.acompletion(model=group, messages=say())

    await counted.settled(3)
    assert len(task._callbacks or ()) == before  # type: ignore[attr-defined]


async def test_a_cached_answer_is_no_attempt(counted: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second request is answered by LiteLLM itself."""
    monkeypatch.setattr(litellm, "cache", litellm.Cache())
    await counted.router.acompletion(model="good", messages=say("cached?"), caching=True)
    await eventually(lambda: litellm.cache.cache.cache_dict)
    await counted.router.acompletion(model="good", messages=say("cached?"), caching=True)

    await counted.settled(2)

    assert counted.counted() == {"ok": ANSWER}


async def test_a_cold_answer_says_nothing(url: str) -> None:
    """What took long because weights had to be loaded is no evidence."""
    with measured(router([deployment("ollama", "llama", url)]), cold=frozenset({"llama"})) as found:
        await found.router.acompletion(model="ollama", messages=say())

        await found.settled(1)
        assert found.counted() == {}


async def test_a_client_cannot_name_the_deployment_that_is_blamed(counted: Measured) -> None:
    """What the body says of deployments in its metadata does not count."""
    forged = {"model_info": {"id": "victim"}}
    with pytest.raises(litellm.ServiceUnavailableError):
        await counted.router.acompletion(
            model="full",
            messages=say(),
            metadata=dict(forged),
            litellm_metadata=dict(forged),
            model_info=forged,
        )

    await counted.settled(1)
    assert counted.counted() == {"full-fail-503": ERROR}


async def test_streams_under_one_id_do_not_mix(counted: Measured) -> None:
    """Clients may choose LiteLLM's request id: of two streams at once under one id only the first is measured."""
    # As on a proxy, where each request has a task of its own.
    streams = [
        await asyncio.create_task(
            counted.router.acompletion(
                model=group, messages=say(), stream=True, litellm_call_id="mine", max_tokens=9
            )
        )
        for group in ("good", "claude")
    ]
    await asyncio.gather(*map(consume, streams))

    await counted.settled(2)
    assert counted.counted() == {"ok": ANSWER}


async def test_calls_beside_the_router_are_not_counted(counted: Measured, url: str) -> None:
    """LiteLLM's hooks fire for them too."""
    await litellm.acompletion(model="openai/ok", messages=say(), api_base=url, api_key="none")

    await counted.settled(1)
    assert counted.counted() == {}


@pytest.mark.parametrize(("base", "went"), [("", ["eu"]), ("/v1", [None])])
async def test_of_a_call_with_the_clients_own_key_it_is_noted_whom_it_is_for(
    url: str, base: str, went: list[str | None]
) -> None:
    """LiteLLM gives it an id of its own. How it ends says nothing of the deployment; an address of the client's own is
    nowhere that we know.
    """
    mark: dict[str, Any] = {"group": "good"}
    own = {"api_key": "sk-mine", **({"api_base": url + base} if base else {})}
    with measured(
        router([deployment("good", "ok", url)]), place_of=lambda name, _: {"ok": "eu"}.get(name)
    ) as counted:
        await counted.router.acompletion(model="good", messages=say(), metadata={"neuronode": mark}, **own)
        await counted.settled(1)

    assert (mark[ASKED], mark[WENT]) == ("ok", went)
    assert counted.counted() == {}


async def test_what_fails_in_measuring_fails_no_request(url: str) -> None:
    """A recorder that raises is counted, and the answers arrive, plain and streamed."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise ZeroDivisionError(name)

    over = router([deployment("good", "ok", url)])
    attempts = AttemptHooks(Broken(), deployments=bridged(over), is_cold=lambda _: False)  # type: ignore[arg-type]
    litellm.logging_callback_manager.add_litellm_callback(attempts)

    answer = await over.acompletion(model="good", messages=say())
    await consume(await over.acompletion(model="good", messages=say(), stream=True))

    litellm.logging_callback_manager.remove_callback_from_all_lists(attempts)
    assert answer.choices[0].message.content.startswith("ok")
    assert attempts.failures.total >= 2
