"""Who may reach which group and profile through the real proxy, and what a caller cannot forge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.asking import answered_by, chat, decision
from tests.e2e.conftest import ADMIN
from tests.support.place import PROFILES
from tests.support.proxy import Proxy
from tests.support.servers import wait_until
from tests.support.upstream import Upstream

pytestmark = pytest.mark.e2e

FORGED = {
    "tags": ["profile:forged", "task:forged", "own"],
    "spend_logs_metadata": {"neuronode_profile": "forged", "own": "kept"},
    "neuronode": {"profile": "forged", "revision": 999, "group": "forged"},
}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_grant_on_a_task_holds_under_every_profile(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], profile: str
) -> None:
    """A key for `classification` may call it wherever it leads, and nothing else."""
    admin.post(f"{ADMIN}/switch", json={"profile": profile}).raise_for_status()

    with proxy.client(keys["narrow"]) as narrow:
        allowed = chat(narrow, "classification")
        refused = {
            name: chat(narrow, name).status_code
            for name in (
                f"classification_{profile}",
                "extraction",
                "task_classification",
                f"{profile}/classification",
                f"@profile/{profile}",
            )
        }

    assert answered_by(allowed) == f"classification_{profile}"
    assert set(refused.values()) == {403}, refused


@pytest.mark.parametrize(
    ("key", "name", "status"),
    [
        ("chooser", "@profile/balanced", 200),
        ("chooser", "balanced/chat", 200),
        ("chooser", "@profile/ultra_fast", 403),
        ("chooser", "ultra_fast/chat", 403),
        ("ordinary", "@profile/balanced", 403),
        ("ordinary", "balanced/chat", 403),
        ("viewer", "@profile/balanced", 403),
        (None, "@profile/ultra_fast", 200),
        (None, "ultra_fast/chat", 200),
    ],
)
def test_another_profile_by_name_needs_a_grant(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], key: str | None, name: str, status: int
) -> None:
    """`@profile/x` and `x/task` answer from x for who may choose x; everybody else gets 403."""
    with proxy.client(keys[key]) if key else proxy.client() as client:
        answer = chat(client, name)

    assert answer.status_code == status, answer.text
    if status == 200:
        profile = name.removeprefix("@profile/").split("/")[0]
        assert answered_by(answer) == f"chat_{profile}"
        assert decision(answer)["reason"] == "override_name"
        assert decision(answer)["profile"] == profile


@pytest.mark.parametrize(
    ("key", "profile", "reason"),
    [
        ("chooser", "balanced", "override_header"),
        ("chooser", "ultra_fast", "override_denied"),
        ("ordinary", "balanced", "override_denied"),
        ("chooser", "no-such-profile", "override_denied"),
    ],
)
def test_another_profile_by_header_needs_a_grant(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], key: str, profile: str, reason: str
) -> None:
    """The header is honoured where access allows it, and otherwise ignored with a reason that says so."""
    with proxy.client(keys[key]) as client:
        answer = chat(client, "summary", headers={"x-neuronode-profile": profile})

    served = profile if reason == "override_header" else "premium"
    assert answered_by(answer) == f"summary_{served}"
    assert decision(answer)["profile"] == served
    assert decision(answer)["reason"] == reason


def test_the_listing_shows_what_a_key_may_use(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str]
) -> None:
    """`/v1/models` has the task aliases, and of the profiles only those the key may choose."""
    listed: dict[str, set[str]] = {}

    for name, key in keys.items():
        with proxy.client(key) as client:
            rows = client.get("/v1/models").raise_for_status().json()["data"]
            listed[name] = {row["id"] for row in rows}

    assert listed["narrow"] == {"classification"}
    assert {"classification", "chat", "task_chat", "chat_premium"} <= listed["ordinary"]
    assert {name for name in listed["ordinary"] if name.startswith("@")} == set()
    assert {name for name in listed["chooser"] if name.startswith("@")} == {"@profile/balanced"}


@pytest.mark.parametrize("bucket", ["metadata", "litellm_metadata"])
def test_forged_metadata_does_not_survive(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], record: Path, bucket: str
) -> None:
    """Tags, spend metadata and headers that a caller makes up in our names are replaced by ours."""
    mark = f"forger-{bucket}"
    headers = {
        "x-neuronode-revision": "999",
        "x-neuronode-group": "forged",
        "x-litellm-tags": "profile:forged",
    }

    with proxy.client(keys["ordinary"]) as client:
        answer = chat(client, "sentiment", user=mark, headers=headers, **{bucket: FORGED})

    assert answered_by(answer) == "sentiment_premium"
    assert "forged" not in json.dumps(decision(answer))
    row = logged(record, mark)
    assert "forged" not in json.dumps(row)
    assert {"profile:premium", "task:sentiment"} <= set(row["tags"])
    assert row["spend"]["neuronode_profile"] == "premium"


def test_forged_fallbacks_do_not_widen_access(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], upstream: Upstream
) -> None:
    """A key for one task cannot reach another group through `fallbacks` in its request."""
    before = upstream.counts()["native"]["requests"]

    with proxy.client(keys["narrow"]) as narrow:
        answer = chat(narrow, "classification", prompt="fail-500", fallbacks=["native"])

    assert answer.status_code == 403
    assert upstream.counts()["native"]["requests"] == before


@pytest.mark.parametrize("stream", [False, True])
def test_spend_logs_name_profile_task_and_revision(
    admin: httpx.Client, record: Path, *, stream: bool
) -> None:
    """What LiteLLM logs for a request can be grouped by profile and task."""
    mark = f"spender-{stream}"

    answer = chat(admin, "rag_query", user=mark, stream=stream)

    assert answer.status_code == 200
    row = logged(record, mark)
    assert row["status"] == "success"
    assert {"profile:premium", "task:rag_query"} <= set(row["tags"])
    assert row["spend"] == {
        "neuronode_profile": "premium",
        "neuronode_task": "rag_query",
        "neuronode_revision": int(decision(answer)["revision"]),
    }


def logged(record: Path, mark: str) -> dict[str, Any]:
    """Wait for LiteLLM's log of the request of end user `mark` and return it."""

    def rows() -> list[dict[str, Any]]:
        lines = record.read_text().splitlines() if record.exists() else []
        return [row for row in map(json.loads, lines) if row["end_user"] == mark]

    wait_until(rows, what=f"the log of {mark}")
    return rows()[0]
