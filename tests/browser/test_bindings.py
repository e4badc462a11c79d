"""The form that binds a team or key: it overwrites nobody's change unseen, and says what the binding says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ADMIN
from tests.browser.tabs import Tab

BINDINGS = "/admin/bindings"
RULED: dict[str, Any] = {"profile": "balanced", "beyond": {"share": 0.855, "profile": "premium"}}


@pytest.fixture
def bound(api: httpx.Client) -> Iterator[httpx.Client]:
    """An administrator beside the page, with a team and a key of one name that are bound."""
    api.put(f"{BINDINGS}/team/x", json=RULED).raise_for_status()
    api.put(f"{BINDINGS}/key/x", json={"profile": "ultra_fast"}).raise_for_status()
    try:
        yield api
    finally:
        for kind in ("team", "key"):
            api.delete(f"{BINDINGS}/{kind}/x").raise_for_status()


def binding(api: httpx.Client, subject: str) -> dict[str, Any]:
    """Return how the subject is bound."""
    (found,) = [each for each in api.get(BINDINGS).json()["bindings"] if each["subject"] == subject]
    return dict(found)


def test_a_binding_that_changed_meanwhile_is_not_overwritten_unseen(tab: Tab, bound: httpx.Client) -> None:
    """What was there, what is there now and one's own choice stand side by side; binding again is a second decision."""
    tab.go("access")
    tab.button("Edit the binding of team:x").click()
    bound.put(f"{BINDINGS}/team/x", json={"profile": "ultra_fast"}).raise_for_status()
    expect(tab.page.get_by_role("row", name="team:x")).to_contain_text("ultra_fast")
    tab.button("Bind").click()
    expect(tab.page.locator(".versus")).to_contain_text("balanced; beyond 85.5%: premium")
    expect(tab.page.locator(".versus")).to_contain_text("ultra_fast")
    theirs = binding(bound, "team:x")
    tab.button("Bind").click()

    expect(tab.page.get_by_role("row", name="team:x")).to_contain_text("beyond 85.5%: premium")
    expect(tab.page.locator(".versus")).to_have_count(0)
    assert theirs["profile"] == "ultra_fast"
    assert binding(bound, "team:x")["beyond"]["share"] == 0.855


def test_a_change_of_something_else_is_no_conflict(tab: Tab, bound: httpx.Client) -> None:
    """What was seen of this binding still holds."""
    tab.go("access")
    tab.button("Edit the binding of team:x").click()
    bound.post(f"{ADMIN}/switch", json={"profile": "ultra_fast"}).raise_for_status()
    tab.page.locator("form.filters select").nth(1).select_option("cost_effective")
    tab.button("Bind").click()

    expect(tab.page.get_by_role("row", name="team:x")).to_contain_text("cost_effective")
    expect(tab.page.get_by_role("alert")).to_have_count(0)


def test_the_form_is_of_the_binding_that_was_chosen_last(tab: Tab, bound: httpx.Client) -> None:
    """A team and a key of one name are two, and a share is the one that is in force."""
    tab.go("access")
    tab.button("Edit the binding of team:x").click()
    expect(tab.page.get_by_label("From this share spent")).to_have_value("85.5")
    tab.button("Edit the binding of key:x").click()

    expect(tab.page.locator("form.filters select").first).to_have_value("key")
    expect(tab.page.get_by_label("From this share spent")).to_have_count(0)
