"""Every screen, in both languages and themes, wide and narrow: it loads, fits, and axe finds nothing serious."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import pytest
from playwright.sync_api import Route, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.layout import WIDTHS, misplaced, serious
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

Another = Callable[..., AbstractContextManager[Tab]]


@pytest.mark.parametrize(("locale", "scheme"), [("en", "light"), ("de", "dark")])
def test_every_screen_is_usable_by_everybody_at_any_width(
    another: Another, keys: Mapping[str, str], api: object, locale: str, scheme: str
) -> None:
    """Nothing is cut off, out of sight or over its neighbour from 320 to 2560 pixels; axe finds nothing serious.

    Colours do not depend on the language, nor places on the colours: two of the four pairs show all that can differ.
    """
    problems: dict[str, Any] = {}

    with another(locale=locale, color_scheme=scheme) as tab:
        tab.sign_in(keys["admin"])
        for screen, title in zip(SCREENS, TITLES[locale], strict=True):
            tab.page.set_viewport_size({"width": 1440, "height": 900})
            tab.go(screen)
            expect(tab.page.get_by_role("heading", level=1)).to_have_text(title)
            tab.settled()
            found = serious(tab)
            for width in WIDTHS:
                found += misplaced(tab, width)
            if found:
                problems[screen] = found
        assert problems == {}
        assert tab.violations() == []


LONGEST = "o" * 64
TEAM = "team:" + "T" * 100


def with_long_names(tab: Tab) -> None:
    """Let the proxy have a profile of the longest name, a description of one word, and two teams bound, one long."""

    def profiles(route: Route) -> None:
        answer = route.fetch()
        listed = answer.json()["profiles"]
        more = {**listed[0], "name": LONGEST, "description": "z" * 200}
        route.fulfill(response=answer, json={"profiles": [*listed, more]})

    bound = [
        {"subject": TEAM, "profile": "balanced", "beyond": None},
        {"subject": "team:a", "profile": LONGEST, "beyond": {"share": 0.5, "profile": LONGEST}},
    ]
    tab.page.route("**/profiles/list", profiles)
    tab.page.route(
        "**/admin/bindings",
        lambda route: route.fulfill(json={"active_profile": "premium", "bindings": bound}),
    )


def test_one_long_name_changes_nothing_for_the_others(
    another: Another, keys: Mapping[str, str], api: object
) -> None:
    """It is broken where it must be: no screen is wider for it, a table stays one, and words of buttons stay whole."""
    with another(locale="de") as tab:
        with_long_names(tab)
        tab.sign_in(keys["admin"])
        problems = []
        for screen in ("now", "mappings", "access"):
            tab.page.set_viewport_size({"width": 1440, "height": 900})
            tab.go(screen)
            tab.settled()
            if screen == "mappings":
                tab.button(LONGEST).click()
            for width in WIDTHS:
                problems += [f"{screen} {each}" for each in misplaced(tab, width)]
        row = tab.page.get_by_role("row", name=TEAM)
        table = tab.page.locator(".table", has=row)
        tab.page.set_viewport_size({"width": 1440, "height": 900})
        expect(table).not_to_contain_class("stacked")
        lines = "buttons => buttons.map(({ offsetHeight }) => offsetHeight)"
        heights = row.get_by_role("button").evaluate_all(lines)
        tab.page.set_viewport_size({"width": 320, "height": 900})
        expect(table).to_contain_class("stacked")

        assert problems == []
        assert row.get_by_role("button").evaluate_all(lines) == heights


def test_few_colours_of_the_browsers_own_still_tell_lines_apart(
    another: Another, keys: Mapping[str, str]
) -> None:
    """In a contrast mode of the system the legend's colours stay those of the lines."""
    with another(forced_colors="active") as tab:
        tab.sign_in(keys["admin"])
        tab.go("charts")
        tab.settled()
        painted = "all => all.map((each) => getComputedStyle(each).backgroundColor)"
        for keyed in tab.page.locator("main .keys").all():
            colours = keyed.locator(".swatch").evaluate_all(painted)
            assert len(colours) == len(set(colours))
        assert tab.page.locator("main .keys .swatch").count() > 1


def test_curves_are_read_with_the_keyboard_and_as_a_table(tab: Tab) -> None:
    """The arrow keys move through the steps; the table has the same figures; filter and period stay in the address."""
    tab.open("charts?period=15m&task=chat")
    curve = tab.page.get_by_role("group", name="Requests: curve")
    curve.focus()
    tab.page.keyboard.press("End")
    for _ in range(15):  # back to the step that has requests
        if "Requests 0" not in tab.page.locator(".tip").inner_text().replace("\n", " "):
            break
        tab.page.keyboard.press("ArrowLeft")
    told = tab.page.locator(".tip b").inner_text()
    tab.page.locator(".curve summary").first.click()
    table = tab.page.get_by_role("table", name="Requests")
    expect(table.get_by_role("row").nth(1)).to_contain_text(told)
    tab.page.get_by_role("combobox", name="Tier", exact=True).select_option(label="(none)")
    tab.page.reload()

    expect(tab.page.get_by_role("button", name="15 min")).to_have_attribute("aria-pressed", "true")
    expect(tab.page.get_by_role("combobox", name="Task", exact=True)).to_have_value("chat")
    assert int(told) >= 3


def test_a_decision_leads_to_its_explanation(tab: Tab, api: Any) -> None:
    """A request stands in the list with who asked and why it went where it did, and one click tells all."""
    tab.go("routing")
    rows = tab.page.get_by_role("table", name="Recent decisions").get_by_role("row")
    row = rows.filter(has_text="classified").first
    expect(row).to_contain_text("default_user_id")
    row.get_by_role("button").click()

    expect(tab.dialog.get_by_role("table")).to_contain_text("ultra_fast")
    assert "call=" in tab.page.url


def test_the_sign_in_is_usable_by_everybody(another: Another) -> None:
    """The first screen of all has no serious finding either, in both themes."""
    for scheme in ("light", "dark"):
        with another(color_scheme=scheme) as tab:
            tab.open()
            expect(tab.page.get_by_label("Key")).to_be_focused()
            assert serious(tab) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dialogs_are_usable_by_everybody(tab: Tab, scheme: Literal["light", "dark"]) -> None:
    """The dialogs of a switch, of a mapping and of a whole profile, filled in, have no serious finding."""
    tab.page.emulate_media(color_scheme=scheme)
    tab.button("Look at balanced first").click()
    expect(tab.dialog.get_by_role("table")).to_be_visible()
    found = serious(tab)
    tab.page.keyboard.press("Escape")
    tab.go("mappings")
    tab.button("Edit chat").click()
    tab.dialog.get_by_label("Group").fill("nobody")
    expect(tab.dialog.get_by_text("This cannot be saved.")).to_be_visible()
    found += serious(tab)
    tab.page.keyboard.press("Escape")
    expect(tab.dialog.get_by_text("not saved")).to_be_visible()
    found += serious(tab)
    tab.dialog.get_by_role("button", name="Discard it").click()
    tab.button("Edit the whole profile …").click()
    tab.dialog.get_by_label("The profile as JSON").fill("{")
    expect(tab.dialog.get_by_text("This is not JSON")).to_be_visible()
    found += serious(tab)

    assert found == []


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


WRITTEN = """async () => {
  const script = document.querySelector("script[type=module]").src;
  const { timesLike } = await import(new URL("format.js", script));
  const { prefer, t } = await import(new URL("i18n.js", script));
  const column = (...values) => values.map(timesLike(values));
  const counted = ["en", "de"].flatMap((language) => {
    prefer("language", language);
    return [0, 1, 2].map((count) => t("health.embedded", { count }));
  });
  prefer("language", "en");
  return [column(3.2, null, 8), column(27, 828), column(27, 12_400), counted];
}"""


def test_columns_have_one_unit_and_counts_their_plural(tab: Tab) -> None:
    """Times of a column can be compared at a glance; one group is a group, in both languages."""
    tiny, small, large, counted = tab.page.evaluate(WRITTEN)

    assert tiny == ["3.2\u00a0ms", "\u2013", "8.0\u00a0ms"]
    assert small == ["27\u00a0ms", "828\u00a0ms"]
    assert large == ["0.0\u00a0s", "12.4\u00a0s"]
    assert [text.split(" ")[-1] for text in counted] == [
        "groups",
        "group",
        "groups",
        "Gruppen",
        "Gruppe",
        "Gruppen",
    ]


def test_a_member_is_told_whose_figures_it_sees(another: Another, keys: Mapping[str, str]) -> None:
    """Of its team alone, and no filters stand above what it may not see; an unknown period leaves the address."""
    with another() as tab:
        tab.sign_in(keys["member"])
        tab.go("audit")
        expect(tab.page.get_by_text("Your key may not see this")).to_be_visible()
        expect(tab.page.locator("form.filters")).to_have_count(0)
        tab.go("routing")
        expect(tab.page.get_by_text("of your team, as recorded")).to_be_visible()
        tab.open("charts?period=99y")
        expect(tab.page.get_by_text("What was recorded of your team")).to_be_visible()
        expect(tab.page.get_by_role("button", name="1 h", exact=True)).to_have_attribute(
            "aria-pressed", "true"
        )
        tab.page.wait_for_url("**/#/charts")
