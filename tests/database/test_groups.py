"""What changes in LiteLLM's database under a proxy of one worker: model groups that profiles name, and settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.database.asking import ADMIN, MARKS, TOLD_SECONDS, map_summary, new_model, switch
from tests.e2e.asking import answered_by, chat, decision
from tests.support.database_mode.place import DatabasePlace, database_environ
from tests.support.place import FIRST_PROFILE, profile_text
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer, wait_until
from tests.support.upstream import Upstream

pytestmark = MARKS


def vanish(admin: httpx.Client, proxy: Proxy, group: str) -> None:
    """Store `group`, let the active profile use it, and delete it from LiteLLM's database."""
    deployment = new_model(admin, proxy, group)
    map_summary(admin, group).raise_for_status()
    switch(admin, "ultra_fast")
    assert answered_by(chat(admin, "summary")) == group
    admin.post("/model/delete", json={"id": deployment}).raise_for_status()


def problems(admin: httpx.Client) -> str:
    """Return what is wrong with files and mappings. How busy the machine is, which stalls the background, is not."""
    found = admin.get(f"{ADMIN}/status").raise_for_status().json()["problems"]
    return str([problem for problem in found if problem["code"] != "background_stalled"] or "")


@pytest.fixture(scope="module")
def lone_url(postgres: PostgresServer, litellm_database: str) -> str:
    """The database of the proxy of one worker."""
    return postgres.new_database(like=litellm_database)


@pytest.fixture(scope="module")
def lone(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream, database_mode: Path, lone_url: str
) -> Iterator[Proxy]:
    """A proxy of one worker that may be restarted, with no map of aliases in its configuration file."""
    place = DatabasePlace(directory=tmp_path_factory.mktemp("lone"), upstream=upstream.url, map_in_file=False)
    with Proxy(place, environ=database_environ(database_mode, lone_url)) as running:
        yield running


@pytest.fixture
def operator(lone: Proxy) -> Iterator[httpx.Client]:
    """The master key's client of the lone proxy, whose files and mappings are again as they began."""
    with lone.client() as client:
        (lone.place.profiles / "extra.yml").unlink(missing_ok=True)
        write(lone, profile_text("ultra_fast"))
        wait_until(lambda: not problems(client), seconds=TOLD_SECONDS, what="files in force")
        switch(client, FIRST_PROFILE)
        yield client


def write(proxy: Proxy, text: str, *, name: str = "ultra_fast.yaml") -> None:
    """Write a profile file as an editor does."""
    (proxy.place.profiles / name).write_text(text)


def test_files_that_name_a_group_are_in_force_once_there_is_one(lone: Proxy, operator: httpx.Client) -> None:
    """A refusal for want of a group ends by itself, with its problem, when LiteLLM loads the group."""
    write(lone, profile_text("ultra_fast", summary="late"))
    wait_until(lambda: "late" in problems(operator), seconds=TOLD_SECONDS, what="the refusal")

    new_model(operator, lone, "late")

    wait_until(
        lambda: not problems(operator),
        seconds=TOLD_SECONDS,
        what="the end of the problem",
    )
    # A receipt waits for workers only so long: on a busy machine the problem may end before the new revision serves.
    wait_until(
        lambda: answered_by(chat(operator, "ultra_fast/summary")) == "late",
        seconds=TOLD_SECONDS,
        what="the new mapping",
    )


def test_a_profile_file_of_the_other_suffix_is_watched(lone: Proxy, operator: httpx.Client) -> None:
    """A profile in a `.yml` file is refused and taken up again like any other."""
    write(lone, "nonsense: [", name="extra.yml")
    wait_until(lambda: "extra" in problems(operator), seconds=TOLD_SECONDS, what="the refusal")

    (lone.place.profiles / "extra.yml").unlink()

    wait_until(lambda: not problems(operator), seconds=TOLD_SECONDS, what="the end of the problem")


def test_a_group_that_vanishes_harms_its_task_alone(lone: Proxy, operator: httpx.Client) -> None:
    """The status names the dead mapping, its task falls to the profile's ladder, the others do not notice."""
    vanish(operator, lone, "gone")

    wait_until(lambda: "gone" in problems(operator), seconds=TOLD_SECONDS, what="the problem")
    fallen, other = chat(operator, "summary"), chat(operator, "classification")
    assert answered_by(fallen).startswith("tier_")
    assert decision(fallen)["group"] == answered_by(fallen)
    assert answered_by(other) == "classification_ultra_fast"


def test_what_mends_a_dead_mapping_is_accepted(lone: Proxy, operator: httpx.Client) -> None:
    """With a group gone one can still switch away and back, and map the task to a group that is there."""
    vanish(operator, lone, "lost")

    switch(operator, "balanced")
    switch(operator, "ultra_fast")
    map_summary(operator, "summary_ultra_fast").raise_for_status()

    assert answered_by(chat(operator, "summary")) == "summary_ultra_fast"
    assert "lost" not in problems(operator)


def test_a_group_that_is_given_a_tasks_name_takes_nothing_from_the_profiles(
    lone: Proxy, operator: httpx.Client
) -> None:
    """The active profile goes on answering, the status names the collision, and edits and switches are as before."""
    deployment = new_model(operator, lone, "classification")
    wait_until(lambda: "name_collision" in problems(operator), seconds=TOLD_SECONDS, what="the problem")

    switch(operator, "ultra_fast")
    answers = {answered_by(chat(operator, name)) for name in ("classification", "ultra_fast/classification")}
    map_summary(operator, "summary_ultra_fast").raise_for_status()

    assert answers == {"classification_ultra_fast"}
    operator.post("/model/delete", json={"id": deployment}).raise_for_status()
    wait_until(lambda: not problems(operator), seconds=TOLD_SECONDS, what="the end of the problem")


def test_a_restart_with_a_dead_mapping_serves_the_rest(lone: Proxy, operator: httpx.Client) -> None:
    """A proxy that starts without one of its groups answers every other task, and says what is missing."""
    vanish(operator, lone, "missing")
    lone.stop()
    lone.start()

    assert answered_by(chat(operator, "classification")) == "classification_ultra_fast"
    assert "missing" in problems(operator)


def test_what_the_settings_page_saves_holds_none_of_our_names(lone: Proxy, lone_url: str) -> None:
    """LiteLLM's page sends back all it was shown; the database then has the operator's aliases, not ours."""
    with lone.client() as admin:
        shown = admin.get("/get/config/callbacks").raise_for_status().json()["router_settings"]
        saved = {"model_group_alias": {**shown["model_group_alias"], "mine": "chat_premium"}}
        admin.post("/config/update", json={"router_settings": saved}).raise_for_status()

        def also_shown() -> dict[str, str]:
            values = admin.get("/router/settings").raise_for_status().json()["current_values"]
            return dict(values["model_group_alias"])

        wait_until(
            lambda: "mine" in also_shown(),
            seconds=TOLD_SECONDS,
            what="the operator's alias on the other page",
        )
        assert "classification" not in also_shown()

    with psycopg.connect(lone_url) as database:
        query = "SELECT param_value FROM \"LiteLLM_Config\" WHERE param_name = 'router_settings'"
        stored = json.dumps(database.execute(query).fetchall())
    assert "mine" in stored
    assert "@profile/" not in stored
    assert "auto:complex" not in stored
