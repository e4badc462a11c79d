"""A policy on a real proxy of two workers: an outage moves one task away and back, and windows follow the clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.asking import chat
from tests.e2e.conftest import ADMIN
from tests.support.place import FIRST_PROFILE
from tests.support.proxy import Proxy
from tests.support.servers import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

POLICY = "/admin/policy"
RULE = """\
rules:
  - name: premium-down
    outage: {group: chat_premium, probes: 2}
    then: {task: chat, group: chat_balanced}
    emergency: true
    dwell: 1s
"""
CAP = """\
schedule:
  - name: always
    zone: UTC
    then: {max_tier: medium}
"""
ALL_DAY = """\
default: premium
schedule:
  - name: always
    zone: Europe/Berlin
    then: {profile: balanced}
"""


@pytest.fixture(scope="module", autouse=True)
def unsteered(pair: Proxy) -> Iterator[None]:
    """Leave the proxy as it was found: without a policy, and with its first profile."""
    yield
    (pair.place.directory / "policy.yaml").unlink(missing_ok=True)
    with pair.client(connection="close") as client:
        wait_until(lambda: not policy(client)["digest"], seconds=60, what="no policy")
        client.post(f"{ADMIN}/switch", json={"profile": FIRST_PROFILE}).raise_for_status()


def group(client: httpx.Client) -> str:
    """Return the group that answers the task `chat` now."""
    return chat(client, "chat", prompt="How are you?").raise_for_status().headers["x-neuronode-group"]


def write(proxy: Proxy, text: str) -> None:
    """Write the policy file."""
    (proxy.place.directory / "policy.yaml").write_text(text)


def policy(client: httpx.Client) -> dict[str, Any]:
    """Return the policy as it is shown."""
    found: dict[str, Any] = client.get(POLICY).raise_for_status().json()
    return found


def watching(client: httpx.Client) -> bool:
    """Return whether every worker counts attempts for the rule."""
    workers = client.get(f"{ADMIN}/status").raise_for_status().json()["workers"]
    return all("policy_deployments" in one["report"] for one in workers if one["live"])


def latest_changes(client: httpx.Client) -> set[str]:
    """Return the names of what the newest revision changed."""
    (entry,) = client.get("/admin/audit", params={"limit": 1}).raise_for_status().json()["entries"]
    return {change["task"] for change in entry["changes"]}


def acts(client: httpx.Client) -> list[dict[str, Any]]:
    """Return what the policy did, the newest first."""
    entries = client.get("/admin/audit").raise_for_status().json()["entries"]
    return [one for one in entries if one["actor"]["kind"] == "policy"]


def test_an_outage_moves_one_task_away_and_back(pair: Proxy, any_worker: httpx.Client) -> None:
    """Three failing attempts, in whichever workers, are enough; probes lead back; other tasks stay where they are."""
    write(pair, RULE)
    wait_until(lambda: watching(any_worker), seconds=60, what="workers that watch")

    statuses = [
        chat(any_worker, "chat", prompt=f"Question {number}: fail-503").status_code for number in range(3)
    ]
    # Who asked meanwhile would be answered: those were attempts that do not fail.
    wait_until(lambda: bool(acts(any_worker)), seconds=60, what="the other group")
    wait_until(lambda: len(acts(any_worker)) == 2, seconds=60, what="the return")
    wait_until(lambda: group(any_worker) == "chat_premium", seconds=60, what="the group that was left")

    assert statuses == [503, 503, 503]
    back, away = acts(any_worker)
    assert (away["action"], away["profile_after"]) == ("policy", "premium")
    assert away["changes"] == [{"task": "chat", "before": "chat_premium", "after": "chat_balanced"}]
    assert back["changes"] == [{"task": "chat", "before": "chat_balanced", "after": "chat_premium"}]
    assert "emergency rule premium-down (3 of 3 attempts at chat_premium failed" in away["reason"]
    assert "rule premium-down ended" in back["reason"]
    (rule,) = policy(any_worker)["rules"]
    assert (rule["active"], rule["changes"]) == (False, 2)
    assert "2 probes in a row succeeded" in rule["evidence"]


def test_a_window_is_active_and_a_switch_is_held(pair: Proxy, any_worker: httpx.Client) -> None:
    """The profile of the window answers; who switches is held to it until it is released."""
    write(pair, ALL_DAY)
    wait_until(lambda: group(any_worker) == "chat_balanced", seconds=60, what="the window")

    held = any_worker.post(f"{ADMIN}/switch", json={"profile": "cost_effective"}).raise_for_status().json()
    why = policy(any_worker)["now"]["why"]
    released = any_worker.post(f"{POLICY}/release", json={}).raise_for_status().json()

    assert (held["profile"], held["complete"]) == ("cost_effective", True)
    assert why.startswith("cost_effective: held by ")
    assert (released["profile"], released["complete"]) == ("balanced", True)


def test_a_cap_makes_auto_lighter(pair: Proxy, any_worker: httpx.Client) -> None:
    """Whoever asks for the heaviest tier gets the highest that the policy leaves, and is told so."""
    write(pair, CAP)

    wait_until(lambda: "@max_tier" in latest_changes(any_worker), seconds=60, what="the cap")
    wait_until(lambda: any_worker.get(f"{ADMIN}/status").json()["converged"], seconds=60, what="every worker")

    answer = chat(any_worker, "auto:complex", prompt="Prove it.")

    headers = answer.raise_for_status().headers
    assert (headers["x-neuronode-tier"], headers["x-neuronode-group"]) == ("medium", "tier_medium")
    assert "capped" in headers["x-neuronode-reason"]


def test_a_broken_file_is_shown_and_changes_nothing(pair: Proxy, any_worker: httpx.Client) -> None:
    """The last good policy stays in force, and the status says what is wrong and where."""
    digest = policy(any_worker)["digest"]
    write(pair, "schedule: [1]\n")

    shown: list[dict[str, Any]] = []

    def told() -> bool:
        shown[:] = any_worker.get(f"{ADMIN}/status").raise_for_status().json()["problems"]
        return any(one["code"] == "policy_invalid" for one in shown)

    wait_until(told, seconds=60, what="the problem")
    (problem,) = (one for one in shown if one["code"] == "policy_invalid")
    assert (problem["file"], problem["line"]) == ("policy.yaml", 1)
    assert policy(any_worker)["digest"] == digest
