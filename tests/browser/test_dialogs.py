"""Dialogs: what was typed is never thrown away unasked, and what they show is of one state, and recovers by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import Tab

UNSAVED = "What you typed is not saved."


def whole_profile(tab: Tab) -> str:
    """Open the editor of a whole profile; return the name of a field in it."""
    tab.go("mappings")
    tab.button("Edit the whole profile …").click()
    return "The profile as JSON"


def mapping(tab: Tab) -> str:
    """Open the editor of one mapping; return the name of a field in it."""
    tab.go("mappings")
    tab.button("Edit chat").click()
    return "Group"


def switch(tab: Tab) -> str:
    """Open the dialog of a switch; return the name of a field in it."""
    tab.button("Look at balanced first").click()
    return "Reason"


WAYS_OUT: dict[str, Callable[[Tab], None]] = {
    "escape": lambda tab: tab.page.keyboard.press("Escape"),
    "beside": lambda tab: tab.page.mouse.click(3, 450),
    "cross": lambda tab: tab.dialog.get_by_role("button", name="Close").click(),
    "cancel": lambda tab: tab.dialog.get_by_role("button", name="Cancel").click(),
    "back": lambda tab: tab.page.evaluate("location.hash = '#/audit'"),
}


@pytest.mark.parametrize("opened", [whole_profile, mapping, switch])
def test_no_way_out_of_a_dialog_loses_what_was_typed(tab: Tab, opened: Callable[[Tab], str]) -> None:
    """Escape, a click beside, the cross, Cancel and the way back ask; twice Escape stays; nothing typed, nothing asked."""
    field = opened(tab)
    tab.dialog.get_by_label(field).fill("kept")
    for leave in WAYS_OUT.values():
        leave(tab)
        expect(tab.dialog.get_by_text(UNSAVED)).to_be_visible()
        tab.page.keyboard.press("Escape")
        expect(tab.dialog.get_by_text(UNSAVED)).to_have_count(0)
        expect(tab.dialog.get_by_label(field)).to_have_value("kept")
    tab.page.keyboard.press("Escape")
    tab.dialog.get_by_role("button", name="Discard it").click()
    expect(tab.dialog).to_have_count(0)
    opened(tab)
    expect(tab.dialog.get_by_label(field)).to_be_visible()
    tab.page.keyboard.press("Escape")

    expect(tab.dialog).to_have_count(0)


def test_a_selection_that_ends_beside_a_dialog_does_not_close_it(tab: Tab) -> None:
    """The mouse goes down in a field and up beside the dialog: that is no click beside it."""
    tab.dialog.get_by_label(switch(tab)).hover()
    tab.page.mouse.down()
    tab.page.mouse.move(3, 450)
    tab.page.mouse.up()

    expect(tab.dialog).to_be_visible()
