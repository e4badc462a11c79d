"""What the page must not let happen: markup from names (T17), framing (T18), keys that stay, rights too wide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import httpx
import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import ADMIN
from tests.browser.tabs import UI, Tab
from tests.support.proxy import Proxy

HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'"&javascript:alert(1)'

Another = Callable[..., AbstractContextManager[Tab]]


@pytest.fixture
def hostile(api: httpx.Client) -> None:
    """A profile whose description, and an audit entry whose reason, are markup."""
    profile = api.get(f"{ADMIN}/specialized").json() | {"description": HOSTILE, "cost_level": HOSTILE[:64]}
    api.put(
        f"{ADMIN}/specialized", json=profile, headers={"If-Match": "*"}, params={"reason": HOSTILE}
    ).raise_for_status()
    api.post(f"{ADMIN}/switch", json={"profile": "specialized", "reason": HOSTILE}).raise_for_status()


def test_names_and_reasons_are_text_everywhere(tab: Tab, hostile: None, api: httpx.Client) -> None:
    """T17: hostile text is shown as it is on every screen; nothing of it runs, and the policy has nothing to stop."""
    expect(tab.page.get_by_text("<img src=x").first).to_be_visible()
    for screen in ("charts", "mappings", "matrix", "routing", "cost", "audit", "workers", "access", "now"):
        tab.go(screen)
        expect(tab.page.locator(".loading, .bone")).to_have_count(0)
    tab.button("Undo last change …").click()
    expect(tab.dialog.get_by_role("table")).to_be_visible()

    assert tab.page.evaluate("window.hacked") is None
    assert tab.page.locator("main img, main script").count() == 0
    assert tab.violations() == []


@pytest.mark.parametrize(
    "attack",
    [
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.hacked=1'}))",
        "document.body.innerHTML = '<img src=x onerror=window.hacked=1>'",
        "document.body.append(Object.assign(document.createElement('img'), {src: 'https://evil.test/x.png'}))",
        "fetch('https://evil.test/').catch(() => {})",
    ],
)
def test_the_policy_stops_what_a_mistake_would_let_in(tab: Tab, attack: str) -> None:
    """Even code that runs in the page can add no inline code, no markup and no other origin."""
    tab.page.evaluate(f"try {{ {attack} }} catch (error) {{ window.stopped = String(error) }}")

    tab.page.wait_for_function("window.violations.length > 0 || window.stopped")
    assert tab.page.evaluate("window.hacked") is None
    tab.errors.clear()


@pytest.mark.parametrize(("parent", "framed"), [("own", True), ("http://evil.test", False)])
def test_only_its_own_origin_frames_the_page(
    browser: Browser, proxy: Proxy, parent: str, framed: bool
) -> None:
    """T18: in another site's frame the browser refuses to show the page."""
    outer = f"{proxy.url if parent == 'own' else parent}/outer"
    context = browser.new_context()
    page = context.new_page()
    body = f'<iframe src="{proxy.url}{UI}"></iframe>'
    page.route("**/outer", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(outer)
    frame = page.frames[1]
    frame.wait_for_load_state()

    seen = frame.locator("#app").count() == 1
    context.close()
    assert seen is framed


def test_the_key_stays_in_the_tab_and_goes_with_it(tab: Tab, keys: Mapping[str, str]) -> None:
    """The key is in sessionStorage only: not in localStorage, a cookie or the address; signing out forgets it."""
    places = (
        "[JSON.stringify(localStorage), document.cookie, location.href, JSON.stringify(history.state)].join()"
    )
    assert keys["admin"] not in tab.page.evaluate(places)
    assert tab.page.evaluate("sessionStorage.getItem('neuronode.key')") == keys["admin"]
    tab.page.reload()
    expect(tab.active).to_be_visible()
    tab.button("Sign out").click()

    expect(tab.page.get_by_label("Key")).to_be_visible()
    assert tab.page.evaluate("sessionStorage.length") == 0


def test_a_wrong_key_is_refused_with_words(another: Another) -> None:
    """An unknown key leads nowhere, and is not kept."""
    with another() as tab:
        tab.open()
        tab.page.get_by_label("Key").fill("sk-nobody")
        tab.page.keyboard.press("Enter")

        expect(tab.page.get_by_role("alert")).to_contain_text("No key, or an unknown key")
        assert tab.page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize("key", ["sk-\u200b1", "\u201csk-1\u201d", "sk-\u00e4", "sk-\t1"])
def test_a_key_that_no_header_carries_is_refused_with_words(another: Another, key: str) -> None:
    """What was copied with it is invisible: it is not told as a proxy that does not answer, typed or kept."""
    with another() as tab:
        tab.open()
        tab.page.get_by_label("Key").fill(key)
        tab.page.keyboard.press("Enter")
        expect(tab.page.get_by_role("alert")).to_contain_text("No key has such a character")
        assert tab.page.evaluate("sessionStorage.length") == 0
        tab.page.evaluate("key => sessionStorage.setItem('neuronode.key', key)", key)
        tab.page.reload()

        expect(tab.page.get_by_text("Your key is no longer accepted.")).to_be_visible()


def test_a_key_that_is_taken_away_ends_the_session(tab: Tab, keys: Mapping[str, str]) -> None:
    """Another key is asked for over all there is; the old one is forgotten, and nothing is sent meanwhile."""
    tab.page.route("**/profiles/status", lambda route: route.fulfill(status=401, json={"code": "x"}))
    expect(tab.page.get_by_text("Your key is no longer accepted.")).to_be_visible(timeout=30_000)
    tab.page.unroute_all()
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.keyboard.press("Escape")
    tab.page.keyboard.press("Escape")
    covered = "() => document.elementsFromPoint(5, 5)[0].matches('dialog.over')"
    on_top = tab.page.evaluate(covered)
    expect(tab.over.get_by_label("Key")).to_be_visible()
    tab.over.get_by_label("Key").fill(keys["viewer"])
    assert (on_top, asked, tab.page.evaluate("sessionStorage.length")) == (True, [], 0)
    tab.page.keyboard.press("Enter")

    expect(tab.over).to_have_count(0)
    expect(tab.page.get_by_text("Your key may read, not change.")).to_be_visible()


def test_a_key_that_may_less_than_before_loses_its_buttons(tab: Tab, api: httpx.Client) -> None:
    """What a key may do is asked again with each revision; while nobody has said it, nobody may change anything."""

    def demoted(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        route.fulfill(response=answer, json=told | {"you": told["you"] | {"role": "viewer"}})

    expect(tab.button("Switch to balanced")).to_be_enabled()
    tab.page.route("**/admin/access", demoted)
    api.post(f"{ADMIN}/switch", json={"profile": "ultra_fast"}).raise_for_status()
    expect(tab.page.get_by_text("Your key may read, not change.")).to_be_visible()
    expect(tab.button("Switch to balanced")).to_be_disabled()
    tab.page.unroute_all()
    tab.page.route("**/admin/access", lambda route: route.fulfill(status=503, json={"code": "internal"}))
    tab.page.reload()
    expect(tab.active).to_be_visible()
    expect(tab.button("Switch to balanced")).to_be_disabled()
    tab.page.unroute_all()

    expect(tab.button("Switch to balanced")).to_be_enabled()


def test_a_viewer_sees_everything_and_changes_nothing(another: Another, keys: Mapping[str, str]) -> None:
    """Buttons that would be refused cannot be pressed, and the page says why."""
    with another() as tab:
        tab.sign_in(keys["viewer"])
        expect(tab.page.get_by_text("Your key may read, not change.")).to_be_visible()
        assert tab.page.locator(".profile .button:enabled").count() == 0
        tab.go("audit")
        expect(tab.page.locator(".log li").first).to_be_visible()
        tab.go("mappings")

        expect(tab.button("Edit chat")).to_be_disabled()


def test_a_member_is_told_what_it_may_not_see(another: Another, keys: Mapping[str, str]) -> None:
    """A member follows the active profile; the audit log and the workers say that they are not for its key."""
    with another() as tab:
        tab.sign_in(keys["member"])
        expect(tab.active).to_be_visible()
        expect(tab.page.locator(".connection.polling")).to_be_visible()
        for screen in ("audit", "workers"):
            tab.go(screen)
            expect(tab.page.get_by_text("Your key may not see this")).to_be_visible()
        tab.go("access")

        expect(tab.page.get_by_text("app-a")).to_be_visible()


@pytest.mark.parametrize("status", [404, 503])
def test_a_screen_whose_route_is_not_there_says_so(tab: Tab, status: int) -> None:
    """An older or starting proxy: an honest sentence in the place of the figures, nothing breaks."""

    def missing(route: Route) -> None:
        route.fulfill(status=status, json={"code": "not_ready"})

    for pattern in ("**/router/stats", "**/usage?*", "**/usage/series?*"):
        tab.page.route(pattern, missing)
    for screen, text in (
        ("routing", "Automatic routing has not started on this proxy."),
        ("cost", "Usage is not recorded on this proxy."),
        ("charts", "Usage is not recorded on this proxy."),
    ):
        tab.go(screen)
        expect(tab.page.get_by_text(text)).to_be_visible()


def test_a_failure_is_shown_with_a_way_on(tab: Tab) -> None:
    """A 500 shows what the proxy says, and can be tried again."""
    broken = {
        "status": 500,
        "json": {"code": "internal", "title": "Something went wrong here", "fix": "Look."},
    }
    tab.page.route("**/workers", lambda route: route.fulfill(**broken))
    tab.go("workers")
    expect(tab.page.get_by_role("alert")).to_contain_text("Something went wrong here")
    tab.page.unroute("**/workers")
    tab.button("Try again").click()

    expect(tab.page.get_by_role("row").nth(1)).to_be_visible()
