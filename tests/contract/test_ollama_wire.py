"""The Ollama of the tests behaves as Ollama does, by the word of Ollama's own Python client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import ollama
import psutil
import pytest

from tests.support.ollama import OllamaServer, Served, running_ollama
from tests.support.servers import runs, wait_until

QUICK = Served("quick:8b")
COLD = Served("cold", load_seconds=0.4)
NARROW = Served("narrow", delay_seconds=0.3, queue=1)
WIDE = Served("wide", delay_seconds=0.3, slots=2)
ASK = [{"role": "user", "content": "Say hello."}]
SURE = {"temperature": 0.0, "seed": 1, "num_predict": 6}


@pytest.fixture(scope="module")
def server() -> Iterator[OllamaServer]:
    """One server for the module; tests use different names, or leave them as they found them."""
    with running_ollama(QUICK, COLD, NARROW, WIDE) as running:
        yield running


@pytest.fixture
def client(server: OllamaServer) -> Iterator[ollama.Client]:
    """The official client."""
    client = ollama.Client(host=server.url, timeout=60, trust_env=False)
    yield client
    client.close()


@pytest.fixture
async def callers(server: OllamaServer) -> AsyncIterator[ollama.AsyncClient]:
    """The official client for several calls at the same time."""
    client = ollama.AsyncClient(host=server.url, timeout=60, trust_env=False)
    yield client
    await client.close()


def test_tags_show_and_version_describe_without_loading(server: OllamaServer, client: ollama.Client) -> None:
    """Discovery by these three calls never loads anything."""
    listed = {each.model: each for each in client.list().models}
    shown = client.show("cold")

    assert set(listed) == {"quick:8b", "cold:latest", "narrow:latest", "wide:latest"}
    assert listed["quick:8b"].size
    assert listed["quick:8b"].details
    assert shown.capabilities == ["completion"]
    assert shown.modelinfo
    assert shown.modelinfo["llama.context_length"] == 8192
    assert httpx.get(f"{server.url}/api/version", trust_env=False).json()["version"]
    assert server.counts("cold")["loads"] == 0


def test_a_chat_has_real_counts_and_durations(client: ollama.Client) -> None:
    """Tokens are counted by the engine, and the parts of the time do not exceed the whole."""
    short = client.chat("quick:8b", ASK, options=SURE)
    long = client.chat("quick:8b", [{"role": "user", "content": "Say hello. " * 20}], options=SURE)

    assert short.message.role == "assistant"
    assert short.message.content
    assert short.done is True
    assert short.done_reason in {"stop", "length"}
    assert short.eval_count is not None
    assert 1 <= short.eval_count <= 6
    assert short.prompt_eval_count is not None
    assert long.prompt_eval_count is not None
    assert long.prompt_eval_count > short.prompt_eval_count + 40
    parts = (short.load_duration, short.prompt_eval_duration, short.eval_duration)
    assert all(part is not None and part >= 0 for part in parts)
    assert short.total_duration is not None
    assert sum(part for part in parts if part) <= short.total_duration


def test_a_stream_says_what_the_whole_answer_says(client: ollama.Client) -> None:
    """Lines of JSON, the last with the counts; joined they are the answer."""
    whole = client.chat("quick:8b", ASK, options=SURE)
    events = list(client.chat("quick:8b", ASK, options=SURE, stream=True))

    assert len(events) > 2
    assert "".join(event.message.content or "" for event in events) == whole.message.content
    assert [event.done for event in events] == [False] * (len(events) - 1) + [True]
    assert events[-1].eval_count == whole.eval_count
    assert events[0].eval_count is None


@pytest.mark.campaign
def test_generate_with_system_raw_and_stream(client: ollama.Client) -> None:
    """Prompts without a conversation, with and without the template."""
    plain = client.generate("quick:8b", "Say hello.", options=SURE)
    ruled = client.generate("quick:8b", "Say hello.", system="Answer in one word, always.", options=SURE)
    raw = client.generate("quick:8b", "Say hello.", raw=True, options=SURE)
    streamed = list(client.generate("quick:8b", "Say hello.", options=SURE, stream=True))

    assert plain.response
    assert plain.prompt_eval_count is not None
    assert ruled.prompt_eval_count is not None
    assert raw.prompt_eval_count is not None
    assert raw.prompt_eval_count < plain.prompt_eval_count
    assert ruled.prompt_eval_count != plain.prompt_eval_count
    assert "".join(event.response or "" for event in streamed) == plain.response


@pytest.mark.campaign
def test_format_and_logprobs_are_honoured(client: ollama.Client) -> None:
    """A schema shapes the answer, and every token comes with its logprob."""
    schema = {"type": "object", "properties": {"mood": {"enum": ["up", "down"]}}, "required": ["mood"]}

    shaped = client.chat("quick:8b", ASK, format=schema, options={"num_predict": 40})
    sure = client.chat("quick:8b", ASK, options=SURE, logprobs=True, top_logprobs=2)

    assert json.loads(shaped.message.content or "")["mood"] in {"up", "down"}
    assert sure.logprobs
    assert "".join(token.token for token in sure.logprobs) == sure.message.content
    assert all(token.logprob <= 0 for token in sure.logprobs)
    assert len(sure.logprobs[0].top_logprobs or ()) == 2


@pytest.mark.parametrize("call", ["chat", "generate", "show"])
def test_an_unknown_name_is_404(client: ollama.Client, call: str) -> None:
    """Every call that names something says that it is not there."""
    with pytest.raises(ollama.ResponseError, match="'llama9' not found") as caught:
        getattr(client, call)("llama9")

    assert caught.value.status_code == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "JSON"),
        (b"{}", "required"),
        (b"[]", "required"),
        (b'{"model": "quick:8b", "keep_alive": "soon"}', "keep_alive"),
    ],
)
def test_a_request_that_makes_no_sense_is_400(server: OllamaServer, body: bytes, message: str) -> None:
    """Errors are documents with the one key `error`."""
    answer = httpx.post(f"{server.url}/api/chat", content=body, trust_env=False)

    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert message in answer.json()["error"]


def test_a_prompt_longer_than_the_context_is_refused(client: ollama.Client) -> None:
    """The engine's own words reach the client."""
    with pytest.raises(ollama.ResponseError, match="context") as caught:
        client.chat("quick:8b", [{"role": "user", "content": "x " * 9000}])

    assert caught.value.status_code == 400


@pytest.mark.campaign
def test_the_first_answer_waits_for_loading_and_keep_alive_unloads(
    server: OllamaServer, client: ollama.Client
) -> None:
    """A cold load is slow once, told in `load_duration`; then it stays loaded for as long as was asked."""
    before = server.counts("cold")["loads"]

    cold = client.chat("cold", ASK, options=SURE, keep_alive=60)
    warm = client.chat("cold", ASK, options=SURE, keep_alive="1h30m")

    assert cold.load_duration is not None
    assert warm.load_duration is not None
    assert cold.load_duration > 350_000_000 > warm.load_duration
    assert server.counts("cold")["loads"] == before + 1
    (shown,) = (each for each in client.ps().models if each.model == "cold:latest")
    assert shown.context_length == 8192
    assert shown.expires_at is not None
    assert 5390 < (shown.expires_at - datetime.now(UTC)).total_seconds() <= 5400

    client.chat("cold", ASK, options=SURE, keep_alive="50ms")
    wait_until(lambda: "cold:latest" not in server.loaded(), what="unloading after 50 ms")


def test_an_empty_request_loads_or_unloads(server: OllamaServer, client: ollama.Client) -> None:
    """As Ollama's documentation says of preloading; a negative keep_alive stays for ever."""
    loaded = client.chat("quick:8b", [], keep_alive=-1)
    assert (loaded.done_reason, loaded.message.content) == ("load", "")
    assert server.loaded()["quick:8b"]["expires_at"] > "2300"

    unloaded = client.generate("quick:8b", "", keep_alive=0)
    assert unloaded.done_reason == "unload"
    assert "quick:8b" not in server.loaded()


async def test_one_slot_is_a_queue_and_a_full_queue_is_503(
    server: OllamaServer, callers: ollama.AsyncClient
) -> None:
    """With one answer running and one waiting, a third is refused at once, and the two do not overlap."""
    before = server.counts("narrow")["refused"]

    answers = await asyncio.gather(
        *(callers.chat("narrow", ASK, options=SURE) for _ in range(3)), return_exceptions=True
    )

    refusals = [each for each in answers if isinstance(each, ollama.ResponseError)]
    durations = sorted(each.total_duration or 0 for each in answers if isinstance(each, ollama.ChatResponse))
    assert [each.status_code for each in refusals] == [503]
    assert "server busy" in str(refusals[0])
    assert durations[1] >= durations[0] + 200_000_000
    counts = server.counts("narrow")
    assert (counts["peak"], counts["refused"]) == (1, before + 1)


@pytest.mark.campaign
async def test_slots_answer_side_by_side(server: OllamaServer, callers: ollama.AsyncClient) -> None:
    """Three requests for two slots: two at a time, nobody refused."""
    answers = await asyncio.gather(*(callers.chat("wide", ASK, options=SURE) for _ in range(3)))

    counts = server.counts("wide")
    assert [answer.done for answer in answers] == [True] * 3
    assert (counts["peak"], counts["refused"]) == (2, 0)


async def test_a_client_that_hangs_up_frees_the_slot(
    server: OllamaServer, callers: ollama.AsyncClient
) -> None:
    """In the middle of a stream and in the queue: nothing goes on generating for nobody."""
    before = server.counts("narrow")["abandoned"]
    endless: dict[str, Any] = {"options": {"num_predict": 2000, "temperature": 1.5, "stop": ["never ends"]}}

    stream = await callers.chat("narrow", ASK, stream=True, **endless)
    await anext(stream)
    queued = asyncio.create_task(callers.chat("narrow", ASK, **endless))
    await asyncio.to_thread(wait_until, lambda: server.counts("narrow")["waiting"] == 1)
    queued.cancel()
    await asyncio.to_thread(wait_until, lambda: server.counts("narrow")["waiting"] == 0)
    await stream.aclose()

    await asyncio.to_thread(wait_until, lambda: server.counts("narrow")["abandoned"] == before + 1)
    assert (await callers.chat("narrow", ASK, options=SURE)).done
    await asyncio.to_thread(wait_until, lambda: server.counts("narrow")["running"] == 0)


@pytest.mark.campaign
def test_a_frozen_server_answers_after_it_thaws(server: OllamaServer, client: ollama.Client) -> None:
    """Connections stay open and nothing comes, as with a machine that hangs."""
    server.freeze()
    try:
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{server.url}/api/version", timeout=0.3, trust_env=False)
    finally:
        server.thaw()

    assert client.chat("quick:8b", ASK, options=SURE).done


@pytest.mark.campaign
def test_a_server_that_is_killed_leaves_nothing_behind() -> None:
    """Its engine ends with it, whatever ended it."""
    with running_ollama(QUICK) as server:
        (engine,) = psutil.Process(server.process.pid).children(recursive=True)

        server.kill()

        wait_until(lambda: not runs(engine), what="its end")
