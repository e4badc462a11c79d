"""Model groups that come and go in LiteLLM's database, while profiles name them."""

from __future__ import annotations

import httpx

from tests.database.asking import ADMIN, EVERY_WORKER, MARKS, new_model, switch
from tests.e2e.asking import answered_by, chat, decision
from tests.support.place import profile_text
from tests.support.proxy import Proxy
from tests.support.servers import wait_until

pytestmark = MARKS

TOLD_SECONDS = 10
"""Two seconds are promised; the machine that tests share may have other things to do."""


def map_summary(admin: httpx.Client, group: str) -> httpx.Response:
    """Let `group` serve `summary` in the profile `ultra_fast`."""
    path = f"{ADMIN}/ultra_fast/tasks/summary"
    return admin.put(path, json={"group": group}, headers={"If-Match": "*"})


def vanish(admin: httpx.Client, proxy: Proxy, group: str) -> None:
    """Store `group`, let the active profile use it, and delete it from LiteLLM's database."""
    deployment = new_model(admin, proxy, group)
    map_summary(admin, group).raise_for_status()
    switch(admin, "ultra_fast")
    assert answered_by(chat(admin, "summary")) == group
    admin.post("/model/delete", json={"id": deployment}).raise_for_status()


def problems(admin: httpx.Client) -> str:
    return str(admin.get(f"{ADMIN}/status").raise_for_status().json()["problems"])


def test_files_that_name_a_group_are_in_force_once_there_is_one(lone: Proxy) -> None:
    """A refusal for want of a group ends by itself, with its problem, when LiteLLM loads the group."""
    with lone.client() as admin:
        lone.place.profiles.joinpath("ultra_fast.yaml").write_text(profile_text("ultra_fast", summary="late"))
        wait_until(lambda: "late" in problems(admin), what="the refusal")

        new_model(admin, lone, "late")

        wait_until(lambda: not problems(admin), seconds=TOLD_SECONDS, what="the end of the problem")
        assert answered_by(chat(admin, "ultra_fast/summary")) == "late"


def test_a_profile_file_of_the_other_suffix_is_read(lone: Proxy) -> None:
    """A profile in a `.yml` file that is mended is taken up like any other."""
    with lone.client() as admin:
        file = lone.place.profiles / "extra.yml"
        file.write_text(profile_text("balanced", summary="nowhere"))
        wait_until(lambda: "extra" in problems(admin) or "nowhere" in problems(admin), what="the refusal")

        file.unlink()

        wait_until(lambda: not problems(admin), what="the end of the problem")


def test_a_group_that_vanishes_harms_its_task_alone(lone: Proxy) -> None:
    """The status names the dead mapping, its task falls to the profile's ladder, the others do not notice."""
    with lone.client() as admin:
        vanish(admin, lone, "gone")

        wait_until(lambda: "gone" in problems(admin), seconds=TOLD_SECONDS, what="the problem")
        fallen, other = chat(admin, "summary"), chat(admin, "classification")
        assert answered_by(fallen).startswith("tier_")
        assert decision(fallen)["group"] == answered_by(fallen)
        assert answered_by(other) == "classification_ultra_fast"


def test_what_mends_a_dead_mapping_is_accepted(lone: Proxy) -> None:
    """With a group gone one can still switch away and back, and map the task to a group that is there."""
    with lone.client() as admin:
        vanish(admin, lone, "lost")

        switch(admin, "balanced")
        switch(admin, "ultra_fast")
        map_summary(admin, "summary_ultra_fast").raise_for_status()

        assert answered_by(chat(admin, "summary")) == "summary_ultra_fast"
        assert "lost" not in problems(admin)


def test_a_restart_with_a_dead_mapping_serves_the_rest(lone: Proxy) -> None:
    """A proxy that starts without one of its groups answers every other task, and says what is missing."""
    with lone.client() as admin:
        vanish(admin, lone, "missing")
    lone.stop()
    lone.start()

    with lone.client() as admin:
        assert answered_by(chat(admin, "classification")) == "classification_ultra_fast"
        assert "missing" in problems(admin)


def test_a_group_that_was_just_stored_can_be_used_at_once(proxy: Proxy, admin: httpx.Client) -> None:
    """Whichever worker is asked, a profile may name a group that another worker has just stored."""
    new_model(admin, proxy, "fresh")
    answers = []
    for number in range(EVERY_WORKER):
        with proxy.client() as client:
            answers.append(map_summary(client, ("fresh", "summary_ultra_fast")[number % 2]))

    assert {answer.status_code for answer in answers} == {200}
