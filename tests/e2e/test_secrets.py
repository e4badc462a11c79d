"""Texts of prompts and answers, and keys, are found nowhere but on the wire."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from admin_api.router import ENDPOINTS, PREFIX, SECOND_PREFIX
from neuronode_router.classifier.history import History
from tests.e2e.asking import chat
from tests.e2e.conftest import ADMIN
from tests.support.place import PROVIDER_KEY
from tests.support.proxy import MASTER_KEY, Proxy
from tests.support.servers import RedisServer, wait_until

pytestmark = pytest.mark.e2e

PROMPT = "canaryprompt4f1d"
ANSWER = "canaryanswer9b7c"
WORD, SAID = "zebrafinkenlied", "kolibrinestwaerme"
"""Letters only: what is read of a prompt has its digits made alike."""
UNKNOWN_KEY = "sk-canary-unknown-key-2b9d"


@contextlib.contextmanager
def monitored(redis: RedisServer) -> Iterator[bytearray]:
    """Collect every command that Redis is sent meanwhile."""
    seen = bytearray()
    with socket.create_connection(("127.0.0.1", redis.port)) as link:
        link.sendall(b"MONITOR\r\n")

        def collect() -> None:
            while received := link.recv(65536):
                seen.extend(received)

        reader = threading.Thread(target=collect)
        reader.start()
        try:
            yield seen
        finally:
            link.shutdown(socket.SHUT_RDWR)
            reader.join()


def test_texts_and_keys_reach_no_sink(
    proxy: Proxy, admin: httpx.Client, shared_redis: RedisServer, keys: Mapping[str, str]
) -> None:
    """Prompts, answers and keys of requests and switches are in no file, table, log, event or Redis command."""
    prompt = f"{PROMPT} echo-{ANSWER}"

    with monitored(shared_redis) as commands:
        answers = [chat(admin, name, prompt=prompt) for name in ("chat", "@profile/balanced")]
        answers.append(chat(admin, "chat", prompt=prompt, stream=True))
        answers.append(admin.post("/v1/responses", json={"model": "summary", "input": prompt}))
        with proxy.client(keys["ordinary"]) as ordinary:
            answers.append(chat(ordinary, "extraction", prompt=prompt))
        answers.append(admin.post("/api/v1/llm/chat", json={"message": prompt}))
        admin.post("/api/v1/llm/sentiment", json={"text": f"x {prompt}"}).raise_for_status()
        chat(admin, "trading_analysis", prompt=PROMPT, headers={"x-neuronode-profile": "specialized"})
        with proxy.client(UNKNOWN_KEY) as stranger:
            assert stranger.get(f"{ADMIN}/status").status_code == 401
            assert chat(stranger, "chat", prompt=prompt).status_code == 401
        admin.post(f"{ADMIN}/switch", json={"profile": "balanced", "reason": "canary"}).raise_for_status()
        wait_until(lambda: b"PUBLISH" in bytes(commands).upper(), what="the switch's wake-up in Redis")
        events = _first_event(admin)

    assert all(ANSWER in answer.raise_for_status().text for answer in answers)
    secrets = [PROMPT, ANSWER, MASTER_KEY, UNKNOWN_KEY, keys["ordinary"], PROVIDER_KEY]
    replacing = f".{proxy.place.config.name}.*.new"
    wait_until(lambda: not list(proxy.place.directory.glob(replacing)), what="the config file in its place")
    sinks = {"redis": bytes(commands), "events": events, **_files(proxy.place.directory)}
    sinks.pop(proxy.place.config.name)
    leaks = [(name, secret) for name, sink in sinks.items() for secret in secrets if secret.encode() in sink]
    assert len(sinks) > 8, sorted(sinks)
    assert leaks == []


def test_no_word_of_an_auto_request_is_kept_or_told(
    proxy: Proxy, admin: httpx.Client, shared_redis: RedisServer
) -> None:
    """Classified, explained, dry-run and written down, prompts and answers leave no word anywhere, in any case."""
    asked = f"Fasse den Bericht über {WORD} zusammen. echo-{SAID}"
    state = proxy.place.directory / ".neuronode"

    with monitored(shared_redis) as commands:
        answers = [
            chat(admin, "auto", prompt=asked, headers={"x-neuronode-explain": "1"}, stream=stream)
            for stream in (False, True)
        ]
        answers.append(admin.post("/v1/responses", json={"model": "auto", "input": asked}))
        call_ids = [answer.raise_for_status().headers["x-litellm-call-id"] for answer in answers]
        wait_until(
            lambda: all(History(state).find(each) for each in call_ids), what="the decisions in the history"
        )
        told = {
            path: admin.get(path).raise_for_status().content
            for path in (
                *("/admin/router/stats", "/admin/router/registry", "/api/v1/llm/routing-stats"),
                *(f"{ADMIN}/status", "/admin/workers", "/admin/usage", "/admin/usage?format=csv"),
            )
        }
        dry_run = {"messages": [{"role": "user", "content": asked}]}
        told["dry run"] = admin.post("/admin/router/classify", json=dry_run).raise_for_status().content
        wait_until(lambda: b"hincrby" in bytes(commands).lower(), what="the statistics in Redis")
        wait_until(lambda: '"routed"' in proxy.log(), what="the decisions in the log")

    told["headers"] = repr([answer.headers for answer in answers]).encode()
    sinks = {"redis": bytes(commands), **told, **_files(proxy.place.directory)}
    leaks = [
        (name, word) for name, sink in sinks.items() for word in (WORD, SAID) if word.encode() in sink.lower()
    ]
    assert all(SAID in answer.text for answer in answers)
    assert leaks == []


@pytest.mark.parametrize("prefix", [PREFIX, SECOND_PREFIX])
def test_no_body_of_ours_contains_a_key(proxy: Proxy, keys: Mapping[str, str], prefix: str) -> None:
    """Every GET, and every refusal to every kind of caller, is free of keys."""
    roles = {
        name: keys[name] for name in ("viewer", "researcher", "ordinary")
    }  # what else keys differ in is models
    callers = {**roles, "master": MASTER_KEY, "unknown": UNKNOWN_KEY, "nobody": None}
    secrets = [MASTER_KEY, PROVIDER_KEY, UNKNOWN_KEY, *keys.values()]
    bodies: list[tuple[str, str, int, str]] = []

    for caller, key in callers.items():
        with proxy.client(key) as client:
            for _, method, path in routes():
                answer = client.request(method, prefix + path, json={"profile": key, "api_key": PROVIDER_KEY})
                bodies.append((caller, f"{method} {path}", answer.status_code, answer.text))

    statuses = {status for _, _, status, _ in bodies}
    assert {200, 401, 403} <= statuses
    assert max(statuses) < 500
    leaks = [
        (caller, route, secret)
        for caller, route, _, text in bodies
        for secret in secrets
        # What the caller sent in a wrong body is not echoed either: these are somebody's keys.
        if secret in text
    ]
    assert leaks == []


def routes() -> list[tuple[str, str, str]]:
    """Return name, method and path of every route of the admin API but the endless stream of events."""
    return [
        (
            endpoint.answer.__name__,
            endpoint.method,
            endpoint.path.format(name="balanced", task="chat", call_id="none", kind="team", subject="a"),
        )
        for endpoint in ENDPOINTS
        if not endpoint.path.endswith("/events")
    ]


def _first_event(admin: httpx.Client) -> bytes:
    with admin.stream("GET", "/admin/events") as answer:
        return next(chunk for chunk in answer.iter_bytes() if b"data:" in chunk)


def _files(directory: Path) -> dict[str, bytes]:
    """Return the bytes of every file below `directory` by name: tables, logs, state, profiles."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}
