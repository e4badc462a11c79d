"""The audit log over HTTP: pages, filters, export."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from admin_api.router import PREFIX
from neuronode_router.control.chain import entry_hash
from neuronode_router.domain.audit import Actor, AuditEntry
from neuronode_router.domain.profiles import TaskChange
from tests.admin_api.world import World

AUDIT = "/admin/audit"
TURNS = ("balanced", "specialized", "ultra_fast", "balanced", "premium")


@pytest.fixture
async def switched(admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a proxy with six revisions: the first one, and five switches."""
    for turn, profile in enumerate(TURNS):
        await admin.post("/admin/profiles/switch", json={"profile": profile, "reason": f"turn {turn}"})
    return admin


async def test_the_log_is_read_in_pages_newest_first(switched: httpx.AsyncClient) -> None:
    """Following the cursor shows every revision once, from the newest to the first."""
    seen, before = [], None

    while True:
        page = (
            await switched.get(AUDIT, params={"limit": 2} | ({"before": before} if before else {}))
        ).json()
        seen += [entry["revision"] for entry in page["entries"]]
        before = page["next"]
        if before is None:
            break

    assert seen == [6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("filters", "revisions"),
    [
        ({"actor": "admin"}, [6, 5, 4, 3, 2]),
        ({"actor": "admi"}, []),
        ({"action": "bootstrap"}, [1]),
        ({"profile": "specialized"}, [4, 3]),
        ({"after": 4}, [6, 5]),
        ({"after": 2, "before": 5}, [4, 3]),
        ({"since": 4e9}, []),
        ({"until": 4e9, "limit": 1}, [6]),
    ],
)
async def test_entries_are_filtered(
    switched: httpx.AsyncClient, filters: dict[str, Any], revisions: list[int]
) -> None:
    """Actor, action, profile, revision and time each narrow the page."""
    page = (await switched.get(AUDIT, params=filters)).json()

    assert [entry["revision"] for entry in page["entries"]] == revisions


async def test_the_cursor_ends_with_the_last_page(switched: httpx.AsyncClient) -> None:
    """A page that is exactly full is the last one all the same."""
    full = (await switched.get(AUDIT, params={"limit": 6})).json()
    less = (await switched.get(AUDIT, params={"limit": 5})).json()

    assert (len(full["entries"]), full["next"]) == (6, None)
    assert (len(less["entries"]), less["next"]) == (5, 2)


async def test_an_edit_of_whatever_profile_is_told_wherever_it_is_looked_for(
    admin: httpx.AsyncClient,
) -> None:
    """Preview, receipt, row and filter tell what a profile says otherwise; so do those of the rollback."""
    address = f"{PREFIX}/profiles/specialized"
    body = (await admin.get(address)).json() | {"personal_data": "refuse"}
    change = {"task": "specialized.personal_data", "before": "allow", "after": "refuse"}

    edit = [
        (await admin.put(address, json=body, params=dry, headers={"If-Match": "*"})).json()
        for dry in ({"dry_run": True}, {})
    ]
    back = [
        (await admin.post(f"{PREFIX}/rollback", json={"to": 1} | dry)).json()
        for dry in ({"dry_run": True}, {})
    ]
    found = (await admin.get(AUDIT, params={"profile": "specialized"})).json()["entries"]

    assert [receipt["changes"] for receipt in edit] == [[change]] * 2
    assert [receipt["changes"] for receipt in back] == [[change | {"before": "refuse", "after": "allow"}]] * 2
    assert [entry["changes"] for entry in found] == [back[1]["changes"], edit[1]["changes"]]
    assert [entry["revision"] for entry in found] == [3, 2]
    for name in ("special", "specialize_", "%"):
        assert (await admin.get(AUDIT, params={"profile": name})).json()["entries"] == []


@pytest.mark.parametrize(
    "filters",
    [
        {"limit": 0},
        {"limit": 501},
        {"before": 0},
        {"action": "delete"},
        {"since": "nan"},
        {"who": "x"},
        {"actor": "\0"},
    ],
)
async def test_a_filter_that_means_nothing_is_refused(
    admin: httpx.AsyncClient, filters: dict[str, Any]
) -> None:
    """A misspelt or senseless filter is 422, not an unfiltered log."""
    answer = await admin.get(AUDIT, params=filters)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    "request_options", [{"params": {"format": "ndjson"}}, {"headers": {"Accept": "application/x-ndjson"}}]
)
async def test_the_export_holds_every_entry_and_can_be_verified(
    switched: httpx.AsyncClient, request_options: dict[str, Any]
) -> None:
    """One line for each entry, with all that its hash covers: a copy is evidence."""
    answer = await switched.get(AUDIT, **request_options)

    entries = [parse(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [entry.revision for entry in entries] == [6, 5, 4, 3, 2, 1]
    assert all(entry.hash == entry_hash(entry) for entry in entries)
    assert [entry.previous_hash for entry in entries[:-1]] == [entry.hash for entry in entries[1:]]


async def test_an_entry_of_a_binding_can_be_verified_too(
    switched: httpx.AsyncClient,
) -> None:
    """The hash covers the bindings, so pages, export and events show them."""
    body = {"profile": "balanced"}
    (await switched.put(f"{PREFIX}/bindings/team/a", json=body)).raise_for_status()

    (line, *_) = (await switched.get(AUDIT, params={"format": "ndjson"})).text.splitlines()
    (entry,) = (await switched.get(AUDIT, params={"limit": 1})).json()["entries"]

    assert parse(line).hash == entry_hash(parse(line))
    assert entry == json.loads(line)
    assert "balanced" in entry["bindings"]


async def test_an_export_longer_than_a_page_is_complete(
    world: World, switched: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export goes on from page to page by itself."""
    monkeypatch.setattr("admin_api.audit.routes.MAX_PAGE", 2)

    answer = await switched.get(AUDIT, params={"format": "ndjson", "before": 6})

    assert [json.loads(line)["revision"] for line in answer.text.splitlines()] == [5, 4, 3, 2, 1]


def parse(line: str) -> AuditEntry:
    """Return an exported line as the entry it was."""
    fields = json.loads(line)
    changes = tuple(TaskChange(**change) for change in fields.pop("changes"))
    return AuditEntry(actor=Actor(**fields.pop("actor")), changes=changes, **fields)
