"""Switches that have local models in memory, against an Ollama that loads, swaps, pulls, fails, hangs and is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from neuronode_router.control.change import ChangeTarget
from neuronode_router.domain.receipts import WarmOrder, WarmReport
from neuronode_router.domain.rollouts import Canary
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import RevisionConflict, WarmFailed
from neuronode_router.health.ollama import OllamaHost
from neuronode_router.warm import warming
from neuronode_router.warm.needs import WarmTarget
from neuronode_router.warm.warming import WarmSettings
from neuronode_router.warm.wire import NotLoaded, OllamaServers
from tests.support.ollama import OllamaServer, Served, running_ollama
from tests.support.servers import free_port
from tests.support.waiting import eventually
from tests.support.warm import ANNA, WarmWorld, listed, warm_world
from tests.support.web import serving

GB = 10**9
OLD = Served("old", size=4 * GB)
NEW = Served("new", size=4 * GB, load_seconds=0.2)
HUGE = Served("huge", size=9 * GB, load_seconds=0.1)
SPARE = Served("spare", size=5 * GB)
ABSENT = Served("absent", size=4 * GB, present=False, pull_seconds=0.3)
BROKEN = Served("broken", size=GB, fault="model requires more system memory")
SLEEPY = Served("sleepy", size=GB, load_seconds=60)
EMBEDS = Served("embeds", size=GB, embeds=True)

QUICKLY = WarmSettings(mode="wait", seconds=20, drain=0.4, vram_gib=13)
"""As operators would set it, but for a drain that tests can wait for."""


@pytest.fixture(scope="module")
def server() -> Iterator[OllamaServer]:
    served = (OLD, NEW, HUGE, SPARE, ABSENT, BROKEN, SLEEPY, EMBEDS)
    with running_ollama(*served, capacity=14 * GB) as running:
        yield running


@pytest.fixture
async def ollama(server: OllamaServer) -> OllamaServer:
    """The server with nothing loaded."""
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=10) as client:
        for name in server.loaded():
            await client.post("/api/generate", json={"model": name, "keep_alive": 0})
    return server


def load(server: OllamaServer, name: str, **body: Any) -> None:
    httpx.post(f"{server.url}/api/generate", json={"model": name, **body}, timeout=10, trust_env=False)


async def switched(world: WarmWorld, profile: str = "premium", **options: Any) -> WarmReport:
    """Switch, and return what is said of models."""
    receipt = await world.manager.switch(profile, actor=ANNA, **options)
    assert receipt.warm is not None
    return receipt.warm


def names(weights: tuple[Any, ...]) -> list[str]:
    return [each.model for each in weights]


async def test_a_switch_that_waits_finds_the_model_in_memory(ollama: OllamaServer, tmp_path: Path) -> None:
    """It is loaded before the commit with the deployment's own window, and the receipt says how long that took."""
    models = {"balanced": "old", "premium": "new"}
    async with warm_world(tmp_path, ollama.url, models, settings=QUICKLY, num_ctx=2048) as world:
        load(ollama, "old")
        report = await switched(world)

        assert ollama.loaded()["new:latest"]["context_length"] == 2048
    assert report.order is WarmOrder.MAKE_BEFORE_BREAK
    assert (names(report.loaded), report.loaded[0].server) == (
        ["new:latest"],
        ollama.url.removeprefix("http://"),
    )
    assert report.loaded[0].seconds is not None
    assert report.waited_s >= report.loaded[0].seconds >= NEW.load_seconds
    assert world.heard[0] == "loaded"


async def test_what_nobody_needs_any_more_goes_once_it_is_idle(ollama: OllamaServer, tmp_path: Path) -> None:
    """`balanced` stays in force, for the names that always mean it; what only cost_effective had is let go."""
    models = {"balanced": "old", "cost_effective": "spare", "premium": "new"}
    async with warm_world(tmp_path, ollama.url, models, settings=QUICKLY) as world:
        load(ollama, "old")
        await switched(world, "cost_effective")
        await world.manager.switch("balanced", actor=ANNA)
        await eventually(lambda: "spare:latest" not in ollama.loaded())

        assert "old:latest" in ollama.loaded()


async def test_what_is_asked_for_still_is_not_let_go(ollama: OllamaServer, tmp_path: Path) -> None:
    """Conversations that stay with their group keep its weights: only silence ends them."""
    models = {"balanced": "old", "cost_effective": "spare"}
    async with warm_world(tmp_path, ollama.url, models, settings=QUICKLY) as world:
        await switched(world, "cost_effective")
        before = ollama.counts("spare")["unloads"]
        await world.manager.switch("balanced", actor=ANNA)
        for _ in range(8):  # twice as often as an idle one is looked at
            load(ollama, "spare")
            looks = world.looks
            await eventually(lambda seen=looks: world.looks > seen)
        asked = ollama.counts("spare")["unloads"]
        await eventually(lambda: ollama.counts("spare")["unloads"] > before)

    assert asked == before


@pytest.mark.parametrize("gone", ["from the list", "for long"])
async def test_a_server_that_is_gone_for_good_is_not_asked_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    """What was to be let go on it is forgotten with it."""
    models = {"balanced": "old", "cost_effective": "spare"}
    settings = replace(QUICKLY, drain=2.0)
    with running_ollama(OLD, SPARE) as server:
        async with warm_world(tmp_path, server.url, models, settings=settings) as world:
            await switched(world, "cost_effective")
            await world.manager.switch("balanced", actor=ANNA)
            await eventually(lambda: world.warming._left)
            server.kill()
            assert world.warming._left

            if gone == "for long":
                monkeypatch.setattr(warming, "MOST_DRAIN_SECONDS", 0.0)
            else:
                world.entries.clear()

            await eventually(lambda: not world.warming._left)


async def test_a_swap_commits_first_where_only_one_of_both_fits(ollama: OllamaServer, tmp_path: Path) -> None:
    """What is in force is not taken from those who use it: it goes after the commit, and then the other is loaded."""
    models = {"balanced": None, "cost_effective": "spare", "premium": "huge"}
    async with warm_world(tmp_path, ollama.url, models, settings=QUICKLY) as world:
        await switched(world, "cost_effective")
        dry = await switched(world, dry_run=True)
        assert "spare:latest" in ollama.loaded()
        report = await switched(world)

        assert [*ollama.loaded()] == ["huge:latest"]
    assert "does not fit" in dry.said[0]
    assert report.order is WarmOrder.ORDERED_SWAP
    assert (names(report.loaded), names(report.unloaded)) == (["huge:latest"], ["spare:latest"])


async def test_a_swap_never_takes_what_another_team_is_bound_to(ollama: OllamaServer, tmp_path: Path) -> None:
    """What does not fit beside what is needed is not loaded, and that is said."""
    models = {"balanced": "spare", "premium": "huge"}
    async with warm_world(tmp_path, ollama.url, models, settings=QUICKLY) as world:
        load(ollama, "spare")
        report = await switched(world)

        assert [*ollama.loaded()] == ["spare:latest"]
    assert "does not fit" in " ".join(report.said)


async def test_a_model_that_a_foreign_group_names_stays(ollama: OllamaServer, tmp_path: Path) -> None:
    """Clients may ask for a group by its own name: what it has loaded is not ours to let go."""
    models = {"balanced": None, "cost_effective": "spare", "premium": "old"}
    async with warm_world(tmp_path, ollama.url, models, settings=QUICKLY) as world:
        world.entries.append(listed("by_name", "spare", ollama.url))
        await switched(world, "cost_effective")
        await switched(world, "premium")
        await world.manager.switch("balanced", actor=ANNA)
        await eventually(lambda: "old:latest" not in ollama.loaded())

        assert "spare:latest" in ollama.loaded()


async def test_what_is_absent_refuses_until_a_pull_is_asked_for(ollama: OllamaServer, tmp_path: Path) -> None:
    """Nothing is fetched unasked; asked, it is fetched, loaded and switched to. A dry run says which it will be."""
    models = {"balanced": "old", "premium": "absent"}
    async with warm_world(tmp_path, ollama.url, models, settings=QUICKLY) as world:
        with pytest.raises(WarmFailed) as refused:
            await switched(world)
        with pytest.raises(WarmFailed) as foretold:
            await switched(world, dry_run=True)
        told = await switched(world, dry_run=True, warm="background")
        pulling = await switched(world, dry_run=True, pull=True)
        state = await world.manager.current()
        report = await switched(world, pull=True)

    assert foretold.value.problems == refused.value.problems
    assert "absent:latest is not present" in told.said[0]
    assert names(pulling.missing) == ["absent:latest"]
    assert "not present" in refused.value.problems[0].message
    assert state is not None
    assert state.active == "balanced"
    assert names(report.loaded) == ["absent:latest"]
    assert ollama.counts("absent")["pulls"] == 1
    assert world.heard[-2:] == ["pulled", "loaded"]


@pytest.mark.parametrize(("model", "why"), [("broken", "more system memory"), ("sleepy", "within the 0.3 s")])
async def test_what_does_not_load_changes_nothing_unless_forced(
    ollama: OllamaServer, tmp_path: Path, model: str, why: str
) -> None:
    """A load that fails or takes too long refuses the change with its reason; forced, it is made and told."""
    settings = WarmSettings(mode="wait", seconds=0.3)
    async with warm_world(tmp_path, ollama.url, {"premium": model}, settings=settings) as world:
        with pytest.raises(WarmFailed, match=why):
            await switched(world)
        state = await world.manager.current()
        report = await switched(world, force=True)

    assert state is not None
    assert (state.revision, state.active) == (1, "balanced")
    assert why in report.failed[0].why
    assert world.heard == ["failed", "failed"]


async def test_a_server_that_is_gone_refuses_a_wait_and_no_background(tmp_path: Path) -> None:
    """Who waits is told; who does not switches at once, and the receipt says what is cold."""
    address = f"http://127.0.0.1:{free_port()}"
    async with warm_world(tmp_path, address, {"premium": "new"}, settings=QUICKLY) as world:
        with pytest.raises(WarmFailed, match="does not answer"):
            await switched(world)
        report = await switched(world, warm="background")

    assert names(report.failed) == ["new:latest"]


async def test_a_policy_that_cannot_be_read_makes_no_switch_cold(
    ollama: OllamaServer, tmp_path: Path
) -> None:
    """It only says what is not let go: models are waited for, or refuse the switch, as ever."""
    models = {"balanced": "old", "premium": "new", "cost_effective": "broken"}
    async with warm_world(tmp_path, ollama.url, models, settings=QUICKLY) as world:
        world.unreadable = True
        with pytest.raises(WarmFailed, match="system memory"):
            await switched(world, "cost_effective")
        report = await switched(world)

    assert names(report.loaded) == ["new:latest"]


async def test_nothing_is_let_go_while_nobody_can_read_the_policy(
    ollama: OllamaServer, tmp_path: Path
) -> None:
    """What it needs soon may be among it."""
    models = {"balanced": "old", "cost_effective": "spare", "premium": "new"}
    async with warm_world(tmp_path, ollama.url, models, settings=QUICKLY) as world:
        await switched(world, "cost_effective")
        world.unreadable = True
        await world.manager.switch("balanced", actor=ANNA)
        await eventually(lambda: world.warming._left)
        await eventually(lambda: not world.warming._left)
        kept = "spare:latest" in ollama.loaded()
        world.unreadable = False
        await switched(world, "cost_effective")
        await world.manager.switch("balanced", actor=ANNA)
        await eventually(lambda: "spare:latest" not in ollama.loaded())

    assert kept


async def test_a_look_that_fails_refuses_a_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run too. Not one that is forced, or does not wait; and who only asks what it would do is told nothing."""

    def broken(*_: object, **__: object) -> None:
        raise ValueError("ours")

    async with warm_world(tmp_path, "http://127.0.0.1:9", {"premium": "new"}, settings=QUICKLY) as world:
        monkeypatch.setattr(warming, "read_fleet", broken)
        for dry_run in (False, True):
            with pytest.raises(WarmFailed, match="could not be found out"):
                await world.manager.switch("premium", actor=ANNA, dry_run=dry_run)
        outlook = await world.manager.outlook("premium", actor=ANNA)
        forced = await world.manager.switch("premium", actor=ANNA, force=True)
        back = await world.manager.switch("balanced", actor=ANNA, warm="background")
        await world.manager.reload(actor=ANNA)

    assert (outlook, forced.changed, forced.warm, back.changed) == (None, True, None, True)


async def test_another_deployment_of_the_group_makes_a_cold_one_bearable(
    ollama: OllamaServer, tmp_path: Path
) -> None:
    """The group answers all the same, so the switch is made and the failure told."""
    async with warm_world(tmp_path, ollama.url, {"premium": "broken"}, settings=QUICKLY) as world:
        world.entries.append(
            {**world.entries[0], "model_name": "chat_premium", "model_info": {"id": "cloud"}}
        )
        world.entries[-1]["litellm_params"] = {"model": "openai/gpt-4o-mini"}
        report = await switched(world)

    assert names(report.failed) == ["broken:latest"]


async def test_in_the_background_the_switch_does_not_wait(ollama: OllamaServer, tmp_path: Path) -> None:
    """The receipt says what will be loaded, and it is loaded a little later."""
    settings = WarmSettings(mode="background", drain=0)
    async with warm_world(tmp_path, ollama.url, {"premium": "new"}, settings=settings) as world:
        before = ollama.counts("new")["loads"]
        report = await switched(world)
        await eventually(lambda: ollama.counts("new")["loads"] == before + 1)

    assert (names(report.to_load), report.loaded, report.waited_s) == (["new:latest"], (), 0)


async def test_what_a_later_switch_has_made_needless_is_not_loaded(
    ollama: OllamaServer, tmp_path: Path
) -> None:
    """A background that is behind the times loads nothing more, and what it has loaded goes."""
    settings = WarmSettings(mode="background", drain=0.4)
    models = {"classification_premium": "huge", "premium": "new"}  # `chat` comes first
    async with warm_world(tmp_path, ollama.url, models, settings=settings) as world:
        before = ollama.counts("huge")["loads"]
        await switched(world)
        await eventually(lambda: bool(world.warming.report()))
        await world.manager.switch("balanced", actor=ANNA)
        await eventually(lambda: world.heard == ["loaded", "unloaded"])

    assert ollama.counts("huge")["loads"] == before


async def test_where_nobody_said_how_much_room_there_is_the_server_shows_it(
    ollama: OllamaServer, tmp_path: Path
) -> None:
    """As soon as it has let go of something needed nothing more is loaded: they would only push each other out."""
    settings = WarmSettings(mode="wait", drain=0)
    models = {"balanced": "old", "chat_premium": "huge", "classification_premium": "spare", "tier": "new"}
    async with warm_world(tmp_path, ollama.url, models, settings=settings) as world:
        load(ollama, "old")
        report = await switched(world)

        assert {*ollama.loaded()} == {"huge:latest", "spare:latest"}
    assert (report.order, report.failed) == (WarmOrder.UNKNOWN, ())
    assert "new:latest is not loaded" in report.said[-1]
    assert "let go of old:latest" in report.said[-1]


async def test_off_asks_nobody(ollama: OllamaServer, tmp_path: Path) -> None:
    """A switch may leave loading to the first request."""
    async with warm_world(tmp_path, ollama.url, {"premium": "new"}, settings=QUICKLY) as world:
        receipt = await world.manager.switch("premium", actor=ANNA, warm="off")

        assert "new:latest" not in ollama.loaded()
    assert receipt.warm is None


async def test_another_switch_during_the_wait_wins(ollama: OllamaServer, tmp_path: Path) -> None:
    """Who waited is told that somebody else was faster; nothing of theirs is undone, and what was loaded goes."""
    models = {"premium": "new", "cost_effective": None}
    async with warm_world(tmp_path, ollama.url, models, settings=QUICKLY) as world:
        waiting = asyncio.create_task(switched(world))
        await eventually(lambda: bool(world.warming.report()))
        await world.manager.switch("cost_effective", actor=ANNA)
        with pytest.raises(RevisionConflict) as refused:
            await waiting
        state = await world.manager.current()
        await eventually(lambda: "new:latest" not in ollama.loaded())

    assert "while models were loaded" in refused.value.fix
    assert state is not None
    assert state.active == "cost_effective"


async def test_who_goes_away_changes_nothing(ollama: OllamaServer, tmp_path: Path) -> None:
    """A client that hangs up while models are loaded has not switched."""
    gone = asyncio.Event()
    async with warm_world(tmp_path, ollama.url, {"premium": "sleepy"}, settings=QUICKLY) as world:
        waiting = asyncio.create_task(switched(world, gone=gone.wait))
        await eventually(lambda: bool(world.warming.report()))
        gone.set()
        with pytest.raises(WarmFailed, match="Nobody waits"):
            await waiting
        state = await world.manager.current()

        assert not world.warming.report()
    assert state is not None
    assert state.revision == 1


async def test_a_rollout_warms_what_it_tries_and_keeps_both_arms(
    ollama: OllamaServer, tmp_path: Path
) -> None:
    """Before its first step, and until it is over: then what was tried goes."""
    models = {"balanced": None, "cost_effective": "old", "premium": "new"}

    def arms(canary: Canary | None) -> Callable[[ControlState], ChangeTarget]:
        return lambda state: ChangeTarget(state.active, state.profiles, state.bindings, canary=canary)

    async with warm_world(tmp_path, ollama.url, models, settings=QUICKLY) as world:
        await switched(world, "cost_effective")
        begun = await world.manager.act("rollout", arms(Canary("r-1", "premium", "0a", 10, 0.0)), actor=ANNA)
        both = {*ollama.loaded()}
        await world.manager.act("rollout", arms(None), actor=ANNA)
        await eventually(lambda: "new:latest" not in ollama.loaded())

        assert "old:latest" in ollama.loaded()
    assert begun.warm is not None
    assert names(begun.warm.loaded) == ["new:latest"]
    assert both == {"old:latest", "new:latest"}


async def test_what_comes_soon_is_loaded_ahead_and_not_let_go(ollama: OllamaServer, tmp_path: Path) -> None:
    """The policy's next profile is warm before its window, and a switch in between leaves it alone."""
    models = {"balanced": None, "cost_effective": "old", "premium": "new"}
    async with warm_world(tmp_path, ollama.url, models, settings=QUICKLY) as world:
        world.coming.add("premium")
        await world.warming.ahead()
        await eventually(lambda: "new:latest" in ollama.loaded())
        await switched(world, "cost_effective")
        await world.manager.switch("balanced", actor=ANNA)
        await eventually(lambda: "old:latest" not in ollama.loaded())

        assert "new:latest" in ollama.loaded()


async def test_a_mapping_without_local_models_asks_nobody(tmp_path: Path) -> None:
    """The list has an Ollama, at an address where nobody listens; no profile that changes names it."""
    address = f"http://127.0.0.1:{free_port()}"
    async with warm_world(tmp_path, address, {"cost_effective": "new"}, settings=QUICKLY) as world:
        receipt = await world.manager.switch("premium", actor=ANNA)

    assert receipt.warm is None
    assert world.heard == []


async def test_a_server_that_hangs_delays_no_receipt(ollama: OllamaServer, tmp_path: Path) -> None:
    """Where models are not waited for, their servers are not either: the receipt says that they take their time."""
    async with warm_world(tmp_path, ollama.url, {"premium": "new"}, settings=QUICKLY) as world:
        ollama.freeze()
        try:
            report = await switched(world, warm="background")
        finally:
            ollama.thaw()

    assert report.order is None
    assert "not answered yet" in report.said[0]


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, b'{"error": "out of\\nmemory"}', "out of memory"),
        (404, b"nothing here", "answered 404"),
        (403, b"[]", "answered 403"),
        (200, b'{"error": "no such tag"}\n', "no such tag"),
        (200, b"{", "no Ollama"),
        (200, b"[1]\n", "no Ollama"),
        (200, b"", "before its end"),
    ],
)
async def test_whatever_answers_instead_of_an_ollama_has_not_loaded(
    status: int, body: bytes, why: str
) -> None:
    """One line that says why, of every answer that is not what was asked for; also of a pull that breaks off."""

    async def answer(_: Request) -> Response:
        return Response(body, status)

    servers = OllamaServers(lambda: httpx.AsyncClient(trust_env=False))
    async with serving(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])) as (
        url,
        _,
    ):
        host = OllamaHost(url)
        with pytest.raises(NotLoaded, match=why):
            await servers.pull(host, "some:latest", lambda done, total: None)
        if status != 200:
            with pytest.raises(NotLoaded, match=why):
                await servers.load(WarmTarget(host, "some:latest"))
            with pytest.raises(NotLoaded, match=why):
                await servers.unload(host, "some:latest")
        assert await servers.look(host, None) is None
        await servers.stop()


async def test_what_only_embeds_is_loaded_too(ollama: OllamaServer) -> None:
    """Also where nobody noted that it only embeds; and it is let go as everything is."""
    servers = OllamaServers(lambda: httpx.AsyncClient(trust_env=False))
    host = OllamaHost(ollama.url)
    for noted in (True, False):
        await servers.load(WarmTarget(host, "embeds:latest", embeds=noted))
        assert "embeds:latest" in ollama.loaded()
        await servers.unload(host, "embeds:latest")
        assert "embeds:latest" not in ollama.loaded()
    with pytest.raises(NotLoaded, match="not found"):
        await servers.load(WarmTarget(host, "never:latest"))
    await servers.stop()
