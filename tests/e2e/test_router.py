"""What the proxy shows of its deployments and decisions, against what its requests get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from admin_api.router import PREFIX, SECOND_PREFIX
from tests.e2e.asking import chat, decision
from tests.support.place import GROUPS, PROVIDER_KEY
from tests.support.proxy import Proxy
from tests.support.servers import wait_until
from tests.support.upstream import Upstream

pytestmark = pytest.mark.e2e

STRATEGY = "Entwickle eine detaillierte Handelsstrategie mit Szenarien und Risiken."


def deployment(client: httpx.Client, group: str) -> dict[str, Any]:
    """Return what the statistics say of a group's only deployment."""
    body = client.get(f"{PREFIX}/router/stats").raise_for_status().json()
    (found,) = [found for found in body["deployments"] if found["group"] == group]
    assert isinstance(found, dict)
    return found


def answers(client: httpx.Client, group: str) -> int:
    return int((deployment(client, group)["window"] or {"answers": 0})["answers"])


def test_requests_are_measured_and_every_worker_knows(admin: httpx.Client) -> None:
    """Answers of either worker are counted once, and both show them: statistics are shared through Redis."""
    group = GROUPS["premium"]["strategy"]
    before = answers(admin, group)

    for _ in range(4):
        chat(admin, "strategy").raise_for_status()

    # Each look may be answered by the other worker: eight in a row that agree are both of them.
    wait_until(lambda: [answers(admin, group) for _ in range(8)] == [before + 4] * 8, what="the counts")
    found = deployment(admin, group)
    assert found["window"]["total"]["p50_ms"] > 0
    assert (found["health"], found["in_flight"]) == ("ok", 0)


def test_a_dry_run_says_what_the_request_then_gets(admin: httpx.Client, upstream: Upstream) -> None:
    """Group, tier, task and reasons of the dry run are those in the headers of the answer."""
    dry = admin.post(f"{PREFIX}/router/classify", json={"text": STRATEGY, "explain": True}).raise_for_status()
    real = chat(admin, "auto", prompt=STRATEGY)

    foreseen, said = dry.json()["decision"], decision(real)
    assert said["group"] == foreseen["group"]
    assert (said["task"], said["tier"], said["profile"]) == (
        foreseen["task"],
        foreseen["tier"],
        foreseen["profile"],
    )
    assert said["reason"].split(",") == [foreseen["reason"], *foreseen["steps"]]
    assert dry.json()["deployments"][0]["group"] == foreseen["group"]


@pytest.mark.parametrize("prefix", [PREFIX, SECOND_PREFIX])
def test_the_registry_lists_every_deployment_without_its_key(proxy: Proxy, prefix: str) -> None:
    """Each entry of LiteLLM's list is there, under both prefixes; addresses and keys are not."""
    with proxy.client() as client:
        answer = client.get(f"{prefix}/router/registry").raise_for_status()

    groups = {found["group"] for found in answer.json()["deployments"]}
    assert {"tier_fast", "tier_complex", GROUPS["balanced"]["chat"]} <= groups
    assert PROVIDER_KEY not in answer.text
    assert proxy.place.upstream not in answer.text


def test_a_capped_key_is_told_what_it_would_get(proxy: Proxy, keys: Mapping[str, str]) -> None:
    """The dry run answers a member under the member's own cap, as the request would."""
    with proxy.client(keys["low"]) as client:
        foreseen = client.post(f"{PREFIX}/router/classify", json={"text": STRATEGY}).raise_for_status().json()
        said = decision(chat(client, "auto", prompt=STRATEGY))

    assert (foreseen["decision"]["tier"], said["tier"]) == ("fast", "fast")
    assert "capped" in foreseen["decision"]["steps"]
    assert foreseen["deployments"] is None
