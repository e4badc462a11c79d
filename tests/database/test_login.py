"""The page inside LiteLLM's own UI, after a login by LiteLLM's own form: an administrator, and a viewer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect
from playwright.sync_api import TimeoutError as PageTimeout

from tests.browser import chromium
from tests.support.database_mode.place import UI_PASSWORD, UI_USER
from tests.support.proxy import MASTER_KEY, Proxy

VIEWER, VIEWERS_PASSWORD = "anna@example.test", "Viewer-password-91c3"
TEAM = "research-and-development"
SLOW_MS = 30_000
"""LiteLLM's UI loads some megabytes first."""
OPENS_MS = 10_000
ATTEMPTS = 6


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that ends with this file: Playwright's event loop must not meet the asynchronous tests of others."""
    with chromium.running(chromium.required()) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window of somebody whom the proxy has not seen yet."""
    with browser.new_context(locale="en", viewport={"width": 1400, "height": 900}) as context:
        context.set_default_timeout(SLOW_MS)
        yield context.new_page()


@pytest.fixture
def viewer(admin: httpx.Client, database: psycopg.Connection) -> None:
    """Somebody who may look at everything, with a password that she has chosen herself."""
    person = {"user_email": VIEWER, "user_role": "proxy_admin_viewer", "auto_create_key": False}
    made = admin.post("/user/new", json=person).raise_for_status().json()
    change = {"user_id": made["user_id"], "password": VIEWERS_PASSWORD}
    admin.post("/user/update", json=change).raise_for_status()
    columns = "SELECT 1 FROM information_schema.columns WHERE column_name = 'password_reset_required'"
    if database.execute(
        columns
    ).fetchone():  # newer releases have her choose another one after the first login
        database.execute('UPDATE "LiteLLM_UserTable" SET password_reset_required = false')


def profiles_view(page: Page, proxy: Proxy, name: str, password: str) -> FrameLocator:
    """Log in as people do, and choose our page among the views."""
    page.goto(f"{proxy.url}/ui/login")
    page.get_by_placeholder("username").fill(name)
    page.get_by_placeholder("password").fill(password)
    page.keyboard.press("Enter")
    views = page.get_by_role("button", name="AI Gateway")
    ours = page.get_by_role("menuitem", name="Profiles").or_(page.get_by_text("Profiles", exact=True)).first
    for _ in range(
        ATTEMPTS
    ):  # a page that is still being set up does nothing about a click, and asks for views once
        views.click()
        with contextlib.suppress(PageTimeout):
            ours.wait_for(timeout=OPENS_MS)
            break
        page.reload()
    ours.click()
    return page.frame_locator(f'iframe[src="{proxy.url}/admin/ui/"]')


def test_an_administrator_who_logs_in_to_litellm_switches_in_its_ui(
    page: Page, proxy: Proxy, admin: httpx.Client
) -> None:
    """Nobody types a key, and one click switches."""
    frame = profiles_view(page, proxy, UI_USER, UI_PASSWORD)
    expect(frame.locator("[data-active]")).to_have_text("premium", timeout=SLOW_MS)
    frame.get_by_role("button", name="Switch to balanced", exact=True).click()
    expect(frame.locator("[data-active]")).to_have_text("balanced", timeout=SLOW_MS)

    (entry,) = admin.get("/admin/audit?limit=1").json()["entries"]
    assert (entry["action"], entry["profile_after"]) == ("switch", "balanced")


def test_a_viewer_who_logs_in_to_litellm_changes_nothing(page: Page, proxy: Proxy, viewer: None) -> None:
    """The claim that LiteLLM makes for her carries her role: she sees what is in force, and cannot press."""
    frame = profiles_view(page, proxy, VIEWER, VIEWERS_PASSWORD)
    expect(frame.locator("[data-active]")).to_be_visible(timeout=SLOW_MS)

    expect(frame.get_by_role("button", name="Switch to balanced", exact=True)).to_be_disabled()
    expect(frame.get_by_text("Your key may read, not change.")).to_be_visible()


def test_teams_and_keys_of_litellm_are_there_to_be_picked(
    page: Page, proxy: Proxy, admin: httpx.Client
) -> None:
    """Whoever has a key of LiteLLM's that lists them picks a team by its name, and binds it by its id."""
    admin.post("/team/new", json={"team_id": "rnd", "team_alias": TEAM}).raise_for_status()
    admin.post("/key/generate", json={"key_alias": "app-of-rnd", "team_id": "rnd"}).raise_for_status()
    page.goto(f"{proxy.url}/admin/ui/#/access")
    page.get_by_label("Key").fill(MASTER_KEY)
    page.keyboard.press("Enter")
    expect(page.locator("#bind-team option[value=rnd]")).to_have_text(TEAM, timeout=SLOW_MS)
    keys = page.locator("#who-key option").all_inner_texts()
    page.get_by_label("Team or key").fill("rnd")
    page.get_by_role("button", name="Bind", exact=True).click()

    expect(page.get_by_role("row", name="team:rnd")).to_contain_text(TEAM)
    assert "app-of-rnd" in keys
    admin.delete("/admin/bindings/team/rnd").raise_for_status()
