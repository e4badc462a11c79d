"""Seven tabs of one browser: over HTTP/1.1 they share six connections, and none of them may notice."""

from __future__ import annotations

import httpx
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ADMIN
from tests.browser.tabs import STILL, UI
from tests.support.cable import Cable
from tests.support.proxy import MASTER_KEY, Proxy

TABS = 7


def sign_in(page: Page, url: str) -> None:
    """Open the page and type the key, as in each new tab."""
    page.goto(f"{url}{UI}")
    page.get_by_label("Key").fill(MASTER_KEY)
    page.keyboard.press("Enter")
    expect(page.locator("[data-active]")).to_be_visible()


def test_seven_tabs_live_and_come_back_after_a_restart(
    browser: Browser, proxy: Proxy, api: httpx.Client
) -> None:
    """Each can sign in and shows a switch at once; after the proxy was away each is live again, by itself."""
    with Cable(proxy.port) as cable:
        context = browser.new_context(**STILL)
        pages = [context.new_page() for _ in range(TABS)]
        for page in pages:
            sign_in(page, cable.url)
        for page in pages:
            expect(page.locator(".connection.live")).to_be_visible()
        api.post(f"{ADMIN}/switch", json={"profile": "balanced"}).raise_for_status()
        for page in pages:
            expect(page.locator("[data-active]")).to_have_text("balanced")

        cable.cut()
        for page in pages:
            expect(page.get_by_role("alert")).to_contain_text("does not answer")
        api.post(f"{ADMIN}/switch", json={"profile": "ultra_fast"}).raise_for_status()
        cable.open()

        for page in pages:
            expect(page.locator("[data-active]")).to_have_text("ultra_fast")
            expect(page.locator(".connection.live")).to_be_visible()
        # The tab that held the stream goes: another one takes it.
        pages.pop(0).close()
        api.post(f"{ADMIN}/switch", json={"profile": "premium"}).raise_for_status()
        for page in pages:
            expect(page.locator("[data-active]")).to_have_text("premium")
        context.close()


def test_only_one_tab_holds_the_stream(browser: Browser, proxy: Proxy, api: httpx.Client) -> None:
    """The others learn from it; when it is closed, exactly one of them follows."""
    context = browser.new_context(**STILL)
    streams: list[Page] = []
    pages = [context.new_page() for _ in range(3)]
    for page in pages:
        page.on(
            "request", lambda request, page=page: request.url.endswith("/events") and streams.append(page)
        )
        sign_in(page, proxy.url)
        expect(page.locator(".connection.live")).to_be_visible()
    first = list(streams)
    with pages[1].expect_request(lambda request: request.url.endswith("/events")):
        pages[0].close()

    assert first == [pages[0]]
    assert streams == [pages[0], pages[1]]
    context.close()
