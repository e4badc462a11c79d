"""Dialogs: what was typed is never thrown away unasked, and what they show is of one state, and recovers by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import httpx
import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.conftest import ADMIN
from tests.browser.tabs import Tab
from tests.browser.test_switch import ask

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
    """Escape, a click beside, the cross, Cancel and the way back ask; twice Escape stays; nothing typed, not asked."""
    field = opened(tab)
    tab.dialog.get_by_label(field).fill("kept")
    for leave in WAYS_OUT.values():
        leave(tab)
        expect(tab.dialog.get_by_text(UNSAVED)).to_be_visible()
        tab.page.keyboard.press("Escape")
        expect(tab.dialog.get_by_text(UNSAVED)).to_have_count(0)
        expect(tab.dialog.get_by_label(field)).to_have_value("kept")
    tab.discard()
    expect(tab.dialog).to_have_count(0)
    opened(tab)
    expect(tab.dialog.get_by_label(field)).to_be_visible()
    tab.page.keyboard.press("Escape")

    expect(tab.dialog).to_have_count(0)


def binding(tab: Tab) -> str:
    """Open the form of bindings; return the name of a field in it."""
    tab.go("access")
    return "Team or key"


def end_the_session(tab: Tab) -> None:
    """Have every question refused, until the page asks for a key."""
    tab.page.route("**/admin/**", lambda route: route.fulfill(status=401, json={"code": "not_authenticated"}))
    expect(tab.over.get_by_text("Your key is no longer accepted.")).to_be_visible()
    tab.page.unroute_all()


@pytest.mark.parametrize("opened", [whole_profile, mapping, switch, binding])
def test_the_end_of_a_session_loses_nothing_that_was_typed(
    tab: Tab, keys: Mapping[str, str], opened: Callable[[Tab], str]
) -> None:
    """Whoever signs in again finds it, and can go on; for somebody else it is gone."""
    name = opened(tab)
    field = (tab.page if opened is binding else tab.dialog).get_by_label(name)
    field.fill("kept")
    end_the_session(tab)
    tab.over.get_by_label("Key").fill("sk-nobody")
    tab.page.keyboard.press("Enter")
    expect(tab.over.get_by_role("alert")).to_be_visible()
    tab.over.get_by_label("Key").fill(keys["admin"])
    tab.page.keyboard.press("Enter")
    expect(tab.over).to_have_count(0)
    expect(field).to_have_value("kept")
    expect(tab.page.locator(".connection.live")).to_be_visible()
    end_the_session(tab)
    tab.over.get_by_label("Key").fill(keys["viewer"])
    tab.page.keyboard.press("Enter")

    expect(tab.over).to_have_count(0)
    expect(tab.page.locator("nav a[aria-current]")).to_be_visible()
    expect(field).to_have_count(0)


def test_what_a_session_left_open_is_saved_in_the_next(
    tab: Tab, api: httpx.Client, keys: Mapping[str, str]
) -> None:
    """The dialog is not only there: its preview is asked for anew, and it works."""
    tab.dialog.get_by_label(switch(tab)).fill("over two sessions")
    end_the_session(tab)
    tab.over.get_by_label("Key").fill(keys["admin"])
    tab.page.keyboard.press("Enter")
    tab.dialog.get_by_role("button", name="Switch to balanced").click()

    expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()
    assert api.get("/admin/audit?limit=1").json()["entries"][0]["reason"] == "over two sessions"


def test_a_selection_that_ends_beside_a_dialog_does_not_close_it(tab: Tab) -> None:
    """The mouse goes down in a field and up beside the dialog: that is no click beside it."""
    tab.dialog.get_by_label(switch(tab)).hover()
    tab.page.mouse.down()
    tab.page.mouse.move(3, 450)
    tab.page.mouse.up()

    expect(tab.dialog).to_be_visible()


def test_a_dialog_that_was_opened_during_an_outage_fills_by_itself(tab: Tab) -> None:
    """It says that it tries again, and does."""
    tab.page.context.set_offline(True)
    tab.button("Switch to balanced").click()
    expect(tab.dialog.get_by_role("alert")).to_contain_text("tries again by itself")
    tab.page.context.set_offline(False)

    expect(tab.dialog.get_by_role("row", name="chat ")).to_contain_text("chat_balanced")
    expect(tab.dialog.get_by_role("alert")).to_have_count(0)
    expect(tab.dialog.get_by_role("button", name="Switch to balanced")).to_be_enabled()


def test_what_is_checked_while_it_is_typed_is_checked_once_the_proxy_answers(tab: Tab) -> None:
    """Nobody has to type another letter after an outage."""
    for opened, text in ((mapping, "rescue"), (whole_profile, None)):
        field = tab.dialog.get_by_label(opened(tab))
        tab.page.context.set_offline(True)
        field.fill(text or field.input_value().replace("chat_premium", "rescue"))
        expect(tab.dialog.locator(".check")).to_contain_text("The proxy does not answer")
        tab.page.context.set_offline(False)

        expect(tab.dialog.locator(".check")).to_contain_text("This can be saved.")
        tab.discard()


def test_an_act_that_got_no_answer_is_not_said_to_be_tried_again(tab: Tab) -> None:
    """A switch that was sent into an outage is not repeated by itself; the button is, once somebody presses it."""
    tab.dialog.get_by_label(switch(tab)).fill("by hand")
    confirm = tab.dialog.get_by_role("button", name="Switch to balanced")
    tab.page.route("**/profiles/switch", lambda route: route.abort())
    confirm.click()
    expect(tab.dialog.get_by_role("alert")).to_contain_text("Nothing says whether it was done")
    expect(tab.dialog.get_by_role("alert")).not_to_contain_text("by itself")
    tab.page.unroute_all()
    confirm.click()

    expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()


PASSING: dict[str, tuple[Callable[[Route], None], str]] = {
    "lost": (lambda route: route.abort(), "Nothing says whether it was done"),
    "unknown": (
        lambda route: route.fulfill(status=503, json={"code": "commit_unknown"}),
        "Nobody can tell whether the change was committed",
    ),
    "too many": (lambda route: route.fulfill(status=429, json={"code": "rate_limited"}), "Too many requests"),
    "broken": (
        lambda route: route.fulfill(status=500, json={"code": "internal"}),
        "Something went wrong here",
    ),
}


@pytest.mark.parametrize("path", ["profiles/switch", "rollback"])
@pytest.mark.parametrize("refused", PASSING)
def test_a_quick_switch_and_its_undo_say_what_became_of_them(tab: Tab, refused: str, path: str) -> None:
    """Sent at once and refused for a reason that passes: the dialog says so, not as if nothing had been sent."""
    answer, told = PASSING[refused]

    def act(route: Route) -> None:
        if route.request.post_data_json.get("dry_run"):
            route.continue_()
        else:
            answer(route)

    tab.page.route(f"**/{path}", act)
    tab.button("Switch to balanced").click()
    if path == "rollback":
        tab.button("Undo: back to premium").click()
    expect(tab.dialog.get_by_role("alert")).to_contain_text(told)
    expect(tab.dialog.get_by_role("alert")).not_to_contain_text("by itself")
    tab.page.unroute_all()
    tab.dialog.get_by_role("button", name=re.compile("^(Switch to balanced|Return to premium)$")).click()

    expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()


def test_a_switch_that_changes_nothing_has_no_undo(tab: Tab, api: httpx.Client) -> None:
    """Somebody else was quicker than the page could know: what they did is not offered as one's own to take back."""
    before = api.get(f"{ADMIN}/status").json()
    tab.page.route("**/profiles/status", lambda route: route.fulfill(json=before))
    api.post(f"{ADMIN}/switch", json={"profile": "balanced"}).raise_for_status()
    tab.button("Switch to balanced").click()

    expect(tab.page.locator("#said")).to_have_text("Everything was already so.")
    expect(tab.undo).to_have_count(0)


def test_a_profile_is_made_as_a_copy_and_no_other_is_overwritten(tab: Tab, api: httpx.Client) -> None:
    """It needs a name that nobody has; groups are offered where one is typed; saved, it can be switched to."""
    tab.go("mappings")
    tab.button("New profile …").click()
    tab.dialog.get_by_label("Name").fill("balanced")
    expect(tab.dialog.get_by_text("There is a profile of this name already.")).to_be_visible()
    expect(tab.button("Save")).to_be_disabled()
    tab.dialog.get_by_label("Name").fill("night")
    text = tab.dialog.get_by_label("The profile as JSON")
    text.fill(text.input_value().replace('"chat_premium"', '"rescu"'))
    text.evaluate("area => area.setSelectionRange(...Array(2).fill(area.value.indexOf('rescu') + 5))")
    text.press("Shift")
    tab.button("rescue").click()
    expect(text).to_be_focused()
    expect(tab.dialog.get_by_text("This can be saved.")).to_be_visible()
    tab.button("Save").click()
    expect(tab.dialog.locator("[data-complete=true]")).to_be_visible()
    made = api.get("/admin/profiles/night").json()
    api.post("/admin/rollback", json={}).raise_for_status()

    assert made["tasks"]["chat"] == "rescue"


def test_an_empty_profile_says_what_it_needs(tab: Tab) -> None:
    """Every task stands there, to be filled in."""
    tab.go("mappings")
    tab.button("New profile …").click()
    tab.dialog.get_by_label("Name").fill("night")
    tab.dialog.get_by_label("Begin with").select_option("bare")
    expect(tab.dialog.locator(".problems")).to_contain_text("tasks.chat")

    expect(tab.dialog.locator(".editor .wrong").first).to_be_visible()


@pytest.mark.parametrize(
    ("text", "told"),
    [("[]", "line 1 This must be another kind"), ("null", "line 1 This must"), ("{", "line 1 This is not")],
)
def test_what_is_no_profile_is_said_with_its_line(tab: Tab, text: str, told: str) -> None:
    """Also what is JSON, and no map."""
    tab.dialog.get_by_label(whole_profile(tab)).fill(text)

    expect(tab.dialog.locator(".problems")).to_contain_text(told)


def test_a_renamed_task_is_told_where_it_stands(tab: Tab) -> None:
    """The other profiles lack it: they are not said to have a mistake at this profile's line."""
    field = tab.dialog.get_by_label(whole_profile(tab))
    field.fill(field.input_value().replace('"chat":', '"chatt":'))

    expect(tab.dialog.locator(".problems")).to_contain_text("No other profile has the task 'chatt'")
    expect(tab.dialog.locator(".problems")).to_contain_text("The task 'chat' is missing.")
    expect(tab.dialog.locator(".problems li")).to_have_count(2)


def test_a_switch_in_between_is_not_overruled_unseen(tab: Tab, api: httpx.Client) -> None:
    """All that the dialog shows is of one state: where that goes, it is said, and looked at again as a whole."""
    tab.button("Look at balanced first").click()
    tab.dialog.get_by_label("Reason").fill("kept")
    api.post(f"{ADMIN}/switch", json={"profile": "ultra_fast"})
    expect(tab.dialog.get_by_role("alert")).to_contain_text("ultra_fast answers")
    expect(tab.dialog.get_by_role("table")).to_have_count(0)
    expect(tab.dialog.get_by_role("button", name="Switch to balanced")).to_have_count(0)
    tab.button("Look again").click()

    expect(tab.dialog.get_by_role("heading", level=2)).to_have_text("ultra_fast \u2192 balanced")
    expect(tab.dialog.get_by_role("row", name="chat ")).to_contain_text("chat_ultra_fast")
    expect(tab.dialog.get_by_label("Reason")).to_have_value("kept")
    assert ask(api) == "chat_ultra_fast"


def test_what_was_looked_at_is_what_is_switched_from(tab: Tab, api: httpx.Client) -> None:
    """A change that the page has not heard of yet: the proxy refuses, nothing is overruled."""
    tab.page.route("**/profiles/status", lambda route: route.abort())
    tab.button("Look at balanced first").click()
    expect(tab.dialog.get_by_role("table")).to_be_visible()
    api.post(f"{ADMIN}/switch", json={"profile": "ultra_fast"})
    tab.dialog.get_by_role("button", name="Switch to balanced").click()

    expect(tab.dialog.get_by_role("alert")).to_contain_text("ultra_fast answers")
    expect(tab.button("Look again")).to_be_visible()
    assert ask(api) == "chat_ultra_fast"


def test_undo_goes_when_somebody_else_changed_something(tab: Tab, api: httpx.Client) -> None:
    """Taking back would take back theirs: the bar is gone."""
    tab.button("Switch to balanced").click()
    tab.undo.hover()  # it stays while somebody is at it
    expect(tab.button("Undo: back to premium")).to_be_visible()
    api.post(f"{ADMIN}/switch", json={"profile": "ultra_fast"})

    expect(tab.undo).to_have_count(0)
    expect(tab.active).to_have_text("ultra_fast")


def test_an_undo_that_comes_too_late_names_its_target(tab: Tab, api: httpx.Client) -> None:
    """Somebody was quicker than the page could know: what would be returned to is said, and has to be looked at."""
    tab.page.route("**/profiles/status", lambda route: route.abort())
    tab.button("Switch to balanced").click()
    expect(tab.button("Undo: back to premium")).to_be_visible()
    api.post(f"{ADMIN}/switch", json={"profile": "ultra_fast"})
    tab.button("Undo: back to premium").click()

    expect(tab.dialog.get_by_role("heading", level=2)).to_contain_text("\u2192 premium")
    expect(tab.button("Look again")).to_be_visible()
    assert ask(api) == "chat_ultra_fast"


LOW = {
    "a laptop at 200 %": (683, 325),
    "a phone on its side": (844, 330),
    "a phone and its keyboard": (390, 330),
    "400 %": (320, 256),
    "just not low": (320, 421),
    "a window": (1280, 720),
}


def in_sight(tab: Tab, element: Locator) -> bool:
    """Return whether all of an element stands in the window and in its dialog."""
    box = element.bounding_box()
    around = tab.dialog.bounding_box()
    window = tab.page.viewport_size
    assert box is not None
    assert around is not None
    assert window is not None
    bottom = min(around["y"] + around["height"], window["height"])
    return max(around["y"], 0) <= box["y"] and box["y"] + box["height"] <= bottom


@pytest.mark.parametrize("size", LOW)
def test_a_dialog_says_what_it_is_about_before_it_can_be_confirmed(
    tab: Tab, api: httpx.Client, size: str
) -> None:
    """However low the window: title, focus and the first words are in sight; the button can be reached."""
    width, height = LOW[size]
    tab.page.set_viewport_size({"width": width, "height": height})
    tab.page.route("**/admin/plan", lambda route: route.fulfill(status=503, json={"code": "internal"}))
    tab.button("Switch to balanced").click()
    expect(tab.dialog.get_by_role("table")).to_be_attached()
    expect(tab.dialog.locator(":focus:is(h2, [type=submit])")).to_be_attached()

    seen = (tab.dialog.locator(place) for place in ("h2", ":focus", ".notice.warn strong"))
    assert [in_sight(tab, element) for element in seen] == [True, True, True]
    tab.dialog.get_by_role("button", name="Switch to balanced").click()
    expect(tab.dialog.locator("[data-complete=true]")).to_be_attached()
    expect(tab.dialog.locator(":focus:is(h2, button)")).to_be_attached()
    assert in_sight(tab, tab.dialog.locator(":focus"))
    tab.button("Done").click()
    expect(tab.active).to_have_text("balanced")
