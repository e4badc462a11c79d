"""The card of schedules and rules: what will be active and why, who decides now, and the end of a hold."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.layout import WIDTHS, misplaced, serious
from tests.browser.tabs import Tab

POLICY = "/admin/policy"
SWITCH = "/admin/profiles/switch"
ANY = {"If-Match": "*"}
AFAR = {name: f"{(time.gmtime().tm_hour + hours) % 24:02}:00" for name, hours in (("from", 12), ("to", 14))}
"""Hours that are not now, whenever the tests run."""
DOCUMENT = {
    "default": "premium",
    "schedule": [
        {"name": "night", "zone": "UTC", **AFAR, "then": {"profile": "cost_effective"}},
        {"name": "weekend", "zone": "UTC", "days": ["sat", "sun"], "then": {"max_tier": "medium"}},
    ],
    "rules": [
        {
            "name": "month",
            "budget": {"usd": 500, "enter": 0.8, "return": 0.6},
            "then": {"task": "chat", "group": "chat_balanced"},
            "dry_run": True,
        }
    ],
}  # fmt: skip


@pytest.fixture
def steered(api: httpx.Client) -> Iterator[httpx.Client]:
    """An administrator beside the page, while a policy is in force and balanced is held."""
    api.put(POLICY, json=DOCUMENT, headers=ANY).raise_for_status()
    api.post(SWITCH, json={"profile": "balanced", "until": time.time() + 6 * 3600}).raise_for_status()
    try:
        yield api
    finally:
        api.put(POLICY, json={}, headers=ANY).raise_for_status()


def test_without_a_policy_it_says_how_to_begin(tab: Tab) -> None:
    """One line, and nothing is foreseen. It comes first: workers take a moment to notice that a policy has gone."""
    expect(tab.page.get_by_text("To begin, write the file")).to_contain_text("/policy.yaml")
    expect(tab.page.locator(".foreseen")).to_have_count(0)


def test_what_will_be_active_is_shown_and_a_hold_ends(tab: Tab, steered: httpx.Client) -> None:
    """The level that decides is marked, each stretch has its reason, and a release is asked for twice."""
    card = tab.page.locator("[data-policy]")
    expect(card.locator("[aria-current]")).to_have_text("held by hand")
    expect(tab.page.locator("[data-why]")).to_contain_text("balanced: held by ")
    expect(card.locator("[data-then]")).to_contain_text("then ")
    expect(card).to_contain_text("/policy.yaml")
    expect(card.get_by_role("row", name="month")).to_contain_text("dry run")
    tab.button("Release").click()
    tab.button("Release").click()

    expect(card.locator("[aria-current]")).to_have_text("default")
    card.get_by_text("As a table").click()
    foreseen = card.get_by_role("table", name="The next 14 days")
    expect(foreseen.get_by_role("row").filter(has_text="window night").first).to_contain_text(
        "cost_effective"
    )
    assert steered.get(POLICY).json()["now"]["hold"] is None


def test_a_question_goes_with_the_hold_that_it_is_about(tab: Tab, steered: httpx.Client) -> None:
    """Who was asked about one hold does not end another."""
    card = tab.page.locator("[data-policy]")
    tab.button("Release").click()
    expect(tab.button("Cancel")).to_be_visible()

    steered.post(SWITCH, json={"profile": "ultra_fast", "hold": True}).raise_for_status()

    expect(card).to_contain_text("ultra_fast: held by ")
    expect(tab.button("Cancel")).to_have_count(0)
    expect(tab.button("Release")).to_be_visible()


def test_a_hold_that_was_not_seen_is_not_ended(tab: Tab, steered: httpx.Client) -> None:
    """A change that the page has not heard of yet: the proxy refuses."""
    tab.button("Release").click()
    tab.page.route("**/admin/policy", lambda route: route.abort())
    steered.post(SWITCH, json={"profile": "ultra_fast", "hold": True}).raise_for_status()
    tab.button("Release").click()

    expect(tab.page.get_by_role("alert")).to_contain_text("Another revision")
    assert steered.get(POLICY).json()["now"]["hold"]["profile"] == "ultra_fast"


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("de", "dark")])
def test_it_fits_and_is_usable_by_everybody(
    tab: Tab, steered: httpx.Client, language: str, scheme: str
) -> None:
    """With its table open, nothing is cut off at any width, and axe finds nothing serious."""
    tab.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    tab.page.locator("header select").first.select_option(language)
    tab.settled()
    tab.page.locator(".foreseen summary").first.click()

    found = serious(tab)
    for width in WIDTHS:
        found += misplaced(tab, width)
    assert found == []
