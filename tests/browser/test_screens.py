"""Every screen, in both languages and themes, wide and narrow: it loads, fits, and axe finds nothing serious."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect

from tests.browser.tabs import Tab
from tests.support.servers import wait_until

SCREENS = ("now", "charts", "mappings", "matrix", "routing", "cost", "audit", "workers", "access")
TITLES = {
    "en": ("Now", "Charts", "Mappings", "Matrix", "Routing", "Cost", "Audit", "Workers", "Access"),
    "de": (
        "Jetzt",
        "Verlauf",
        "Zuordnung",
        "Matrix",
        "Verteilung",
        "Kosten",
        "Protokoll",
        "Prozesse",
        "Zugang",
    ),
}
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 320, "height": 740}
SERIOUS = ("serious", "critical")

Another = Callable[..., AbstractContextManager[Tab]]


def serious(tab: Tab) -> list[str]:
    """Return axe's serious findings, each with the element."""
    found = Axe().run(tab.page).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:160]}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


def overflow(tab: Tab) -> int:
    """Return how many pixels of the page stand out to the right."""
    wide: int = tab.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wide


def hidden_by_width(tab: Tab) -> list[str]:
    """Return the tables that are wider than their place, and the tab in use where it is out of sight."""
    found: list[str] = tab.page.evaluate("""() => [
        ...[...document.querySelectorAll(".table")].filter((box) => box.scrollWidth > box.clientWidth)
            .map((box) => `table ${box.firstChild.ariaLabel}`),
        ...[...document.querySelectorAll("nav a[aria-current]")].map((link) => link.getBoundingClientRect())
            .filter(({ left, right }) => left < 0 || right > innerWidth).map(() => "tab in use"),
    ]""")
    return found


@pytest.mark.parametrize(
    ("locale", "scheme", "viewport"),
    [("en", "light", WIDE), ("de", "dark", WIDE), ("de", "light", NARROW), ("en", "dark", NARROW)],
    ids=["en-light", "de-dark", "de-light-phone", "en-dark-phone"],
)
def test_every_screen_is_usable_by_everybody(
    another: Another, keys: Mapping[str, str], api: object, locale: str, scheme: str, viewport: dict[str, int]
) -> None:
    """No serious finding of axe, nothing beside the screen's edge, no error, no violation of the policy."""
    problems: dict[str, Any] = {}

    with another(locale=locale, color_scheme=scheme, viewport=viewport) as tab:
        tab.sign_in(keys["admin"])
        for screen, title in zip(SCREENS, TITLES[locale], strict=True):
            tab.go(screen)
            expect(tab.page.get_by_role("heading", level=1)).to_have_text(title)
            expect(tab.page.locator(".loading, .bone")).to_have_count(0)
            if found := [*serious(tab), *["too wide"] * (overflow(tab) > 0)]:
                problems[screen] = found
        assert problems == {}
        assert tab.violations() == []


@pytest.mark.parametrize("width", [320, 390, 1024, 1440, 2560])
def test_nothing_is_hidden_at_any_width(another: Another, keys: Mapping[str, str], width: int) -> None:
    """Every table shows all of its columns, and the tab in use is in sight, also after a reload."""
    hidden: dict[str, list[str]] = {}

    with another(locale="de", viewport={"width": width, "height": 900}) as tab:
        tab.sign_in(keys["admin"])
        for screen in SCREENS:
            tab.open(screen)
            tab.page.reload()
            expect(tab.page.locator(f'nav a[href="#/{screen}"]')).to_have_attribute("aria-current", "page")
            expect(tab.page.locator(".loading, .bone")).to_have_count(0)
            if found := [*hidden_by_width(tab), *["page"] * (overflow(tab) > 0)]:
                hidden[screen] = found
        tab.open("mappings")
        edits = tab.page.get_by_role("button", name="ändern")
        expect(edits.first).to_be_visible()
        places = [box for box in (edit.bounding_box() for edit in edits.all()) if box]

    assert hidden == {}
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in places)


def test_the_sign_in_is_usable_by_everybody(another: Another) -> None:
    """The first screen of all has no serious finding either, in both themes."""
    for scheme in ("light", "dark"):
        with another(color_scheme=scheme) as tab:
            tab.open()
            expect(tab.page.get_by_label("Key")).to_be_focused()
            assert serious(tab) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dialogs_are_usable_by_everybody(
    another: Another, keys: Mapping[str, str], api: object, scheme: str
) -> None:
    """The dialogs of a switch and of an edit, filled in, have no serious finding."""
    with another(color_scheme=scheme) as tab:
        tab.sign_in(keys["admin"])
        tab.button("Switch to balanced").click()
        expect(tab.dialog.get_by_role("table")).to_be_visible()
        in_switch = serious(tab)
        tab.page.keyboard.press("Escape")
        tab.go("mappings")
        tab.button("Edit chat").click()
        tab.dialog.get_by_label("Group").fill("nobody")
        expect(tab.dialog.get_by_text("This cannot be saved.")).to_be_visible()
        in_edit = serious(tab)

    assert (in_switch, in_edit) == ([], [])


def test_language_and_theme_can_be_chosen_and_are_kept(tab: Tab) -> None:
    """The switch in the header wins over the browser's language, and survives a reload."""
    tab.page.get_by_label("Language").select_option("de")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Jetzt")
    tab.page.get_by_role("button", name="Farben").click()
    tab.page.reload()

    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Jetzt")
    expect(tab.page.locator("html")).to_have_attribute("lang", "de")
    expect(tab.page.locator("html")).to_have_attribute("data-theme", "light")


def test_figures_follow_the_language(tab: Tab) -> None:
    """A share has a comma and a space in German."""
    tab.go("routing")
    expect(tab.page.get_by_role("table", name="Who answered")).to_contain_text("0%")
    tab.page.get_by_label("Language").select_option("de")

    expect(tab.page.get_by_role("table", name="Wer geantwortet hat")).to_contain_text("0\u00a0%")


def test_the_keyboard_reaches_everything(tab: Tab) -> None:
    """The first tab stop skips to the content; a move puts the focus on the new heading; focus is visible."""
    tab.page.reload()
    expect(tab.active).to_be_visible()
    tab.page.keyboard.press("Tab")
    expect(tab.page.get_by_role("link", name="Skip to content")).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("main")).to_be_focused()
    tab.page.keyboard.press("Tab")
    outline = tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    tab.page.locator('nav a[href="#/audit"]').press("Enter")

    expect(tab.page.get_by_role("heading", level=1)).to_be_focused()
    assert outline == "solid"


def test_a_prompt_is_classified_and_its_cues_are_marked(tab: Tab) -> None:
    """The playground shows task, tier and the words that told."""
    tab.go("routing")
    tab.page.get_by_label("Prompt").fill("Please summarise the contract in three sentences.")
    tab.button("Classify").click()

    expect(tab.page.locator(".verdict")).to_have_attribute("data-task", "summary")
    expect(tab.page.locator("mark").first).to_have_text("summarise")


def test_a_request_can_be_explained(tab: Tab, api: Any) -> None:
    """Its call id leads to the decision and to what it would have cost elsewhere."""
    message = {"role": "user", "content": "hello"}
    answer = api.post("/v1/chat/completions", json={"model": "chat", "messages": [message]})
    tab.go("cost")
    tab.page.get_by_label("Call id").fill(answer.headers["x-litellm-call-id"])
    # A worker tells others of a request when it writes its sums down: until then only one of them knows it.
    wait_until(lambda: _looked_up(tab), seconds=60, what="the explanation")

    expect(tab.page.get_by_role("row", name="ultra_fast").last).to_be_visible()


def _looked_up(tab: Tab) -> bool:
    tab.button("Look up").click()
    with contextlib.suppress(PlaywrightTimeout):
        tab.page.get_by_text("chat_premium").last.wait_for(timeout=2_000)
        return True
    return False
