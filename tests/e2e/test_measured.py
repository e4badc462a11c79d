"""What two workers of a real proxy measure together, and how it steers their requests."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.support.place import LAME, PAIR, QUICK
from tests.support.proxy import Proxy
from tests.support.servers import wait_until

pytestmark = pytest.mark.e2e

LONG = "words-160 pause-50"
"""A stream of eight seconds, unless its reader goes."""


def stats(admin: httpx.Client, name: str) -> dict[str, Any]:
    """Return what the worker that is asked knows of a deployment."""
    found = admin.get("/admin/router/stats").raise_for_status().json()["deployments"]
    return next(entry for entry in found if entry["id"] == name)


def answers(admin: httpx.Client, name: str) -> int:
    """Return how many answers of a deployment both workers have counted."""
    window = stats(admin, name)["window"]
    return int(window["answers"]) if window else 0


def ask(proxy: Proxy, times: int) -> Counter[str]:
    """Return how often each deployment of the pair answered, on new connections: they reach both workers."""
    found: Counter[str] = Counter()
    for _ in range(times):
        with proxy.client() as client:
            body = {"model": PAIR, "messages": [{"role": "user", "content": "hi"}]}
            answer = client.post("/v1/chat/completions", json=body).raise_for_status().json()
        found[answer["choices"][0]["message"]["content"].partition(" ")[0]] += 1
    return found


def test_both_workers_learn_which_deployment_is_slow(proxy: Proxy, admin: httpx.Client) -> None:
    """Every answer is counted once over both workers, and after a few the slow one is asked no more."""
    before = {name: answers(admin, name) for name in (QUICK, LAME)}

    asked = ask(proxy, 20)
    wait_until(
        lambda: {name: answers(admin, name) - before[name] for name in (QUICK, LAME)} == dict(asked),
        what="the count of every answer",
    )
    learned = ask(proxy, 30)

    assert asked.total() == 20
    assert learned == {QUICK: 30}


def test_a_stream_that_its_client_leaves_is_no_answer(proxy: Proxy, admin: httpx.Client) -> None:
    """It is in flight while it is read, and leaves no trace. Asked by its id, the deployment has no other requests."""
    before = answers(admin, LAME)
    body = {"model": LAME, "stream": True, "messages": [{"role": "user", "content": LONG}]}
    with (
        proxy.client() as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        lines = answer.iter_lines()  # held: httpx closes the connection with it
        next(lines)
        wait_until(lambda: stats(admin, LAME)["in_flight"] == 1, what="the stream in the statistics")

    wait_until(lambda: stats(admin, LAME)["in_flight"] == 0, what="the end of the stream")
    plain = {"model": LAME, "messages": [{"role": "user", "content": "hi"}]}
    admin.post("/v1/chat/completions", json=plain).raise_for_status()
    wait_until(lambda: answers(admin, LAME) > before, what="the count of the plain answer")
    assert answers(admin, LAME) == before + 1


def test_impatient_clients_leave_no_trace(proxy: Proxy, admin: httpx.Client) -> None:
    """A burst whose clients wait a millisecond changes nothing; the one that waits is counted."""
    before = settled(admin)
    body = {"model": LAME, "timeout": 0.001, "messages": [{"role": "user", "content": "hi"}]}

    statuses = set()
    for _ in range(30):
        with proxy.client() as client:
            statuses.add(client.post("/v1/chat/completions", json=body).status_code)
    admin.post("/v1/chat/completions", json={**body, "timeout": 30}).raise_for_status()

    wait_until(lambda: counted(admin) != before, what="the count of the patient one")
    assert statuses == {408}
    assert counted(admin) == (before[0] + 1, before[1])
    assert stats(admin, LAME)["health"] == "ok"


def settled(admin: httpx.Client) -> tuple[int, int]:
    """Return what is counted once nothing of what came before is still on its way between the workers."""
    found, since = counted(admin), time.monotonic()

    def still() -> bool:
        nonlocal found, since
        before, found = found, counted(admin)
        since = since if found == before else time.monotonic()
        return time.monotonic() - since > 2

    wait_until(still, what="the end of counting")
    return found


def counted(admin: httpx.Client) -> tuple[int, int]:
    """Return the answers and errors of the slow deployment that both workers have counted."""
    window = stats(admin, LAME)["window"] or {"answers": 0, "errors": 0}
    return int(window["answers"]), int(window["errors"])
