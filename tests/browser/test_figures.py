"""The figures of the page are those of the provider: with two workers, and after a restart."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
from playwright.sync_api import expect

from tests.browser.tabs import Tab
from tests.support.place import FALLING
from tests.support.proxy import Proxy
from tests.support.servers import wait_until

NAMES = ("auto", "auto:fast", "classification", "chat", "tier_complex")
REQUESTS = 50


def provided(proxy: Proxy) -> Counter[str]:
    """Return how many requests the provider has counted, by deployment."""
    counts: dict[str, dict[str, int]] = httpx.get(f"{proxy.place.upstream}/counts").json()
    return Counter({name: each["requests"] for name, each in counts.items()})


def shown(tab: Tab) -> Counter[str]:
    """Return the requests of the last day by model, as the page's table has them."""
    table = tab.page.get_by_role("table", name="Who answered")
    expect(table).to_be_visible()
    rows: list[list[str]] = table.evaluate(
        "table => [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return Counter({name: int(count.replace(",", "")) for name, count, *_ in rows})


def test_figures_are_the_providers_own_also_after_a_restart(
    tab: Tab, api: httpx.Client, proxy: Proxy
) -> None:
    """Fifty requests, some of which fail: what the page adds is what the provider adds, of both workers."""

    def one(number: int) -> str:
        text = "Please fail-500." if number % 10 == 9 else "Summarise this contract in three sentences."
        body = {"model": NAMES[number % len(NAMES)], "messages": [{"role": "user", "content": text}]}
        return httpx.post(
            f"{proxy.url}/v1/chat/completions", json=body, headers=dict(api.headers), timeout=60
        ).headers.get("x-neuronode-group", "")

    tab.go("routing")
    tab.settled()
    before, provided_before = shown(tab), provided(proxy)

    with ThreadPoolExecutor(5) as pool:  # several connections, so that both workers answer
        list(pool.map(one, range(REQUESTS)))
    asked = provided(proxy) - provided_before
    expected = asked + Counter({"all": sum(asked.values())})
    wait_until(lambda: shown(tab) - before == expected, seconds=60, what="the figures of both workers")
    after = shown(tab)
    proxy.stop()
    proxy.start()
    tab.page.reload()
    expect(tab.active.or_(tab.page.get_by_role("heading", level=1))).to_be_visible()
    tab.go("routing")

    assert asked.total() == REQUESTS
    expect(tab.page.get_by_role("table", name="Who answered")).to_be_visible()
    assert shown(tab) == after


def test_a_fallback_is_the_failing_groups_own(tab: Tab, api: httpx.Client, proxy: Proxy) -> None:
    """The group that another one stood in for has the rate of fallbacks, and the one that helped out has none of it."""
    failing, helping = FALLING[0], FALLING[1]
    body = {"model": failing, "messages": [{"role": "user", "content": "hi"}]}
    httpx.post(
        f"{proxy.url}/v1/chat/completions", json=body, headers=dict(api.headers), timeout=60
    ).raise_for_status()

    tab.go("routing")
    row = tab.page.get_by_role("table", name="Who answered").get_by_role("row")

    expect(row.filter(has_text=failing)).to_contain_text("100")
    expect(row.filter(has_text=helping)).not_to_contain_text("100")
