"""The page inside LiteLLM's own UI: registered, signed in by LiteLLM's identity claim, verified by our server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import httpx
from cryptography.fernet import Fernet
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.browser.conftest import ADMIN, SALT
from tests.browser.tabs import UI
from tests.support.proxy import MASTER_KEY, Proxy

PLUGIN = "neuronode-profiles"


def claim_of(proxy: Proxy, key: str) -> str:
    """Ask LiteLLM for a claim about the owner of a key, as its UI does."""
    with proxy.client(key) as client:
        answer = client.get("/api/plugins/auth-token", params={"plugin_name": PLUGIN}).raise_for_status()
    return str(answer.json()["session_claim"])


def forged(salt: str, *, role: str = "proxy_admin", plugin: str = PLUGIN, age: int = 0) -> str:
    """Make a claim as LiteLLM does, with another salt, role, audience or age."""
    key = hmac.digest(salt.encode(), plugin.encode(), hashlib.sha256)
    now = int(time.time()) - age
    claim = {"plugin": plugin, "user_id": "mallory", "user_role": role, "exp": now + 30}
    return Fernet(base64.urlsafe_b64encode(key)).encrypt_at_time(json.dumps(claim).encode(), now).decode()


def session(proxy: Proxy, claim: str) -> httpx.Response:
    """Exchange a claim, as the page does."""
    return httpx.post(f"{proxy.url}/admin/ui/session", json={"claim": claim})


def test_litellm_lists_the_page(proxy: Proxy) -> None:
    """LiteLLM's UI is told of the page, and the address it will put into its frame is there."""
    with proxy.client() as client:
        (plugin,) = client.get("/api/plugins").raise_for_status().json()
        page = client.get(plugin["url"] + "/")

    assert (plugin["name"], plugin["display_name"]) == (PLUGIN, "Profiles")
    assert page.status_code == 200


def test_a_claim_gives_its_owners_rights_and_no_more(proxy: Proxy) -> None:
    """The admin may switch; the viewer may look; neither session is a key for LiteLLM."""
    admin = session(proxy, claim_of(proxy, MASTER_KEY)).raise_for_status().json()
    # Without a database LiteLLM gives claims to the master key only; with one, a viewer's looks like this.
    viewer = session(proxy, forged(SALT, role="proxy_admin_viewer")).raise_for_status().json()

    with proxy.client(admin["key"]) as client:
        assert client.get("/admin/access").json()["you"]["role"] == "admin"
        assert client.post(f"{ADMIN}/switch", json={"profile": "premium"}).status_code == 200
        message = {"role": "user", "content": "hello"}
        answer = client.post("/v1/chat/completions", json={"model": "chat", "messages": [message]})
        assert answer.status_code == 401
    with proxy.client(viewer["key"]) as client:
        assert client.get("/admin/audit").status_code == 200
        assert client.post(f"{ADMIN}/switch", json={"profile": "balanced"}).status_code == 403
    assert 3500 < admin["expires_at"] - time.time() <= 3600


def test_a_claim_that_litellm_did_not_make_is_refused(proxy: Proxy) -> None:
    """Another salt (also the empty one), another plugin's, an old one; and the good one shows the test can fail."""
    statuses = {
        "good": session(proxy, forged(SALT)).status_code,
        "other salt": session(proxy, forged("guessed")).status_code,
        "empty salt": session(proxy, forged("")).status_code,
        "other plugin": session(proxy, forged(SALT, plugin="another")).status_code,
        "old": session(proxy, forged(SALT, age=45)).status_code,
    }

    assert statuses == {"good": 200, "other salt": 401, "empty salt": 401, "other plugin": 401, "old": 401}


def test_an_unknown_role_comes_with_no_rights(proxy: Proxy) -> None:
    """A role that LiteLLM will invent some day is a member."""
    key = session(proxy, forged(SALT, role="galactic_admin")).raise_for_status().json()["key"]

    with proxy.client(key) as client:
        assert client.get("/admin/access").json()["you"]["role"] == "member"
        assert client.get("/admin/audit").status_code == 403


def test_a_session_cannot_be_made_or_changed_by_its_owner(proxy: Proxy) -> None:
    """A session is sealed: one changed letter, or a claim in its place, opens nothing."""
    key = session(proxy, claim_of(proxy, MASTER_KEY)).json()["key"]
    changed = key[:40] + ("A" if key[40] != "A" else "B") + key[41:]

    for wrong in (changed, f"nnui-{claim_of(proxy, MASTER_KEY)}", "nnui-"):
        with proxy.client(wrong) as client:
            assert client.get(f"{ADMIN}/status").status_code == 401


def framed(page: Page, proxy: Proxy) -> FrameLocator:
    """Open a page of the proxy's origin with ours in a frame, as LiteLLM's UI has it."""
    page.route(
        "**/outer",
        lambda route: route.fulfill(
            body=f'<iframe src="{proxy.url}{UI}" width="1200" height="800"></iframe>',
            content_type="text/html",
        ),
    )
    page.goto(f"{proxy.url}/outer")
    return page.frame_locator("iframe")


def post_claim(page: Page, proxy: Proxy, claim: str) -> None:
    """Tell the page in the frame who is signed in, as LiteLLM's UI does."""
    page.evaluate(
        "([claim, origin]) => document.querySelector('iframe').contentWindow"
        ".postMessage({type: 'litellm-auth', session_claim: claim}, origin)",
        [claim, proxy.url],
    )


def test_the_frame_signs_in_by_the_claim_that_is_posted_to_it(browser: Browser, proxy: Proxy) -> None:
    """What LiteLLM's UI does: a frame at `url + "/"`, and a message with the claim. Nobody types a key."""
    context = browser.new_context(locale="en")
    page = context.new_page()
    frame = framed(page, proxy)
    expect(frame.get_by_label("Key")).to_be_visible()
    claim = claim_of(proxy, MASTER_KEY)
    post_claim(page, proxy, claim)

    expect(frame.locator("[data-active]")).to_be_visible()
    assert MASTER_KEY not in page.evaluate("JSON.stringify(sessionStorage)")
    context.close()


def test_whoever_litellm_names_goes_before_the_key_of_the_tab(
    browser: Browser, proxy: Proxy, api: httpx.Client
) -> None:
    """The next person in the same tab acts as herself; a claim that is refused, as after a reload, changes nothing."""
    context = browser.new_context(locale="en")
    page = context.new_page()
    frame = framed(page, proxy)

    def post(claim: str, status: int) -> None:
        with page.expect_response("**/ui/session") as answer:
            post_claim(page, proxy, claim)
        assert answer.value.status == status

    def kept() -> str:
        return str(page.evaluate("sessionStorage.getItem('neuronode.key')"))

    expect(frame.get_by_label("Key")).to_be_visible()
    post(claim_of(proxy, MASTER_KEY), 200)
    expect(frame.get_by_role("button", name="Switch to balanced")).to_be_enabled()
    admins = kept()
    post(forged(SALT, age=45), 401)
    assert kept() == admins
    post(forged(SALT, role="proxy_admin_viewer"), 200)
    expect(frame.get_by_text("Your key may read, not change.")).to_be_visible()
    viewers = kept()
    post(forged(SALT, role="proxy_admin_viewer"), 200)
    page.wait_for_function("old => sessionStorage.getItem('neuronode.key') !== old", arg=viewers)

    expect(frame.get_by_text("Your key may read, not change.")).to_be_visible()
    context.close()


def test_litellms_own_ui_shows_the_page(browser: Browser, proxy: Proxy) -> None:
    """The real UI of LiteLLM, with the token its login would have set: choose the view, and be signed in."""
    context = browser.new_context(locale="en", viewport={"width": 1400, "height": 900})
    context.add_cookies([{"name": "token", "value": login_token(), "url": proxy.url}])
    page = context.new_page()
    page.goto(f"{proxy.url}/ui/?page=models")
    page.get_by_role("button", name="AI Gateway").click()
    page.get_by_role("menuitem", name="Profiles").or_(page.get_by_text("Profiles", exact=True)).first.click()
    frame = page.frame_locator(f'iframe[src="{proxy.url}/admin/ui/"]')

    expect(frame.locator("[data-active]")).to_be_visible(timeout=30_000)
    context.close()


def login_token() -> str:
    """Return the cookie that LiteLLM's login sets: a JWT signed with the master key."""
    claims = {
        "user_id": "default_user_id",
        "key": MASTER_KEY,
        "user_email": None,
        "user_role": "proxy_admin",
        "login_method": "username_password",
        "premium_user": False,
        "auth_header_name": "Authorization",
        "disabled_non_admin_personal_key_creation": False,
        "server_root_path": "",
        "exp": int(time.time()) + 3600,
    }
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    ]
    signed = b".".join(parts)
    signature = base64.urlsafe_b64encode(hmac.digest(MASTER_KEY.encode(), signed, hashlib.sha256)).rstrip(
        b"="
    )
    return b".".join([signed, signature]).decode()
