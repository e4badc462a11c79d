"""The card of a shadow comparison: what was found out so far while one runs, and an end that is asked for twice."""

from __future__ import annotations

import httpx
from playwright.sync_api import expect

from tests.browser.tabs import Tab


def test_a_comparison_is_shown_and_can_be_ended(tab: Tab, api: httpx.Client) -> None:
    """It appears by itself, says what may be spent, and goes when it is ended."""
    card = tab.page.locator("[data-shadow]")
    expect(tab.active).to_have_text("premium")
    expect(card).to_have_count(0)

    api.post("/admin/shadows", json={"profile": "balanced", "budget_usd": 5}).raise_for_status()

    expect(card).to_contain_text("balanced answers")
    expect(card).to_contain_text("5.00")
    expect(card.get_by_role("row", name="all tasks")).to_have_count(1)
    tab.button("End the comparison").click()
    tab.button("End the comparison").click()
    expect(card).to_have_count(0)
    assert api.get("/admin/shadows").json()["shadows"][0]["ended_at"] is not None
