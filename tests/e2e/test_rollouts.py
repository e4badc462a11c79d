"""A rollout on a real proxy of two workers: arms that stay, a leader that is killed, a broken canary that goes back."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import ADMIN
from tests.support.proxy import Proxy
from tests.support.servers import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ROLLOUTS = "/admin/rollouts"
CANARY = "specialized"
"""Of its tasks `trading_analysis` fails with 503, and `chat` is well."""
PLAN = {
    "profile": CANARY,
    "steps": [50],
    "hold": 3600,
    "guards": [{"metric": "error_rate", "worse_by": 0.02}],
}


def ask(client: httpx.Client, task: str, *turns: str) -> httpx.Response:
    """Send a conversation: turns of user and assistant, one after the other."""
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": turn} for number, turn in enumerate(turns)]
    return client.post("/v1/chat/completions", json={"model": task, "messages": messages})


def arms(client: httpx.Client, conversation: int, turns: int) -> set[tuple[str, str]]:
    """Lead a conversation and return the arm and the group of each of its answers."""
    said, found = [f"This is conversation {conversation}."], set()
    for turn in range(turns):
        answer = ask(client, "chat", *said).raise_for_status()
        found.add((answer.headers["x-neuronode-arm"], answer.headers["x-neuronode-group"]))
        said += [answer.json()["choices"][0]["message"]["content"], f"Go on, {turn}."]
    return found


def leader(proxy: Proxy) -> str:
    """Return the worker that leads."""
    with closing(sqlite3.connect(proxy.place.directory / ".neuronode" / "control.db")) as database:
        row = database.execute("SELECT holder FROM neuronode_lease WHERE name = 'rollouts'").fetchone()
    return str(row[0]) if row else ""


def workers(admin: httpx.Client) -> dict[str, int]:
    """Return the process of each live worker."""
    found = admin.get(f"{ADMIN}/status").raise_for_status().json()["workers"]
    return {one["instance"]: one["pid"] for one in found if one["live"]}


def running(admin: httpx.Client) -> dict[str, Any] | None:
    """Return the rollout that runs."""
    found: dict[str, Any] | None = admin.get(ROLLOUTS).raise_for_status().json()["running"]
    return found


def counted(admin: httpx.Client) -> dict[str, int]:
    """Return the recorded requests by arm."""
    rows = admin.get("/admin/usage", params={"by": "arm"}).raise_for_status().json()["lines"]
    return {row["names"]["arm"]: row["figures"]["requests"] for row in rows}


def test_a_broken_canary_goes_back_by_itself_though_its_leader_is_killed(
    pair: Proxy, any_worker: httpx.Client
) -> None:
    """Conversations stay in their arm, every answer says which, and usage counts it; then all of that is over."""
    started = any_worker.post(ROLLOUTS, json=PLAN)
    assert started.raise_for_status().json()["complete"]
    name = started.headers["location"].rpartition("/")[2]

    told = [arms(any_worker, conversation, turns=3) for conversation in range(12)]

    assert all(len(one) == 1 for one in told)
    assert set.union(*told) == {("control", "chat_premium"), ("canary", f"chat_{CANARY}")}
    routed = {
        ask(any_worker, "auto", f"Question {number}.").headers["x-neuronode-arm"] for number in range(12)
    }
    assert routed == {"control", "canary"}
    wait_until(
        lambda: sum(counted(any_worker).get(arm, 0) for arm in ("control", "canary")) == 48, what="usage"
    )

    wait_until(lambda: leader(pair) in workers(any_worker), what="a leader")
    first = leader(pair)
    os.kill(workers(any_worker)[first], signal.SIGKILL)
    wait_until(lambda: leader(pair) not in ("", first), seconds=60, what="another leader")

    statuses = set()
    for number in range(300):
        if running(any_worker) is None:
            break
        statuses.add(ask(any_worker, "trading_analysis", f"Question {number}.").status_code)

    assert statuses == {200, 503}
    (abort, begun) = any_worker.get(f"{ROLLOUTS}/{name}/history").raise_for_status().json()["events"]
    assert (begun["act"], abort["act"], abort["actor"]) == ("start", "abort", f"rollout {name}")
    broken = next(one for one in abort["evidence"] if one["task"] == "trading_analysis")
    assert (broken["canary"]["value"], broken["control"]["value"]) == (1, 0)
    (entry,) = any_worker.get("/admin/audit", params={"limit": 1}).json()["entries"]
    assert (entry["revision"], entry["action"]) == (abort["revision"], "rollout")
    assert "error_rate of trading_analysis: canary 100.00%" in entry["reason"]
    # Only now who asks may meet a worker that had not heard of it: a receipt waits for all of them.
    wait_until(lambda: any_worker.get(f"{ADMIN}/status").json()["converged"], seconds=60, what="every worker")
    answers = [ask(any_worker, "trading_analysis", f"After all {number}.") for number in range(8)]
    assert {answer.status_code for answer in answers} == {200}
    assert all("x-neuronode-arm" not in answer.headers for answer in answers)


def test_an_edit_is_tried_by_some_and_then_written(pair: Proxy, any_worker: httpx.Client) -> None:
    """While it is tried every worker has both arms and the file says nothing of it; promoted it is everybody's."""
    file = pair.place.profiles / "premium.yaml"
    before, mapping = file.read_bytes(), f"{ADMIN}/premium/tasks/chat"
    edit = {"edit": {"tasks": {"chat": "chat_balanced"}}, "steps": [50], "hold": 3600}
    started = any_worker.post(ROLLOUTS, json=edit).raise_for_status()
    name = started.headers["location"].rpartition("/")[2]
    try:
        told = [arms(any_worker, conversation, turns=2) for conversation in range(20, 32)]
        tried = ask(any_worker, "premium/chat", "By its name.").headers["x-neuronode-group"]
        meanwhile = file.read_bytes()
        promoted = any_worker.post(f"{ROLLOUTS}/{name}/promote", json={"wait": "all"}).raise_for_status()
        groups = {ask(any_worker, "chat", f"All {n}.").headers["x-neuronode-group"] for n in range(8)}
        said = file.read_text()
    finally:
        any_worker.put(mapping, json={"group": "chat_premium"}, headers={"If-Match": "*"}).raise_for_status()

    assert all(len(one) == 1 for one in told)
    assert set.union(*told) == {("control", "chat_premium"), ("canary", "chat_balanced")}
    assert (tried, meanwhile) == ("chat_premium", before)
    assert {"task": "chat", "before": "chat_premium", "after": "chat_balanced"} in promoted.json()["changes"]
    assert groups == {"chat_balanced"}
    assert "chat: chat_balanced" in said
