"""The fake provider is read by the official clients of OpenAI, Anthropic and Gemini, and does what it is told.

It is told by words in the body or in the header `x-fake`; the clients' own parsing is the check. Two of the clients are
imported where they are used: importing them takes 3 s of a core, and every process that shares the tests reads this.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from tests.support import wire
from tests.support.upstream import Upstream
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import anthropic
    from google.genai import errors

WORDS = 5


@dataclass(frozen=True, slots=True)
class Heard:
    """What a client read: the text, and the tokens it was billed."""

    text: str
    sent: int | None
    received: int | None


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


def by_openai(url: str, name: str, orders: str, *, stream: bool) -> Heard:
    headers = {"x-fake": orders}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        ask = client.chat.completions.create
        if not stream:
            answer = ask(model=name, messages=[{"role": "user", "content": "hi"}], extra_headers=headers)
            assert answer.usage
            return Heard(
                answer.choices[0].message.content or "",
                answer.usage.prompt_tokens,
                answer.usage.completion_tokens,
            )
        chunks = list(
            ask(
                model=name,
                messages=[{"role": "user", "content": "hi"}],
                stream=True,
                stream_options={"include_usage": True},
                extra_headers=headers,
            )
        )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    usage = chunks[-1].usage
    assert usage
    return Heard(text, usage.prompt_tokens, usage.completion_tokens)


def by_anthropic(url: str, name: str, orders: str, *, stream: bool) -> Heard:
    import anthropic

    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        asked: dict[str, Any] = {
            "model": name,
            "max_tokens": 99,
            "messages": [{"role": "user", "content": "hi"}],
            "extra_headers": {"x-fake": orders},
        }
        if stream:
            with client.messages.stream(**asked) as events:
                message = events.get_final_message()
        else:
            message = client.messages.create(**asked)
    text = "".join(block.text for block in message.content if block.type == "text")
    return Heard(text, message.usage.input_tokens, message.usage.output_tokens)


def by_gemini(url: str, name: str, orders: str, *, stream: bool) -> Heard:
    from google import genai

    options = genai.types.HttpOptions(base_url=url, headers={"x-fake": orders})
    with genai.Client(api_key="none", http_options=options) as client:
        if stream:
            chunks = list(client.models.generate_content_stream(model=name, contents="hi"))
        else:
            chunks = [client.models.generate_content(model=name, contents="hi")]
    usage = chunks[-1].usage_metadata
    assert usage
    text = "".join(chunk.text or "" for chunk in chunks)
    return Heard(text, usage.prompt_token_count, usage.candidates_token_count)


def raised_by_openai(error: openai.APIStatusError) -> tuple[int, str]:
    return error.status_code, error.message


def raised_by_anthropic(error: anthropic.APIStatusError) -> tuple[int, str]:
    assert isinstance(error.body, dict)
    return error.status_code, error.body["error"]["type"]


def raised_by_gemini(error: errors.APIError) -> tuple[int, str]:
    return error.code, error.status or ""


Ask = Callable[..., Heard]
ASKS = [by_openai, by_anthropic, by_gemini]


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("stream", [False, True])
def test_the_official_client_reads_text_and_tokens(upstream: Upstream, ask: Ask, *, stream: bool) -> None:
    """Whole and streamed, the text is the deployment's name and the tokens are those that were ordered and counted."""
    name = f"{ask.__name__}-{stream}"

    heard = ask(upstream.url, name, f"words-{WORDS}", stream=stream)

    assert heard.text.split() == [name] * WORDS
    assert (heard.sent, heard.received) == (wire.PROMPT_TOKENS, WORDS)
    counts = upstream.counts()[name]
    assert (counts["requests"], counts["streams"]) == (1, int(stream))
    assert (counts["prompt_tokens"], counts["completion_tokens"]) == (wire.PROMPT_TOKENS, WORDS)


@pytest.mark.parametrize(
    ("ask", "expected", "read", "status", "said"),
    [
        (by_openai, "openai:RateLimitError", raised_by_openai, 429, "fail with 429"),
        (by_openai, "openai:InternalServerError", raised_by_openai, 503, "fail with 503"),
        (by_anthropic, "anthropic:RateLimitError", raised_by_anthropic, 429, "rate_limit_error"),
        (by_anthropic, "anthropic:APIStatusError", raised_by_anthropic, 529, "overloaded_error"),
        (by_gemini, "google.genai.errors:ClientError", raised_by_gemini, 429, "RESOURCE_EXHAUSTED"),
        (by_gemini, "google.genai.errors:ServerError", raised_by_gemini, 503, "UNAVAILABLE"),
    ],
)
def test_the_official_client_reads_an_error(
    upstream: Upstream, ask: Ask, expected: str, read: Any, status: int, said: str
) -> None:
    """An ordered failure is the client's own exception, with status and the provider's word for it."""
    with pytest.raises(resolve_name(expected)) as raised:
        ask(upstream.url, "failing", f"fail-{status}", stream=False)

    code, word = read(raised.value)
    assert code == status
    assert said in word


@pytest.mark.parametrize("ask", ASKS)
def test_a_stream_breaks_where_it_is_told_to(upstream: Upstream, ask: Ask) -> None:
    """A connection that closes in mid-stream is an error of the client's, not a short answer."""
    with pytest.raises(Exception, match="peer closed connection"):  # each client has an exception of its own
        ask(upstream.url, "breaking", f"break-stream words-{WORDS}", stream=True)


def test_the_header_goes_before_the_body(upstream: Upstream) -> None:
    """One request can be told otherwise than its deployment's name says."""
    heard = by_openai(upstream.url, "short-words-2", "words-7", stream=False)

    assert heard.received == 7


async def test_slots_let_so_many_answer_at_a_time(upstream: Upstream) -> None:
    """Requests beyond the slots wait in a queue: with one slot, four of 50 ms each take four times as long."""
    body = {"model": "narrow-slots-1-slow-50", "messages": []}

    async with httpx.AsyncClient(base_url=upstream.url) as client:
        began = time.monotonic()
        answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for _ in range(4)))
        took = time.monotonic() - began

    assert {answer.status_code for answer in answers} == {200}
    assert took >= 0.2


async def test_another_deployment_does_not_wait_in_that_queue(upstream: Upstream) -> None:
    """Each deployment has slots of its own."""
    full = {"model": "full-slots-1-slow-5000", "messages": []}

    async with httpx.AsyncClient(base_url=upstream.url) as client:
        busy = asyncio.create_task(client.post("/v1/chat/completions", json=full))
        await eventually(lambda: upstream.counts()["full-slots-1-slow-5000"]["requests"])
        other = await client.post("/v1/chat/completions", json={"model": "free-slots-1", "messages": []})
        still_busy = not busy.done()
        busy.cancel()

    assert other.status_code == 200
    assert still_busy
