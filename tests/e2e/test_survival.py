"""What a proxy keeps when something is killed, edited, replaced or taken away under it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.asking import answered_by, chat, decision
from tests.e2e.conftest import ADMIN
from tests.support.place import GROUPS, Place, profile_text
from tests.support.proxy import Proxy
from tests.support.recorder_names import MEDDLE, RECORD, RECORDER
from tests.support.servers import wait_until
from tests.support.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def battered(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Proxy]:
    """A proxy of two workers that tests may damage."""
    directory = tmp_path_factory.mktemp("battered")
    place = Place(directory=directory, upstream=upstream.url, callbacks=(RECORDER,))
    with Proxy(place, workers=2, environ={RECORD: str(directory / "record.ndjson")}) as proxy:
        yield proxy


@pytest.fixture
def admin(battered: Proxy) -> Iterator[httpx.Client]:
    """A client with the master key that takes a new connection for each request, so any worker may answer."""
    with battered.client(connection="close") as client:
        yield client


def switch(admin: httpx.Client, profile: str) -> dict[str, Any]:
    """Switch and return the receipt; it is full."""
    answer = admin.post(f"{ADMIN}/switch", json={"profile": profile})
    receipt: dict[str, Any] = answer.raise_for_status().json()
    assert receipt["complete"], receipt
    return receipt


def status(admin: httpx.Client) -> dict[str, Any]:
    """Return the status page."""
    found: dict[str, Any] = admin.get(f"{ADMIN}/status").raise_for_status().json()
    return found


def served(admin: httpx.Client, task: str = "chat", times: int = 8) -> set[str]:
    """Return who answers a task, asked several times over new connections."""
    return {answered_by(chat(admin, task)) for _ in range(times)}


def test_what_something_else_replaces_keeps_our_names(admin: httpx.Client) -> None:
    """A settings write of LiteLLM's that would empty the alias map carries our names, so nothing has to be put back."""
    switch(admin, "balanced")
    drifts = _drifts(admin)

    admin.post(MEDDLE).raise_for_status()

    assert served(admin) == {"chat_balanced"}
    aliases = [admin.get("/v1/models").raise_for_status().text for _ in range(8)]
    assert all('"classification"' in text for text in aliases)
    assert _drifts(admin) == drifts


def test_a_hand_edit_takes_effect_in_every_worker(battered: Proxy, admin: httpx.Client) -> None:
    """A mapping changed in the file answers soon, as an audited revision of the files."""
    switch(admin, "balanced")
    file = battered.place.profiles / "balanced.yaml"

    file.write_text(profile_text("balanced", chat="rescue"))

    wait_until(lambda: served(admin, times=4) == {"rescue"}, what="the edited mapping")
    newest = admin.get("/admin/audit", params={"limit": 1}).json()["entries"][0]
    assert newest["actor"]["kind"] != "operator"
    assert {"task": "chat", "before": "chat_balanced", "after": "rescue"} in newest["changes"]
    file.write_text(profile_text("balanced"))
    wait_until(lambda: served(admin, times=4) == {"chat_balanced"}, what="the mapping edited back")


def test_a_broken_file_changes_nothing_and_is_shown(battered: Proxy, admin: httpx.Client) -> None:
    """The last good set keeps serving; the status page names file, line and fix until it is fixed."""
    switch(admin, "premium")
    before = status(admin)["revision"]
    file = battered.place.profiles / "premium.yaml"

    file.write_text(profile_text("premium", chat="no_such_group"))

    wait_until(lambda: _problems(admin), what="the problem on the status page")
    problem = _problems(admin)[0]
    assert (problem["file"], problem["path"]) == ("premium.yaml", "tasks.chat")
    assert problem["line"] > 1
    assert problem["fix"]
    assert served(admin) == {"chat_premium"}
    assert status(admin)["revision"] == before
    file.write_text(profile_text("premium"))
    wait_until(lambda: not _problems(admin), what="the end of the problem")


def test_an_edit_over_http_writes_the_file_and_answers_at_once(battered: Proxy, admin: httpx.Client) -> None:
    """PUT of one mapping keeps the file's comments and is in force in every worker when it is answered."""
    revision = switch(admin, "ultra_fast")["revision"]
    path = f"{ADMIN}/ultra_fast/tasks/summary"

    answer = admin.put(path, json={"group": "rescue"}, headers={"If-Match": f'"{revision}"'})

    receipt = answer.raise_for_status().json()
    assert receipt["complete"]
    assert served(admin, "summary") == {"rescue"}
    text = (battered.place.profiles / "ultra_fast.yaml").read_text()
    assert text.startswith("# ultra_fast, with a comment to keep\n")
    assert yaml.safe_load(text)["tasks"]["summary"] == "rescue"


def test_the_configuration_is_rendered_after_a_switch(battered: Proxy, admin: httpx.Client) -> None:
    """`litellm_config.yaml` says what is active, so that a start without the plugin serves the same."""
    switch(admin, "cost_effective")

    wait_until(lambda: _rendered(battered.place.config)[0] == "cost_effective", what="the rendering")

    profile, aliases = _rendered(battered.place.config)
    assert {task: aliases[task] for task in GROUPS[profile]} == dict(GROUPS[profile])
    assert battered.place.config.read_text().startswith("# A comment")


def test_a_read_only_configuration_is_a_warning(battered: Proxy, admin: httpx.Client) -> None:
    """Where the file cannot be written the switch works all the same, and the status page says why it lags."""
    config, real = battered.place.config, battered.place.config.read_text()
    config.unlink()
    config.mkdir()

    try:
        receipt = switch(admin, "specialized")
        wait_until(lambda: _warns(admin, config.name), what="the warning")
    finally:
        config.rmdir()
        config.write_text(real)

    assert receipt["changed"]
    assert served(admin) == {"chat_specialized"}


@pytest.mark.timeout(300)
def test_a_killed_worker_comes_back_with_the_revision(battered: Proxy, admin: httpx.Client) -> None:
    """kill -9 of one worker: the others answer, its successor serves the same revision.

    The bound is wide because uvicorn may only notice at the end of its health check's time-out.
    """
    revision = switch(admin, "balanced")["revision"]
    victim = battered.worker_processes()[0]

    victim.send_signal(signal.SIGKILL)

    wait_until(lambda: _others_serve(admin, revision, victim.pid), seconds=200, what="the successor")
    assert served(admin) == {"chat_balanced"}
    assert switch(admin, "premium")["revision"] == revision + 1


@pytest.mark.timeout(300)
def test_a_killed_proxy_comes_back_with_the_revision(battered: Proxy, admin: httpx.Client) -> None:
    """kill -9 of everything: the next start serves what was committed, and can switch."""
    revision = switch(admin, "ultra_fast")["revision"]

    battered.kill()
    battered.start()

    assert served(admin) == {"chat_ultra_fast"}
    assert decision(chat(admin, "chat"))["revision"] == str(revision)
    receipt = switch(admin, "premium")
    assert receipt["revision"] == revision + 1
    assert len(receipt["workers"]) == 2


def _drifts(admin: httpx.Client) -> int:
    workers = admin.get("/admin/workers").raise_for_status().json()["workers"]
    return sum(int(worker["report"]["drifts"]) for worker in workers if worker["live"])


def _problems(admin: httpx.Client) -> list[dict[str, Any]]:
    return [problem for _ in range(4) for problem in status(admin)["problems"]]


def _warns(admin: httpx.Client, name: str) -> bool:
    return any(name in warning for _ in range(4) for warning in status(admin)["warnings"])


def _rendered(config: Path) -> tuple[str, dict[str, str]]:
    document = yaml.safe_load(config.read_text())
    aliases: dict[str, str] = document["router_settings"]["model_group_alias"]
    return document["profile_settings"]["current_profile"], aliases


def _others_serve(admin: httpx.Client, revision: int, dead: int) -> bool:
    try:
        workers = admin.get("/admin/workers").raise_for_status().json()["workers"]
    except httpx.TransportError:
        return False
    serving = {worker["pid"]: worker["revision"] for worker in workers if worker["live"]}
    return dead not in serving and list(serving.values()) == [revision, revision]
