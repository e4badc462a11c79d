"""One real proxy with two workers and one real browser for all tests of the page.

The fixtures end with this folder: Playwright keeps an event loop running, which asynchronous tests cannot share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import httpx
import pytest
from playwright.sync_api import Browser, expect

from neuronode_router.access import AccessKey, Role, generate_key
from tests.browser import chromium
from tests.browser.tabs import Tab, opened
from tests.support.place import FIRST_PROFILE, Place
from tests.support.proxy import MASTER_KEY, Proxy
from tests.support.servers import free_port
from tests.support.upstream import Upstream

ADMIN = "/admin/profiles"
SALT = "sk-salt-of-the-browser-tests"

expect.set_options(timeout=10_000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium.running(chromium.required()) as running:
        yield running


@pytest.fixture(scope="package")
def generated() -> Mapping[str, tuple[str, AccessKey]]:
    """Keys of people with fewer rights, as they send them, and as the access file has them."""
    return {
        "viewer": generate_key("anna-viewer", role=Role.VIEWER),
        "member": generate_key("app-a", team="a", tasks=("classification",)),
    }


@pytest.fixture(scope="package")
def proxy(
    tmp_path_factory: pytest.TempPathFactory, generated: Mapping[str, tuple[str, AccessKey]]
) -> Iterator[Proxy]:
    """Two workers with an access file, registered with LiteLLM's own UI as the page `Profiles`."""
    port = free_port()
    plugin = {
        "name": "neuronode-profiles",
        "url": f"http://127.0.0.1:{port}/admin/ui",
        "display_name": "Profiles",
    }
    with Upstream() as upstream:
        place = Place(
            directory=tmp_path_factory.mktemp("page"),
            upstream=upstream.url,
            keys=tuple(entry for _, entry in generated.values()),
            general={"plugins": [plugin]},
        )
        environ = {
            "LITELLM_SALT_KEY": SALT,
            "NEURONODE_WRITE_LIMIT": "1000/second",
            "NEURONODE_USAGE_FLUSH_SECONDS": "0.5",
        }
        with Proxy(place, workers=2, port=port, environ=environ) as running:
            _ask_something(running)
            yield running


@pytest.fixture
def api(proxy: Proxy) -> Iterator[httpx.Client]:
    """An administrator beside the page, on a proxy that serves the first profile again."""
    with proxy.client() as client:
        client.post(f"{ADMIN}/switch", json={"profile": FIRST_PROFILE}).raise_for_status()
        yield client


@pytest.fixture
def keys(generated: Mapping[str, tuple[str, AccessKey]]) -> Mapping[str, str]:
    """What each caller types into the page."""
    return {"admin": MASTER_KEY, **{name: plain for name, (plain, _) in generated.items()}}


@pytest.fixture(scope="package")
def shared(browser: Browser, proxy: Proxy) -> Iterator[Tab]:
    """An administrator's tab, in English: to sign in once for each test would take longer than most of them."""
    with opened(browser, proxy.url) as tab:
        tab.sign_in(MASTER_KEY)
        yield tab


@pytest.fixture
def tab(shared: Tab, api: httpx.Client) -> Iterator[Tab]:
    """An administrator's tab, as if it had just been opened and signed in."""
    shared.begin(MASTER_KEY)
    yield shared
    assert shared.errors == []


@pytest.fixture
def another(browser: Browser, proxy: Proxy) -> partial[object]:
    """Opens one more browser window: `with another(locale="de") as tab`."""
    return partial(opened, browser, proxy.url)


def _ask_something(proxy: Proxy) -> None:
    """Leave figures for the screens to show."""
    with proxy.client() as client:
        for name in ("auto", "auto:fast", "classification", "chat"):
            for _ in range(3):
                message = {"role": "user", "content": "Summarise this contract in three sentences."}
                client.post(
                    "/v1/chat/completions", json={"model": name, "messages": [message]}
                ).raise_for_status()
