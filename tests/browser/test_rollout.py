"""The card of a rollout: both arms on the page while one runs, and an end that is asked for twice."""

from __future__ import annotations

import httpx
from playwright.sync_api import expect

from tests.browser.tabs import Tab


def test_a_rollout_is_shown_with_both_arms_and_can_be_ended(tab: Tab, api: httpx.Client) -> None:
    """It appears by itself, says what it tries, and goes when it is aborted."""
    card = tab.page.locator("[data-rollout]")
    expect(tab.active).to_have_text("premium")
    expect(card).to_have_count(0)

    api.post("/admin/rollouts", json={"profile": "balanced", "steps": [50]}).raise_for_status()

    expect(card).to_contain_text("balanced")
    expect(card.get_by_role("row", name="Errors")).to_contain_text("all tasks")
    tab.button("Abort").click()
    tab.button("Abort").click()
    expect(card).to_have_count(0)
    assert api.get("/admin/rollouts").json()["rollouts"][0]["phase"] == "aborted"


def test_a_question_goes_with_the_rollout_that_it_is_about(tab: Tab, api: httpx.Client) -> None:
    """One that another has taken the place of between two looks is not ended in its stead."""
    card = tab.page.locator("[data-rollout]")
    first = api.post("/admin/rollouts", json={"profile": "balanced", "steps": [50]}).raise_for_status()
    expect(card).to_contain_text("balanced")
    tab.button("Abort").click()
    expect(tab.button("Cancel")).to_be_visible()
    tab.page.route("**/rollouts?limit=1", lambda route: route.abort())

    api.post(f"{first.headers['location']}/abort").raise_for_status()
    api.post("/admin/rollouts", json={"profile": "ultra_fast", "steps": [50]}).raise_for_status()
    tab.page.unroute("**/rollouts?limit=1")

    expect(card).to_contain_text("ultra_fast")
    expect(tab.button("Cancel")).to_have_count(0)


def test_how_the_last_one_ended_is_shown_with_both_arms(tab: Tab, api: httpx.Client) -> None:
    """Also where a switch went before it."""
    api.post("/admin/rollouts", json={"profile": "balanced", "steps": [50]}).raise_for_status()
    expect(tab.page.locator("[data-rollout]")).to_contain_text("balanced")

    api.post("/admin/profiles/switch", json={"profile": "cost_effective"}).raise_for_status()

    ended = tab.page.locator("[data-ended]")
    expect(ended).to_contain_text("superseded")
    expect(ended).to_contain_text("switch to cost_effective")
    expect(ended.get_by_role("row", name="Errors")).to_contain_text("all tasks")


def test_an_edit_of_a_mapping_can_be_rolled_out(tab: Tab, api: httpx.Client) -> None:
    """The dialog of a mapping of the active profile offers it; the card says what is tried; aborted nothing is left."""
    tab.go("mappings")
    tab.button("Edit chat").click()
    tab.dialog.get_by_label("Group").fill("chat_balanced")
    tab.dialog.get_by_role("button", name="Roll out in steps").click()
    tab.dialog.get_by_role("button", name="Done").click()

    tab.go("now")
    card = tab.page.locator("[data-rollout]")
    expect(card).to_contain_text("premium+edit")
    expect(card).to_contain_text("chat_balanced")
    tab.button("Abort").click()
    tab.button("Abort").click()
    expect(card).to_have_count(0)
    assert api.get("/admin/profiles/premium").json()["tasks"]["chat"] == "chat_premium"
