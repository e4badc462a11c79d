"""While the proxy does not answer: every screen keeps its figures, says of when they are, and recovers by itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import Tab
from tests.browser.test_screens import SCREENS

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
