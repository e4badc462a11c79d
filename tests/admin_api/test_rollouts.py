"""Rollouts over HTTP: begun, shown with both arms, moved on, taken back with the evidence; and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from admin_api.router import PREFIX
from neuronode_router.control.rollouts import Rollouts
from neuronode_router.errors import StoreUnavailable
from neuronode_router.rollouts.course import Rollout
from neuronode_router.rollouts.facts import BothArms
from neuronode_router.usage.buffer import Batch
from neuronode_router.usage.finished import RequestOutcome
from neuronode_router.usage.store import UsageStore
from neuronode_router.usage.sums import Sums
from tests.admin_api.world import BASE, World
from tests.support.place import PROFILES
from tests.support.usage import finished

ROLLOUTS = f"{PREFIX}/rollouts"
PLAN = {"profile": "balanced", "hold": 0, "least": 10, "guards": [{"metric": "error_rate", "worse_by": 0.02}]}


async def count(world: World, *, broken: int, sequence: int = 1) -> None:
    """Count 50 requests of each arm, as a worker's flush does; `broken` ones of the canary failed."""
    state = await world.manager.current()
    assert state is not None
    assert state.canary is not None
    rows: dict[Any, Sums] = {}
    for number in range(100):
        canary = number % 2 == 0
        outcome = RequestOutcome.UNAVAILABLE if canary and number < 2 * broken else RequestOutcome.ANSWERED
        one = finished(
            arm="canary" if canary else "control",
            revision=state.revision,
            outcome=outcome,
            at=state.canary.since,
        )
        minute = int(one.at) // 60 * 60
        rows.setdefault((minute, one.key), Sums()).add(one)
    UsageStore(world.store.database).add("w", Batch(sequence, rows, ()), at=state.canary.since)


async def start(world: World, **changed: Any) -> str:
    """Begin a rollout and return its id."""
    async with world.client() as admin:
        answer = await admin.post(ROLLOUTS, json=PLAN | changed)
    answer.raise_for_status()
    return str(answer.headers["location"].rpartition("/")[2])


async def test_a_rollout_begins_with_a_receipt_and_is_shown(world: World) -> None:
    """Its first step is a revision that every worker has taken up."""
    async with world.client() as admin:
        answer = await admin.post(ROLLOUTS, json={"profile": "balanced", "reason": "cheaper"})
        shown = (await admin.get(ROLLOUTS)).json()

    receipt = answer.json()
    assert (answer.status_code, receipt["action"], receipt["complete"]) == (200, "rollout", True)
    assert receipt["changes"] == [{"task": "@rollout", "before": None, "after": "balanced 1 %"}]
    running = shown["running"]
    assert answer.headers["location"].endswith(f"/{running['id']}")
    assert (running["phase"], running["share"], running["steps"]) == ("running", 1, [1, 10, 50])
    assert (running["control"], running["profile"], running["on_done"]) == ("premium", "balanced", "ask")
    assert running["why"] == "the step is watched for another 600 s"
    assert "salt" not in answer.text + str(shown)


async def test_a_dry_run_begins_nothing(world: World) -> None:
    """It says what would change."""
    async with world.client() as admin:
        answer = await admin.post(ROLLOUTS, json=PLAN | {"dry_run": True})
        shown = (await admin.get(ROLLOUTS)).json()

    assert (answer.json()["changed"], answer.json()["dry_run"]) == (True, True)
    assert shown == {"running": None, "rollouts": []}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"profile": "nothing"}, 404, "unknown_profile"),
        ({"profile": "premium"}, 409, "rollout_refused"),
        ({"profile": "balanced", "steps": []}, 422, "invalid_request"),
        ({"profile": "balanced", "steps": [10, 1]}, 422, "invalid_request"),
        ({"profile": "balanced", "steps": [100]}, 422, "invalid_request"),
        ({"profile": "balanced", "guards": [{"metric": "error_rate"}]}, 422, "invalid_request"),
        ({"profile": "balanced", "share": 5}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
        ({"profile": "balanced", "edit": {"tasks": {"chat": "tier"}}}, 422, "invalid_request"),
        ({"edit": {}}, 422, "invalid_request"),
        ({"edit": {"tiers": {"huge": ["tier"]}}}, 422, "invalid_request"),
        ({"edit": {"tasks": {"cooking": "tier"}}}, 404, "unknown_task"),
        ({"edit": {"tasks": {"chat": "nobodys"}}}, 422, "profiles_invalid"),
        ({"edit": {"tasks": {"chat": "chat_premium"}}}, 409, "rollout_refused"),
    ],
)
async def test_what_cannot_begin(world: World, body: dict[str, Any], status: int, code: str) -> None:
    """It is refused before anything changes."""
    async with world.client() as admin:
        answer = await admin.post(ROLLOUTS, json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


EDIT = {"profile": None, "edit": {"tasks": {"chat": "chat_balanced"}, "tiers": {"fast": ["chat_balanced"]}}}


async def test_an_edit_is_tried_and_then_written_into_its_file(world: World) -> None:
    """While it is tried the file and the profile stay as they are; promoted it is an edit like any other."""
    before = (world.profiles / "premium.yaml").read_text()
    name = await start(world, **EDIT)

    async with world.client() as admin:
        tried = (await admin.get(f"{ROLLOUTS}/{name}")).json()
        meanwhile = (await admin.get(f"{BASE}/premium")).json()
        unwritten = (world.profiles / "premium.yaml").read_text()
        answer = await admin.post(f"{ROLLOUTS}/{name}/promote", json={"reason": "better"})
        after = (await admin.get(f"{BASE}/premium")).json()

    assert (tried["profile"], tried["control"], tried["edit"]) == ("premium+edit", "premium", EDIT["edit"])
    assert (unwritten, meanwhile["tasks"]["chat"]) == (before, "chat_premium")
    assert answer.raise_for_status().json()["changes"] == [
        {
            "task": "@rollout",
            "before": "premium+edit 1 % (chat: chat_balanced; tiers.fast: chat_balanced)",
            "after": None,
        },
        {"task": "auto:fast", "before": "tier_fast", "after": "chat_balanced"},
        {"task": "chat", "before": "chat_premium", "after": "chat_balanced"},
        {"task": "premium.tiers.fast", "before": "tier_fast", "after": "chat_balanced"},
    ]
    assert (after["tasks"]["chat"], after["tiers"]["fast"]) == ("chat_balanced", ["chat_balanced"])
    assert "chat: chat_balanced" in (world.profiles / "premium.yaml").read_text()


async def test_an_edit_that_is_aborted_leaves_nothing(world: World) -> None:
    """Neither in the file nor in force nor in the list of profiles; who tried it is moved back."""
    before = (world.profiles / "premium.yaml").read_bytes()
    name = await start(world, **EDIT)

    async with world.client() as admin:
        receipt = (await admin.post(f"{ROLLOUTS}/{name}/abort", json={})).raise_for_status().json()
        listed = (await admin.get(f"{BASE}/list")).json()["profiles"]

    assert receipt["conversations"] == "move"
    assert [one["name"] for one in listed] == sorted(PROFILES)
    assert (world.profiles / "premium.yaml").read_bytes() == before


async def test_whoever_edits_the_profile_meanwhile_goes_before(world: World) -> None:
    """The rollout of an edit ends as one of a profile does; an edit of another profile leaves it alone."""
    name = await start(world, **EDIT)

    async with world.client() as admin:
        other = f"{BASE}/balanced/tasks/chat"
        await admin.put(other, json={"group": "chat_premium"}, headers={"If-Match": "*"})
        between = (await admin.get(f"{ROLLOUTS}/{name}")).json()["phase"]
        mine = f"{BASE}/premium/tasks/chat"
        await admin.put(mine, json={"group": "chat_cost_effective"}, headers={"If-Match": "*"})
        found = (await admin.get(f"{ROLLOUTS}/{name}")).json()["phase"]
        late = await admin.post(f"{ROLLOUTS}/{name}/promote", json={})
        said = (await admin.get(f"{BASE}/premium")).json()["tasks"]["chat"]

    assert (between, found) == ("running", "superseded")
    assert (late.status_code, said) == (409, "chat_cost_effective")


async def test_what_was_not_tried_is_not_promoted(world: World) -> None:
    """A file that somebody changed a moment ago, and that nobody has taken up yet, is not published along."""
    file = world.profiles / "premium.yaml"
    name = await start(world, **EDIT)
    changed = file.read_text().replace("classification: classification_premium", "classification: tier_fast")
    file.write_text(changed)

    async with world.client() as admin:
        answer = await admin.post(f"{ROLLOUTS}/{name}/promote", json={})

    assert (answer.status_code, answer.json()["code"]) == (409, "rollout_refused")
    assert file.read_text() == changed


async def test_one_runs_at_a_time(world: World) -> None:
    """A second one is refused, and told what to do."""
    await start(world)

    async with world.client() as admin:
        answer = await admin.post(ROLLOUTS, json={"profile": "cost_effective"})

    assert (answer.status_code, answer.json()["code"]) == (409, "rollout_refused")
    assert "abort or promote it first" in answer.json()["fix"]


async def test_a_broken_canary_is_taken_back_with_the_evidence(world: World) -> None:
    """A revision of its own, with a row in the audit log and the figures of both arms."""
    name = await start(world)
    await count(world, broken=50)

    receipt = await in_force(world).turn()

    assert receipt is not None
    assert (receipt.profile, receipt.awaited, receipt.conversations) == ("premium", False, "move")
    async with world.client() as admin:
        over = (await admin.get(f"{ROLLOUTS}/{name}")).json()
        (event, begun) = (await admin.get(f"{ROLLOUTS}/{name}/history")).json()["events"]
        (row,) = (await admin.get(f"{PREFIX}/audit", params={"limit": 1})).json()["entries"]
    assert (over["phase"], over["share"]) == ("aborted", 0)
    assert (begun["act"], event["act"], event["revision"]) == ("start", "abort", receipt.revision)
    figures = {one["task"]: one for one in event["evidence"] if one["verdict"] == "breached"}
    assert (figures["chat"]["canary"]["value"], figures["chat"]["control"]["value"]) == (1, 0)
    assert (row["actor"]["kind"], row["action"]) == ("rollout", "rollout")
    assert "canary 100.00% in 50 requests, control 0.00% in 50 requests" in row["reason"]
    assert world.store.audit.verify() == receipt.revision


async def test_a_good_canary_goes_on_step_by_step_and_asks(world: World) -> None:
    """Each step by data of its own; the promotion is a person's word."""
    name = await start(world, steps=[1, 10, 100])
    rollouts = world.rollouts
    assert rollouts is not None

    done = []
    for sequence in (1, 2):
        assert await rollouts.turn() is None  # nothing was recorded yet
        await count(world, broken=0, sequence=sequence)
        done.append(await rollouts.turn())
    async with world.client() as admin:
        asking = (await admin.get(f"{ROLLOUTS}/{name}")).json()
        answer = await admin.post(f"{ROLLOUTS}/{name}/promote", json={"reason": "good"})
        status = (await admin.get(f"{BASE}/status")).json()

    assert all(done)
    assert (asking["phase"], asking["share"], asking["findings"][0]["verdict"]) == ("asking", 10, "good")
    assert (answer.status_code, status["active_profile"]) == (200, "balanced")


@pytest.mark.parametrize("readable", [True, False])
async def test_acts_of_people_have_the_figures_of_their_moment(
    world: World, readable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every one of them; where the figures cannot be read it is done without them."""
    name = await start(world)
    await count(world, broken=0)
    if not readable:
        monkeypatch.setattr(
            world.rollouts, "_facts", Mock(side_effect=StoreUnavailable("It takes too long."))
        )
    async with world.client() as admin:
        for act in ("pause", "resume", "abort"):
            (await admin.post(f"{ROLLOUTS}/{name}/{act}", json={})).raise_for_status()
        *events, begun = (await admin.get(f"{ROLLOUTS}/{name}/history")).json()["events"]

    assert begun["act"] == "start"
    assert [one["act"] for one in events] == ["abort", "resume", "pause"]
    assert all(bool(one["evidence"]) is readable for one in events)


@pytest.mark.parametrize("act", ["pause", "resume", "promote", "abort"])
async def test_acts_are_for_administrators(world: World, act: str) -> None:
    """Viewers see both arms, and change nothing; members see nothing."""
    name = await start(world)

    async with world.client("viewer") as viewer, world.client("member") as member:
        answers = [
            await viewer.get(f"{ROLLOUTS}/{name}"),
            await viewer.post(f"{ROLLOUTS}/{name}/{act}"),
            await member.get(ROLLOUTS),
        ]

    assert [answer.status_code for answer in answers] == [200, 403, 403]


async def test_pause_resume_abort(world: World) -> None:
    """Each is a revision; what cannot be done where it stands is refused."""
    name = await start(world)

    async with world.client() as admin:
        words = ("resume", "pause", "pause", "resume", "abort", "abort")
        answers = [await admin.post(f"{ROLLOUTS}/{name}/{act}", json={"reason": "so"}) for act in words]
        unknown = await admin.post(f"{ROLLOUTS}/r-nothing/abort")

    assert [answer.status_code for answer in answers] == [409, 200, 409, 200, 200, 409]
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_rollout")
    rows = await world.manager.audit(action="rollout")
    assert [row.reason for row in rows] == [
        "conversations moved; rollout abort; so",
        *("rollout resume; so", "rollout pause; so", "rollout start"),
    ]


async def test_a_switch_goes_before(world: World) -> None:
    """It ends the rollout, also onto the profile that is active: then everybody is on that again."""
    name = await start(world)

    async with world.client() as admin:
        answer = await admin.post(f"{BASE}/switch", json={"profile": "premium"})
        over = (await admin.get(f"{ROLLOUTS}/{name}")).json()
        (event, _) = (await admin.get(f"{ROLLOUTS}/{name}/history")).json()["events"]

    assert (answer.json()["changed"], answer.json()["conversations"]) == (True, "move")
    assert (over["phase"], event["act"], event["why"]) == ("superseded", "supersede", "switch to premium")


async def test_what_has_begun_is_answered_so_even_where_its_name_cannot_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs: whoever read a refusal would begin it again."""
    monkeypatch.setattr(in_force(world), "of", AsyncMock(side_effect=StoreUnavailable("Gone.")))
    async with world.client() as admin:
        answer = await admin.post(ROLLOUTS, json={"profile": "balanced"})

    assert (answer.status_code, answer.json()["changed"], "location" in answer.headers) == (200, True, False)
    assert world.store.rollouts.running() is not None


ENDS: list[tuple[str, str, dict[str, object]]] = [
    ("POST", f"{BASE}/switch", {"profile": "balanced"}),
    ("POST", f"{PREFIX}/rollback", {"reason": "not yet"}),
    ("PUT", f"{BASE}/premium/tasks/chat", {"group": "chat_cost_effective"}),
]


@pytest.mark.parametrize(
    "broken", [None, StoreUnavailable("It takes too long."), ValueError("not foreseen")], ids=repr
)
@pytest.mark.parametrize(("method", "path", "body"), ENDS, ids=lambda said: str(said).rpartition("/")[2])
async def test_what_goes_before_leaves_the_figures(
    world: World,
    method: str,
    path: str,
    body: dict[str, object],
    broken: Exception | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of both arms at the end, as an abort does; where they cannot be read it is done without them."""
    name = await start(world)
    await count(world, broken=3)
    if broken is not None:
        monkeypatch.setattr(world.rollouts, "_facts", Mock(side_effect=broken))
    async with world.client() as admin:
        (await admin.request(method, path, json=body, headers={"If-Match": "*"})).raise_for_status()
        await in_force(world).stop()
        (event, _) = (await admin.get(f"{ROLLOUTS}/{name}/history")).json()["events"]

    figures = {one["task"]: (one["canary"]["value"], one["control"]["value"]) for one in event["evidence"]}
    assert event["act"] == "supersede"
    assert figures.get("chat") == (None if broken else (3 / 50, 0))


async def test_a_change_does_not_wait_for_the_figures_of_what_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read from books that may be long; who stops the worker waits a moment for them."""
    name, found = await start(world), threading.Event()
    rollouts = in_force(world)
    facts = rollouts._facts

    def slow(rollout: Rollout) -> Mapping[str, BothArms]:
        found.wait(30)
        return facts(rollout)

    monkeypatch.setattr(rollouts, "_facts", slow)
    async with world.client() as admin:
        (await admin.post(f"{BASE}/switch", json={"profile": "balanced"})).raise_for_status()
        (early, _) = (await admin.get(f"{ROLLOUTS}/{name}/history")).json()["events"]
        found.set()
        await rollouts.stop()
        (late, _) = (await admin.get(f"{ROLLOUTS}/{name}/history")).json()["events"]

    assert early["evidence"] == []
    assert late["evidence"] != []


async def test_what_lets_a_rollout_go_on_writes_no_figures(world: World) -> None:
    """A binding, and a dry run of what would end it."""
    name = await start(world)
    async with world.client() as admin:
        dry = {"profile": "balanced", "dry_run": True}
        (await admin.post(f"{BASE}/switch", json=dry)).raise_for_status()
        binding = {"profile": "balanced"}
        (
            await admin.put(f"{PREFIX}/bindings/team/a", json=binding, headers={"If-Match": "*"})
        ).raise_for_status()
        events = (await admin.get(f"{ROLLOUTS}/{name}/history")).json()["events"]

    assert [(one["act"], one["evidence"]) for one in events] == [("start", [])]


def in_force(world: World) -> Rollouts:
    """Return the rollouts of a world that has some."""
    assert world.rollouts is not None
    return world.rollouts
