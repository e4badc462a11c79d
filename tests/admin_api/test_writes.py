"""Switch, rollback, reload, edits and validation, with their preconditions."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from admin_api.router import PREFIX
from neuronode_router.domain.profiles import HostFacts, ProfileEdit
from neuronode_router.errors import ProfilesReadOnly
from neuronode_router.profiles.checks import RESERVED_PROFILE_NAMES
from neuronode_router.profiles.files import ProfileFiles, StagedFiles
from tests.admin_api.world import CANARY, World, running_world
from tests.support.place import GROUPS, profile_text

BASE = "/admin/profiles"


def document(name: str = "balanced") -> dict[str, Any]:
    """Return a test profile as a client would send it."""
    loaded: dict[str, Any] = yaml.safe_load(profile_text(name))
    return loaded


def digest_of(directory: Path) -> Mapping[str, str]:
    """Return every profile file's hash, however deep it lies."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.rglob("*.yaml")}


async def test_one_call_switches_and_returns_a_receipt(world: World, admin: httpx.AsyncClient) -> None:
    """The plan's call is enough: the worker serves the profile when the receipt is there."""
    answer = await admin.post(f"{BASE}/switch", json={"profile": "balanced"})

    receipt = answer.json()
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    assert (receipt["revision"], receipt["changed"], receipt["complete"]) == (2, True, True)
    assert (receipt["previous_profile"], receipt["profile"]) == ("premium", "balanced")
    assert {"task": "chat", "before": "chat_premium", "after": "chat_balanced"} in receipt["changes"]
    assert [(worker["state"], worker["revision"]) for worker in receipt["workers"]] == [("applied", 2)]
    assert world.applier.state is not None
    assert world.applier.state.active == "balanced"


async def test_switching_to_what_is_active_changes_nothing(admin: httpx.AsyncClient) -> None:
    """An unchanged switch is no error and no revision."""
    receipt = (await admin.post(f"{BASE}/switch", json={"profile": "premium"})).json()

    assert (receipt["changed"], receipt["revision"]) == (False, 1)


async def test_a_dry_run_shows_the_changes_and_makes_none(admin: httpx.AsyncClient) -> None:
    """`dry_run` answers what would change; the revision stays."""
    receipt = (await admin.post(f"{BASE}/switch", json={"profile": "balanced", "dry_run": True})).json()
    status = (await admin.get(f"{BASE}/status")).json()

    assert receipt["dry_run"]
    assert receipt["changes"]
    assert (status["active_profile"], status["revision"]) == ("premium", 1)


@pytest.mark.parametrize("query", [{"dry_run": "true"}, {"dryrun": "true"}])
async def test_an_option_in_the_wrong_place_is_refused(
    admin: httpx.AsyncClient, query: dict[str, str]
) -> None:
    """Who asks for a dry run in the query of a POST, or misspells it on a PUT, does not get the real thing."""
    posted = await admin.post(f"{BASE}/switch", params=query, json={"profile": "balanced"})
    put = await admin.put(
        f"{BASE}/premium/tasks/chat",
        params={"dryrun": "true"},
        json={"group": "chat_balanced"},
        headers={"If-Match": "*"},
    )

    assert (posted.status_code, put.status_code) == (422, 422)
    assert (await admin.get(f"{BASE}/status")).json()["revision"] == 1


async def test_nobody_needs_to_be_waited_for(admin: httpx.AsyncClient) -> None:
    """`wait: none` answers as soon as the switch is committed."""
    receipt = (await admin.post(f"{BASE}/switch", json={"profile": "balanced", "wait": "none"})).json()

    assert (receipt["revision"], receipt["changed"]) == (2, True)


async def test_an_unknown_profile_is_404_with_the_names_there_are(admin: httpx.AsyncClient) -> None:
    """A typo tells what could have been meant."""
    problem = (await admin.post(f"{BASE}/switch", json={"profile": "premum"})).json()

    assert (problem["status"], problem["code"]) == (404, "unknown_profile")
    assert "premium" in problem["fix"]


@pytest.mark.parametrize("if_match", ['"1"', 'W/"1"', "*", ' "1" '])
async def test_a_matching_etag_lets_a_switch_pass(admin: httpx.AsyncClient, if_match: str) -> None:
    """The current revision, weak or strong, and `*` are accepted."""
    answer = await admin.post(f"{BASE}/switch", json={"profile": "balanced"}, headers={"If-Match": if_match})

    assert answer.status_code == 200


async def test_an_old_etag_is_a_conflict_that_names_the_current_one(admin: httpx.AsyncClient) -> None:
    """Whoever decided on an outdated view gets 412 and the ETag to look at."""
    await admin.post(f"{BASE}/switch", json={"profile": "balanced"})

    answer = await admin.post(f"{BASE}/switch", json={"profile": "premium"}, headers={"If-Match": '"1"'})

    assert (answer.status_code, answer.json()["code"]) == (412, "revision_conflict")
    assert answer.headers["etag"] == '"2"'


@pytest.mark.parametrize("if_match", ["1", '"x"', '"1", "2"', '"²"', '"' + "9" * 20 + '"', '""'])
async def test_an_etag_that_is_none_of_ours_is_refused(admin: httpx.AsyncClient, if_match: str) -> None:
    """A malformed If-Match is 422, not a guess."""
    headers = {"If-Match": if_match.encode()}

    answer = await admin.post(f"{BASE}/switch", json={"profile": "balanced"}, headers=headers)

    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "header.if-match")


async def test_of_concurrent_switches_with_one_etag_one_wins(admin: httpx.AsyncClient) -> None:
    """Twenty callers who all saw revision 1: one receipt, the rest conflicts, one new revision."""
    names = ["balanced", "specialized"] * 10

    answers = await asyncio.gather(
        *(admin.post(f"{BASE}/switch", json={"profile": n}, headers={"If-Match": '"1"'}) for n in names)
    )

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [412] * 19
    assert (await admin.get(f"{BASE}/status")).json()["revision"] == 2


async def test_a_rollback_needs_no_body(admin: httpx.AsyncClient) -> None:
    """An empty POST goes back to the revision before; the profile and the mappings return."""
    await admin.post(f"{BASE}/switch", json={"profile": "balanced"})

    receipt = (await admin.post(f"{PREFIX}/rollback")).json()

    assert (receipt["revision"], receipt["profile"], receipt["action"]) == (3, "premium", "rollback")


async def test_a_rollback_to_a_revision_and_to_one_that_never_was(admin: httpx.AsyncClient) -> None:
    """Any committed revision can be named; another one is 404."""
    for name in ("balanced", "specialized", "ultra_fast"):
        await admin.post(f"{BASE}/switch", json={"profile": name})

    back = (await admin.post(f"{PREFIX}/rollback", json={"to": 2, "reason": "worse answers"})).json()
    never = await admin.post(f"{PREFIX}/rollback", json={"to": 99})

    assert (back["revision"], back["profile"]) == (5, "balanced")
    assert (never.status_code, never.json()["code"]) == (404, "unknown_revision")


async def test_a_reload_takes_up_edited_files(world: World, admin: httpx.AsyncClient) -> None:
    """A file edited by hand is in force after a reload, which says what changed."""
    path = world.profiles / "premium.yaml"
    path.write_text(profile_text("premium", chat="chat_balanced"))

    receipt = (await admin.post(f"{PREFIX}/reload", json={"reason": "by hand"})).json()

    assert receipt["changes"] == [{"task": "chat", "before": "chat_premium", "after": "chat_balanced"}]
    assert world.applier.state is not None
    assert world.applier.state.profiles.profiles["premium"].tasks["chat"] == "chat_balanced"


async def test_a_broken_file_is_refused_with_every_problem(world: World, admin: httpx.AsyncClient) -> None:
    """A reload of broken files changes nothing and names file, line, path and fix of each problem."""
    (world.profiles / "premium.yaml").write_text(profile_text("premium", chat="nowhere", summary="nothing"))

    answer = await admin.post(f"{PREFIX}/reload")
    validation = (await admin.post(f"{PREFIX}/proof/validate")).json()

    problems = answer.json()["problems"]
    assert (answer.status_code, answer.json()["code"]) == (422, "profiles_invalid")
    assert {problem["path"] for problem in problems} == {"tasks.chat", "tasks.summary"}
    assert all(
        problem["file"] == "premium.yaml" and problem["line"] and problem["fix"] for problem in problems
    )
    assert validation == {"valid": False, "problems": problems}
    assert (await admin.get(f"{BASE}/status")).json()["revision"] == 1


async def test_a_task_is_mapped_to_another_group(world: World, admin: httpx.AsyncClient) -> None:
    """One mapping changes in the file, comments kept, and in force at once."""
    answer = await admin.put(
        f"{BASE}/premium/tasks/chat", json={"group": "chat_ultra_fast"}, headers={"If-Match": '"1"'}
    )

    text = (world.profiles / "premium.yaml").read_text()
    assert (answer.status_code, answer.json()["action"]) == (200, "edit")
    assert "chat: chat_ultra_fast" in text
    assert "# premium, with a comment to keep" in text
    assert world.applier.state is not None
    assert world.applier.state.profiles.profiles["premium"].tasks["chat"] == "chat_ultra_fast"


async def test_what_was_read_can_be_written_back(admin: httpx.AsyncClient) -> None:
    """GET, change, PUT with the ETag: the body of GET is accepted as it is."""
    read = await admin.get(f"{BASE}/balanced")
    changed = read.json() | {"description": "Changed.", "hidden": True}

    written = await admin.put(f"{BASE}/balanced", json=changed, headers={"If-Match": read.headers["etag"]})

    assert written.status_code == 200, written.text
    assert (await admin.get(f"{BASE}/balanced")).json() == changed


async def test_a_new_profile_is_added_and_can_be_switched_to(admin: httpx.AsyncClient) -> None:
    """PUT under a new name adds a profile; options go in the query."""
    added = await admin.put(
        f"{BASE}/night", params={"reason": "cheaper"}, json=document(), headers={"If-Match": "*"}
    )
    switched = await admin.post(f"{BASE}/switch", json={"profile": "night"})
    entry = (await admin.get(f"{PREFIX}/audit", params={"action": "edit"})).json()["entries"][0]

    assert (added.status_code, switched.status_code) == (200, 200)
    assert entry["reason"] == "cheaper"


async def test_an_edit_must_say_what_it_is_based_on(world: World, admin: httpx.AsyncClient) -> None:
    """Without If-Match an edit is 428, with an old one 412; the files stay."""
    before = digest_of(world.profiles)
    await admin.post(f"{BASE}/switch", json={"profile": "balanced"})

    for path, body in (
        (f"{BASE}/premium", document()),
        (f"{BASE}/premium/tasks/chat", {"group": "chat_balanced"}),
    ):
        without = await admin.put(path, json=body)
        outdated = await admin.put(path, json=body, headers={"If-Match": '"1"'})

        assert (without.status_code, without.json()["code"]) == (428, "precondition_required")
        assert outdated.status_code == 412
    assert digest_of(world.profiles) == before


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("premium", {"api_base": "http://169.254.169.254/", "api_key": CANARY}),
        ("premium", {"callbacks": ["os.system"], "plugins": ["x"]}),
        ("premium", {"tasks": {"chat": "chat_premium"}}),
        ("premium", {"tiers": {"fast": []}}),
        ("premium", {"description": 7}),
        ("premium", {"description": "a\x00b"}),
        ("premium", {"name": "balanced"}),
        ("CON", {}),
        ("x" * 300, {}),
        (".hidden", {}),
        ("a.b", {}),
        ("%00", {}),
        ("%2e%2e", {}),
        ("a%0ab", {}),
        *((word, {}) for word in sorted(RESERVED_PROFILE_NAMES)),
    ],
)
async def test_an_edit_with_anything_unforeseen_is_refused(
    world: World, admin: httpx.AsyncClient, name: str, changes: Mapping[str, Any]
) -> None:
    """T5, T10: unknown keys, URLs, keys, dotted paths, gaps and odd names: 422, nothing written, nothing echoed."""
    before = digest_of(world.profiles)

    answer = await admin.put(f"{BASE}/{name}", json=document() | dict(changes), headers={"If-Match": "*"})

    assert answer.status_code == 422, answer.text
    assert answer.json()["problems"]
    assert CANARY not in answer.text
    assert digest_of(world.profiles) == before


@pytest.mark.parametrize("path", ["../x", "..%2fx", "a/b", "a%2fb"])
async def test_a_path_that_leads_elsewhere_is_no_route(
    world: World, admin: httpx.AsyncClient, path: str
) -> None:
    """T10: a slash in a name, encoded or not, reaches no file."""
    before = digest_of(world.profiles.parent)

    answer = await admin.put(f"{BASE}/{path}", json=document(), headers={"If-Match": "*"})

    assert answer.status_code in {404, 405}
    assert digest_of(world.profiles.parent) == before


async def test_unknown_tasks_and_groups_are_told_apart(admin: httpx.AsyncClient) -> None:
    """A task that no profile maps is 404, a group the proxy does not have is 422."""
    task = await admin.put(f"{BASE}/premium/tasks/cooking", json={"group": "x"}, headers={"If-Match": "*"})
    group = await admin.put(f"{BASE}/premium/tasks/chat", json={"group": "x"}, headers={"If-Match": "*"})
    profile = await admin.put(f"{BASE}/nobody/tasks/chat", json={"group": "x"}, headers={"If-Match": "*"})

    assert (task.status_code, task.json()["code"]) == (404, "unknown_task")
    assert (group.status_code, group.json()["code"]) == (422, "profiles_invalid")
    assert (profile.status_code, profile.json()["code"]) == (404, "unknown_profile")


class MountedFiles(ProfileFiles):
    """Profile files on a read-only mount. (Permissions do not stop the root user, who may run the tests.)"""

    def stage_edit(self, name: str, edit: ProfileEdit, host: HostFacts) -> StagedFiles:
        """Refuse, as the real one does where the directory cannot be written."""
        raise ProfilesReadOnly("The profiles are mounted read-only.")


async def test_files_that_cannot_be_written_are_a_conflict(tmp_path: Path) -> None:
    """An edit of profiles that lie on a read-only mount, as a ConfigMap does, gives 409 with the fix."""
    async with running_world(tmp_path, files=MountedFiles) as world, world.client() as client:
        answer = await client.put(
            f"{BASE}/premium/tasks/chat", json={"group": "chat_balanced"}, headers={"If-Match": "*"}
        )

    assert (answer.status_code, answer.json()["code"]) == (409, "profiles_read_only")


async def test_a_submitted_profile_is_checked_without_a_change(
    world: World, admin: httpx.AsyncClient
) -> None:
    """Validation of a document answers as an edit would, and writes nothing."""
    before = digest_of(world.profiles)

    good = await admin.post(f"{PREFIX}/proof/validate", json={"name": "night", "profile": document()})
    bad = await admin.post(
        f"{PREFIX}/proof/validate", json={"name": "night", "profile": document() | {"api_base": "http://x"}}
    )

    assert good.json() == {"valid": True, "problems": []}
    assert (bad.status_code, bad.json()["valid"]) == (200, False)
    assert "api_base" in bad.json()["problems"][0]["path"]
    assert digest_of(world.profiles) == before
    assert (await admin.get(f"{BASE}/status")).json()["revision"] == 1


async def test_a_repeated_key_returns_the_first_receipt(admin: httpx.AsyncClient) -> None:
    """A retry after a lost answer acts once, says so by a header, and another request with the key is 422."""
    headers = {"Idempotency-Key": "7b9c"}

    first = await admin.post(f"{BASE}/switch", json={"profile": "balanced"}, headers=headers)
    await admin.post(f"{BASE}/switch", json={"profile": "specialized"})
    again = await admin.post(f"{BASE}/switch", json={"profile": "balanced"}, headers=headers)
    other = await admin.post(f"{BASE}/switch", json={"profile": "premium"}, headers=headers)

    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.json()["revision"]) == (200, 2)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert (await admin.get(f"{BASE}/status")).json()["active_profile"] == "specialized"


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "é"])
async def test_an_idempotency_key_is_short_and_printable(admin: httpx.AsyncClient, key: str) -> None:
    """What cannot be kept as a key is 422."""
    headers = {"Idempotency-Key": key.encode()}

    answer = await admin.post(f"{BASE}/switch", json={"profile": "balanced"}, headers=headers)

    assert answer.status_code == 422


async def test_a_flood_of_switches_is_slowed_down(world: World, admin: httpx.AsyncClient) -> None:
    """T23: beyond the limit there is 429 with Retry-After, reads and other callers go on, revisions do not run away."""
    world.write_limit = "5/minute"
    world.leave_the_shared_application()

    answers = [
        await admin.post(f"{BASE}/switch", json={"profile": ("balanced", "premium")[turn % 2]})
        for turn in range(20)
    ]
    refused = [answer for answer in answers if answer.status_code == 429]
    status = await admin.get(f"{BASE}/status")

    assert [answer.status_code for answer in answers[:5]] == [200] * 5
    assert len(refused) == 15
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in refused)
    assert refused[0].json()["code"] == "rate_limited"
    assert (status.status_code, status.json()["revision"]) == (200, 6)


async def test_a_store_that_does_not_answer_is_503(world: World, admin: httpx.AsyncClient) -> None:
    """A lost database refuses writes and reads of the state with 503, and the worker keeps its revision."""
    database = world.profiles.parent / "control.db"
    world.store.close()
    for path in world.profiles.parent.glob("control.db*"):
        path.unlink()
    database.mkdir()

    answers = [
        await admin.post(f"{BASE}/switch", json={"profile": "balanced"}),
        await admin.get(f"{BASE}/status"),
    ]
    database.rmdir()

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(503, "store_unavailable")] * 2
    assert world.worker.revision == 1
    assert world.applier.state is not None
    assert world.applier.state.profiles.profiles["premium"].tasks == GROUPS["premium"]
