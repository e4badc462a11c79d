"""A shadow comparison on a real proxy of two workers: figures are what the provider counted, whoever is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from tests.e2e.asking import decision
from tests.e2e.conftest import ADMIN
from tests.e2e.test_rollouts import workers
from tests.support.proxy import Proxy
from tests.support.servers import wait_until
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SHADOWS = "/admin/shadows"
OTHER = "cost_effective"
PLAN = {"profile": OTHER, "share": 100, "budget_usd": 10, "max_concurrency": 4}
COST = 11e-6
"""What the fake provider bills for its usual prompt of eleven tokens, before the answer's."""
CANARY = "Zebrafink-4712"

ALIKE = f"Which label? echo-positive words-1, says the {CANARY}"
"""Both profiles say the same to it; to another question each says its group's name."""


@pytest.fixture
def admin(pair: Proxy) -> Iterator[httpx.Client]:
    """A client with the master key that takes a new connection for each request, so any worker may answer.

    Nothing is compared any more when the test is over.
    """
    with pair.client(connection="close") as client:
        yield client
        running = client.get(SHADOWS).json()["running"]
        if running is not None:
            client.post(f"{SHADOWS}/{running['id']}/stop")


def bodies(task: str, text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return one request of each format, plain and streamed."""
    message = {"model": task, "messages": [{"role": "user", "content": text}], "max_tokens": 60}
    found = []
    for stream in ({}, {"stream": True}):
        found += [
            ("/v1/chat/completions", message | stream),
            ("/v1/messages", message | stream),
            ("/v1/responses", {"model": task, "input": text} | stream),
        ]
    return found


def start(admin: httpx.Client, **changed: Any) -> str:
    """Begin a comparison, of which every worker has heard, and return its address."""
    begun = admin.post(SHADOWS, json=PLAN | changed)
    assert begun.raise_for_status().json()["complete"]
    return str(begun.headers["location"])


def report(admin: httpx.Client, path: str) -> dict[str, Any]:
    """Return what was found out."""
    found: dict[str, Any] = admin.get(path).raise_for_status().json()
    return found


def sampled(admin: httpx.Client, path: str) -> int:
    """Return how many requests were chosen, as far as the workers have shared it."""
    return int(report(admin, path)["findings"][0]["sampled"])


def asked(upstream: Upstream, before: Mapping[str, Mapping[str, int]], task: str) -> int:
    """Return how many requests for a task the other profile's group has had."""
    now, name = upstream.counts(), f"{task}_{OTHER}"
    return now[name]["requests"] - before[name]["requests"]


def ended(admin: httpx.Client, path: str) -> str:
    """Wait until a comparison is over and return why."""
    wait_until(lambda: report(admin, path)["ended_at"] is not None, seconds=30, what="the end")
    return str(report(admin, path)["why"])


def test_figures_are_what_the_provider_counted(pair: Proxy, admin: httpx.Client, upstream: Upstream) -> None:
    """Of every format, plain and streamed, from both workers; clients are answered as ever, and no text is kept."""
    before = upstream.counts()
    path = start(admin)
    requests = [
        *bodies("classification", ALIKE) * 2,
        *bodies("summary", "Sum it up."),
        ("/v1/responses", {"model": "summary", "input": "Go on.", "store": True}),
        ("/v1/chat/completions", {"model": "chat_premium", "messages": [{"role": "user", "content": "Hi."}]}),
        ("/v1/chat/completions", {"model": "auto", "messages": [{"role": "user", "content": "Hi."}]}),
    ]

    answers = [admin.post(where, json=body).raise_for_status() for where, body in requests]
    wait_until(lambda: sampled(admin, path) == 12 + 6 + 1 + 1, seconds=40, what="every pair")
    found = report(admin, path)

    told = [decision(answer) for answer in answers[:18]]
    assert {one["profile"] for one in told} == {"premium"}
    by_task = {one["task"]: one for one in found["findings"]}
    assert {task: by_task[task]["answered"] for task in ("classification", "summary")} == {
        "classification": asked(upstream, before, "classification"),
        "summary": asked(upstream, before, "summary"),
    }
    assert (by_task["classification"]["answered"], by_task["summary"]["answered"]) == (12, 6)
    assert by_task["classification"]["agreement"]["value"] == 1
    assert by_task["summary"]["agreement"]["value"] == 0
    assert by_task["summary"]["skipped"] == {"unrepeatable": 1}
    assert by_task["chat"]["skipped"] == {"same_group": 1}, "what `auto` was taken for"
    assert by_task["classification"]["first_token"]["other"]["p50"] is not None
    assert found["spent_usd"] == pytest.approx(by_task[""]["cost_other_usd"])
    assert by_task["classification"]["cost_ratio"]["value"] == pytest.approx(1)
    usage = admin.get("/admin/usage", params={"by": "reason"}).json()["lines"]
    wait_until(lambda: '"mirror"' in admin.get("/admin/usage", params={"by": "reason"}).text, what="usage")
    assert usage
    admin.post(f"{path}/stop").raise_for_status()
    status = admin.get(f"{ADMIN}/status").json()["host"]
    assert (status["failures"], status["loop_failures"], status["shadow_failures"]) == (0, 0, 0)
    state = pair.place.directory / ".neuronode"
    stored = b"".join(file.read_bytes() for file in state.rglob("*") if file.is_file())
    assert CANARY.lower().encode() not in stored.lower()


def test_a_killed_worker_doubles_nothing(admin: httpx.Client, upstream: Upstream) -> None:
    """What it had shared stays as it was; the others go on, and no answer counts that was not asked for."""
    wait_until(lambda: len(workers(admin)) == 2, seconds=60, what="both workers")
    before = upstream.counts()
    path = start(admin)
    where, body = bodies("sentiment", ALIKE)[0]
    for _ in range(12):
        admin.post(where, json=body).raise_for_status()
    wait_until(lambda: sampled(admin, path) == 12, seconds=40, what="every pair")

    killed, pid = next(iter(workers(admin).items()))
    os.kill(pid, signal.SIGKILL)
    sent = 0
    while sent < 12:
        try:
            sent += admin.post(where, json=body).status_code == 200
        except httpx.TransportError:
            continue  # the one that was killed had taken the connection
    wait_until(lambda: sampled(admin, path) >= 24, seconds=60, what="the others' pairs")
    admin.post(f"{path}/stop").raise_for_status()
    everything = report(admin, path)["findings"][0]

    counted = asked(upstream, before, "sentiment")
    assert everything["answered"] == everything["sampled"]
    assert 24 <= everything["answered"] <= counted
    assert everything["cost_other_usd"] == pytest.approx(everything["answered"] * (COST + 2e-6))
    wait_until(
        lambda: killed not in (now := workers(admin)) and len(now) == 2, seconds=90, what="another worker"
    )


def test_it_ends_by_itself(admin: httpx.Client, upstream: Upstream) -> None:
    """When its time is over, and when its budget allows nothing more, which both workers together never exceed."""
    assert ended(admin, start(admin, hours=0.0005)) == "its time is over"

    before = upstream.counts()
    path = start(admin, budget_usd=0.0009)
    where, body = bodies("extraction", ALIKE)[0]

    def over() -> bool:
        admin.post(where, json=body).raise_for_status()
        return admin.get(SHADOWS).json()["running"] is None

    wait_until(over, seconds=60, what="the end of the budget")
    assert ended(admin, path) == "its budget allows no further request"

    # What was on its way when the budget ended is answered, and written down, a moment later.
    wait_until(
        lambda: report(admin, path)["findings"][0]["answered"] == asked(upstream, before, "extraction") > 0,
        seconds=20,
        what="every answer in the report",
    )
    found = report(admin, path)
    assert found["spent_usd"] <= 0.0009
    assert set(found["findings"][0]["skipped"]) <= {"budget", "queue", "ended"}
