"""While the proxy does not answer: every screen keeps its figures, says of when they are, and recovers by itself."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import Tab
from tests.browser.test_screens import SCREENS, Another
from tests.support.proxy import MASTER_KEY

FIGURES = "main table, main .giant, main .log, main canvas"


def test_every_screen_keeps_its_figures_and_recovers(tab: Tab) -> None:
    """One banner says that nobody answers, and of when the figures are; afterwards nothing is left of it."""
    for screen in SCREENS:
        tab.go(screen)
        tab.settled()
        before = tab.page.locator(FIGURES).count()

        tab.page.context.set_offline(True)

        expect(tab.page.get_by_role("alert")).to_have_count(1)
        expect(tab.page.get_by_role("alert")).to_contain_text("The proxy does not answer")
        expect(tab.page.get_by_role("alert")).to_contain_text("As of")
        assert before > 0, screen
        expect(tab.page.locator(FIGURES)).to_have_count(before)
        # Nobody knows whether anything is up to date.
        if screen in ("now", "workers"):
            expect(tab.page.locator("main .good-text, main .figure.good, main .chip.good")).to_have_count(0)

        if screen == "now":
            expect(tab.page.locator("main")).not_to_contain_text("up to date")

        tab.page.context.set_offline(False)

        expect(tab.page.locator("[role=alert], .stale")).to_have_count(0)
        expect(tab.page.locator(".connection")).to_have_text("live")
        tab.settled()


def test_a_screen_that_was_opened_during_an_outage_fills_by_itself(tab: Tab) -> None:
    """Nobody has to press anything."""
    tab.page.context.set_offline(True)
    expect(tab.page.get_by_role("alert")).to_be_visible()
    tab.go("audit")
    expect(tab.page.get_by_role("alert")).to_have_count(1)

    tab.page.context.set_offline(False)

    expect(tab.page.locator(".log li").first).to_be_visible()


def test_a_file_that_cannot_be_had_is_said_so(tab: Tab) -> None:
    """The button of the table tells that nobody answers or what was refused, and works once it can."""
    tab.go("cost")
    tab.settled()
    for refuse, told in (
        (lambda route: route.abort(), "The proxy does not answer"),
        (
            lambda route: route.fulfill(status=503, json={"code": "store_unavailable"}),
            "The state store does not",
        ),
    ):
        tab.page.route("**/usage?*format=csv", refuse)
        tab.button("CSV").click()
        expect(tab.page.get_by_role("alert")).to_contain_text(told)
        tab.page.unroute_all()
    with tab.page.expect_download() as download:
        tab.button("CSV").click()

    assert download.value.suggested_filename == "usage-by-profile.csv"
    expect(tab.page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("file", ["js/main.js", "js/parts/basics.js", "app.css"])
def test_a_page_whose_files_another_process_has_loads_anew(tab: Tab, file: str) -> None:
    """While proxies are upgraded one by one an old one is asked for its files: that is said, and it comes by itself."""
    tab.page.route(f"**/{file}", lambda route: route.fulfill(status=404, body="Not found."))
    tab.page.reload()
    expect(tab.page.get_by_text("does not have all files of this page")).to_be_visible()
    tab.page.unroute_all()

    expect(tab.active).to_be_visible()
    expect(tab.page.get_by_text("does not have all files of this page")).to_have_count(0)


SLOW = {"offline": False, "latency": 2_500, "downloadThroughput": -1, "uploadThroughput": -1}
"""Longer than the two seconds after which "Recent decisions" asks again, and the retry after a failure."""


def test_on_a_slow_link_screens_fill_and_a_failure_passes(another: Another) -> None:
    """What takes longer than the pause between two questions is awaited, not asked again and again."""
    with another() as tab:
        tab.sign_in(MASTER_KEY)
        tab.page.route(
            "**/usage?*", lambda route: route.fulfill(status=503, json={"code": "store_unavailable"})
        )
        tab.go("cost")
        expect(tab.page.get_by_role("alert")).to_contain_text("The state store does not")
        link = tab.page.context.new_cdp_session(tab.page)
        link.send("Network.emulateNetworkConditions", SLOW)
        tab.page.unroute_all()

        expect(tab.page.get_by_role("alert")).to_have_count(0)
        tab.go("routing")
        expect(
            tab.page.get_by_role("table", name="Recent decisions").get_by_role("row").nth(1)
        ).to_be_visible()


@pytest.mark.parametrize("hours", [1, 30])
def test_a_browser_with_another_clock_shows_the_figures_of_now(another: Another, hours: int) -> None:
    """Periods end, and "ago" is counted, by the proxy's clock."""
    wrong = f"const right = Date.now; Date.now = () => right() + {hours} * 3_600_000;"
    with another() as tab:
        tab.page.add_init_script(wrong)
        tab.sign_in(MASTER_KEY)
        tab.go("cost")
        tab.settled()

        expect(tab.page.locator("main table tbody tr").first).to_be_visible()
        tab.go("audit")
        tab.settled()
        expect(tab.page.locator("main time").first).to_contain_text(re.compile("second|minute|now"))


@pytest.mark.parametrize("name", ["constructor", "toString", "__proto__", "nothing"])
def test_an_address_that_is_none_is_the_first_screen(another: Another, name: str) -> None:
    """Whatever stands behind the #, the page stays whole."""
    with another() as tab:
        tab.sign_in(MASTER_KEY)
        tab.open(name)
        expect(tab.page.get_by_role("heading", level=1)).to_have_text("Now")
        expect(tab.active).to_be_visible()
