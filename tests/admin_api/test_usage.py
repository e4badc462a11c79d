"""The usage routes: reports, spreadsheets, forecasts and explanations, and who sees what of them."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

import httpx
import pytest

from admin_api.router import PREFIX
from neuronode_router.usage.finished import RequestOutcome
from tests.admin_api.world import KNOWN_CALL, World
from tests.support.usage import finished

EXPLAIN = f"/admin/requests/{KNOWN_CALL}/explain"


def count(world: World, *, times: int = 1, **changes: Any) -> None:
    for _ in range(times):
        world.buffer.count(finished(at=changes.pop("at", time.time()), **changes))


async def usage(client: httpx.AsyncClient, **query: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get(f"{PREFIX}/usage", params=query)).raise_for_status().json()
    return answer


async def test_usage_by_several_names(world: World, admin: httpx.AsyncClient) -> None:
    """Lines carry the names asked for, their figures and those of the day before."""
    count(world, task="summary", team="b")
    count(world, at=time.time() - 86_400 - 3700)

    answer = await usage(admin, by="team,task")

    lines = {tuple(line["names"].values()): line for line in answer["lines"]}
    assert set(lines) == {("a", "chat"), ("b", "summary")}
    assert lines["a", "chat"]["before"]["requests"] == 1
    assert lines["b", "summary"]["before"]["requests"] == 0
    assert answer["total"]["requests"] == 2
    assert answer["total"]["cost_usd"] == pytest.approx(2 * 17e-6)
    assert answer["from"] < answer["to"]


async def test_a_series_has_steps(world: World, admin: httpx.AsyncClient) -> None:
    """With `step` each line has the time at which its step begins."""
    count(world, at=time.time() - 7200)

    lines = (await usage(admin, step="3600", by="profile"))["lines"]

    assert [line["start"] % 3600 for line in lines] == [0, 0]
    assert lines[0]["start"] < lines[1]["start"]
    assert lines[0]["before"] is None


async def test_curves_have_a_value_for_every_step(world: World, admin: httpx.AsyncClient) -> None:
    """As many values as steps, also where nothing was; they add up, and can be narrowed to a name."""
    now = time.time()
    for at, latency in ((now, 100.0), (now, 900.0), (now - 1800, 50.0)):
        count(world, at=at, latency_ms=latency, task="summary", tier="fast")
    since = {"from": str(now - 3600), "task": "summary"}

    answer = (await admin.get(f"{PREFIX}/usage/series", params=since)).raise_for_status().json()
    other = (await admin.get(f"{PREFIX}/usage/series", params=since | {"tier": "complex"})).json()

    steps = len(answer["starts"])
    assert (answer["step"], answer["told_apart"], steps) == (60, 60, 61)
    assert {len(values) for values in answer["curves"].values()} == {steps}
    assert answer["curves"]["requests"][-1] == 2
    assert sum(answer["tiers"]["fast"]["requests"]) == answer["total"]["requests"] == 3
    assert answer["curves"]["latency_p95_ms"][-1] == pytest.approx(900, rel=0.05)
    assert answer["curves"]["latency_p95_ms"][0] is None
    assert other["total"]["requests"] == 0
    assert "fast" in other["names"]["tier"]


async def test_a_curve_is_never_finer_than_the_records(admin: httpx.AsyncClient) -> None:
    """Days ago only hours are told apart: a shorter step is widened, and the answer says so."""
    since = str(time.time() - 3 * 86_400)

    answer = (await admin.get(f"{PREFIX}/usage/series", params={"from": since, "step": "300"})).json()

    assert (answer["step"], answer["told_apart"]) == (3600, 3600)


async def test_the_newest_requests_are_listed(world: World) -> None:
    """Newest first, at most as many as asked for; members see their own team's."""
    count(world, call_id="late", team="b", caller="app-b", asked="auto", at=time.time() + 1)

    async with world.client("admin") as admin, world.client("member") as member:
        everybodys = (await admin.get(f"{PREFIX}/requests", params={"limit": "1"})).json()["requests"]
        own = (await member.get(f"{PREFIX}/requests")).json()["requests"]

    assert [(one["call_id"], one["caller"], one["asked"]) for one in everybodys] == [
        ("late", "app-b", "auto")
    ]
    assert {one["team"] for one in own} == {"a"}


@pytest.mark.parametrize("action", ["switch", "rollback"])
async def test_a_receipt_says_what_moving_running_conversations_costs(
    world: World, admin: httpx.AsyncClient, action: str
) -> None:
    """Planned and made alike: of the last ten minutes, and of what leaves its group; dollars where a price is known."""
    await admin.post("/admin/profiles/switch", json={"profile": "balanced"})
    used = {"prompt_tokens": 100, "profile": "balanced", "chosen_group": "chat_balanced"}
    count(world, cached_tokens=60, served_group="chat_balanced", **used)
    count(world, cached_tokens=90, served_group="chat_balanced", at=time.time() - 700, **used)
    count(world, cached_tokens=80, task="summary", chosen_group="summary_premium")
    assert world.usage is not None
    await world.usage.writer.flush()
    change = {"path": "/admin/rollback", "body": {}}
    if action == "switch":
        change = {"path": "/admin/profiles/switch", "body": {"profile": "premium"}}

    async def receipt(**options: object) -> dict[str, Any]:
        answer = await admin.post(str(change["path"]), json={**dict(change["body"]), **options})
        return dict(answer.raise_for_status().json())

    planned = await receipt(dry_run=True)
    made = await receipt()
    again = await receipt(dry_run=True) if action == "switch" else {"caches": None}

    assert planned["caches"] == made["caches"]
    assert made["caches"] == {
        "prompt_tokens": 100,
        "cached_tokens": 60,
        "share": 0.6,
        "usd": pytest.approx(60 * 0.4e-6),
    }
    assert again["caches"] is None


async def test_what_has_no_price_is_unpriced(world: World, admin: httpx.AsyncClient) -> None:
    """Neither JSON nor CSV ever says 0.00 for it."""
    count(world, profile="local", cost=None)

    line = next(line for line in (await usage(admin))["lines"] if line["names"] == {"profile": "local"})
    text = (await admin.get(f"{PREFIX}/usage", params={"format": "csv"})).text

    assert (line["figures"]["cost_usd"], line["figures"]["unpriced"]) == (None, 1)
    row = next(row for row in csv.DictReader(io.StringIO(text)) if row["profile"] == "local")
    assert row["cost_usd"] == "unpriced"


async def test_a_spreadsheet_is_told_the_span(admin: httpx.AsyncClient) -> None:
    """It may be another one than was asked for, and whoever adds months up must see it."""
    asked = {"from": str(time.time() - 40_000), "to": str(int(time.time()) + 1000)}

    told = (await admin.get(f"{PREFIX}/usage", params=asked)).raise_for_status().json()
    text = (await admin.get(f"{PREFIX}/usage", params=asked | {"format": "csv"})).raise_for_status().text

    (row,) = csv.DictReader(io.StringIO(text))
    assert (int(row["from"]), int(row["to"])) == (told["from"], told["to"])


@pytest.mark.parametrize("name", ["=1+1", "+x", "-x", "@SUM(A1)", "\tx", '=HYPERLINK("a","b")', "a,b\r\n=c"])
async def test_no_cell_of_the_csv_is_a_formula(world: World, admin: httpx.AsyncClient, name: str) -> None:
    """A team may be called anything: a spreadsheet still reads a name, and the rows stay rows."""
    count(world, team=name)

    answer = await admin.get(f"{PREFIX}/usage", params={"by": "team", "format": "csv"})

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-type"].startswith("text/csv")
    assert [row["team"][0] for row in rows if row["team"] != "a"] == [name[0] if name[0] == "a" else "'"]
    assert {row["requests"] for row in rows} == {"1"}


async def test_members_see_their_own_team_only(world: World) -> None:
    """A member's report and explanations are those of its team; without a team there is nothing to see."""
    count(world, team="b", times=3, call_id="theirs")

    async with world.client("member") as member, world.client("stranger") as stranger:
        own = await usage(member, by="team")
        theirs = await member.get("/admin/requests/theirs/explain")
        nobodys = await member.get("/admin/requests/unheard-of/explain")
        mine = await member.get(EXPLAIN)
        none = [await stranger.get(f"{PREFIX}/usage"), await stranger.get(EXPLAIN)]

    assert [line["names"] for line in own["lines"]] == [{"team": "a"}]
    assert own["total"]["requests"] == 1
    assert mine.status_code == 200
    assert (theirs.status_code, theirs.json()) == (404, nobodys.json())
    assert [answer.status_code for answer in none] == [403, 403]


@pytest.mark.parametrize("flushed", [False, True])
async def test_a_call_id_that_another_team_chose_too_hides_nothing(world: World, *, flushed: bool) -> None:
    """Clients choose call ids: each team is told of its own request, whoever used the id last."""
    count(world, team="b", times=3, call_id=KNOWN_CALL, prompt_tokens=77)

    async with world.client("member") as member, world.client("admin") as admin:
        if flushed:
            await usage(admin)
        own = (await member.get(EXPLAIN)).raise_for_status().json()
        newest = (await admin.get(EXPLAIN)).raise_for_status().json()

    assert (own["team"], newest["team"]) == ("a", "b")


async def test_a_plan_tells_cost_moves_and_what_does_not_fit(world: World, admin: httpx.AsyncClient) -> None:
    """A cheaper profile halves the cost, says on what that rests, and how long its groups take only if measured."""
    count(world, times=9)
    count(world, outcome=RequestOutcome.TIMEOUT, cost=None, latency_ms=None)

    cheaper = (await admin.post(f"{PREFIX}/plan", json={"profile": "balanced"})).raise_for_status().json()
    unknown = (await admin.post(f"{PREFIX}/plan", json={"profile": "ultra_fast"})).raise_for_status().json()

    assert cheaper["followed"] == cheaper["requests"] == 11
    assert cheaper["cost_after"]["usd"] == pytest.approx(cheaper["cost_before"]["usd"] / 2)
    assert cheaper["cost_after"]["usd_per_day"] > cheaper["cost_after"]["usd"]
    (move,) = cheaper["moves"]
    assert (move["task"], move["before"], move["after"]) == ("chat", "chat_premium", "chat_balanced")
    assert (move["basis"], move["latency_after"]) == ("listed", None)
    assert unknown["cost_after"]["usd"] is None
    assert unknown["cost_after"]["unpriced"] == 10
    assert cheaper["basis"]


async def test_a_plan_for_a_profile_that_is_not_there(admin: httpx.AsyncClient) -> None:
    """An unknown profile is a 404 that names the known ones."""
    answer = await admin.post(f"{PREFIX}/plan", json={"profile": "luxury"})

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_profile")
    assert "balanced" in answer.json()["fix"]


async def test_a_request_is_explained(world: World, admin: httpx.AsyncClient) -> None:
    """Decision, reasons, end and cost under every profile, whether or not it was flushed yet."""
    count(
        world,
        call_id="auto-1",
        task="chat",
        asked="auto",
        tier="medium",
        steps=("classified", "probe"),
        confidence=0.8,
    )

    fresh = (await admin.get("/admin/requests/auto-1/explain")).raise_for_status().json()
    await usage(admin)
    kept = (await admin.get("/admin/requests/auto-1/explain")).raise_for_status().json()
    plain = (await admin.get(EXPLAIN)).raise_for_status().json()

    assert fresh == kept
    assert (kept["reason"], kept["steps"], kept["confidence"]) == (
        "active_profile",
        ["classified", "probe"],
        0.8,
    )
    assert (kept["tier"], kept["outcome"], kept["fallback"]) == ("medium", "answered", False)
    costs = {one["profile"]: one["cost_usd"] for one in plain["alternatives"]}
    assert costs["premium"] == pytest.approx(17e-6)
    assert costs["balanced"] == pytest.approx(8.5e-6)
    assert costs["ultra_fast"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"by": "prompt"},
        {"by": "task,task"},
        {"by": ""},
        {"step": "61"},
        {"step": "60"},
        {"from": "10", "to": "10"},
        {"from": "nan"},
        {"to": "-1"},
        {"format": "xlsx"},
    ],
)
async def test_a_report_that_cannot_be_is_refused(admin: httpx.AsyncClient, query: dict[str, str]) -> None:
    """Unknown groupings, odd steps, empty spans and too many steps are 422, with the place."""
    wide = {"from": "0"} if query == {"step": "60"} else {}

    answer = await admin.get(f"{PREFIX}/usage", params=query | wide)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_without_books_the_routes_say_so(world: World, admin: httpx.AsyncClient) -> None:
    """A worker that does not count yet answers 503."""
    world.usage = None

    answers = [
        await admin.get(f"{PREFIX}/usage"),
        await admin.post(f"{PREFIX}/plan", json={"profile": "balanced"}),
        await admin.get(EXPLAIN),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "not_ready")] * 3


async def test_reports_are_limited_like_writes(world: World, admin: httpx.AsyncClient) -> None:
    """A report costs the store as much as a write, so nobody asks for more of them."""
    world.write_limit = "2/minute"
    world.leave_the_shared_application()

    statuses = [(await admin.get(f"{PREFIX}/usage")).status_code for _ in range(3)]

    assert statuses == [200, 200, 429]


async def test_an_audit_of_where_requests_went(world: World, admin: httpx.AsyncClient) -> None:
    """By team and places; what left is told, and so is what nobody can tell."""
    count(world, times=3, team="x", location="local")
    count(world, team="x", location="de+local")
    count(world, times=2, team="b", location="openai")

    own = (await admin.get(f"{PREFIX}/usage/residency", params={"team": "x"})).raise_for_status().json()
    eu = (
        (await admin.get(f"{PREFIX}/usage/residency", params={"team": "x", "within": "eu,us"}))
        .raise_for_status()
        .json()
    )
    everybody = (await admin.get(f"{PREFIX}/usage/residency")).raise_for_status().json()

    assert (own["requests"], own["within"], own["elsewhere"]) == (4, 3, 1)
    assert (eu["within"], eu["elsewhere"], eu["required"]) == (4, 0, ["eu", "us"])
    assert everybody["places"].items() >= {"local": 3, "de+local": 1, "openai": 2}.items()


async def test_members_audit_their_own_team(world: World) -> None:
    """And are refused another's."""
    async with world.client("member") as member:
        own = await member.get(f"{PREFIX}/usage/residency")
        other = await member.get(f"{PREFIX}/usage/residency", params={"team": "another"})

    assert own.raise_for_status().json()["team"] is not None
    assert other.status_code == 403
