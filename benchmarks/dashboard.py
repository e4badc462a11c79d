"""How fast the dashboard is there: bytes, first paint and the first figures, in a real browser over a real proxy.

Run: `python -m benchmarks.dashboard --visits 15`. It needs a Chromium (scripts/browser). Times are milliseconds from
the start of the navigation; a first visit has nothing cached, a later one asks for the page alone.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page

from admin_api.ui.routes import read_site
from tests.browser import chromium
from tests.browser.tabs import UI
from tests.support.place import Place
from tests.support.proxy import MASTER_KEY, Proxy
from tests.support.upstream import Upstream

PAINT = "performance.getEntriesByType('paint').find((entry) => entry.name === 'first-contentful-paint')?.startTime"
SENT = "performance.getEntriesByType('resource').reduce((sum, entry) => sum + entry.transferSize, 0)"
FIGURES = "performance.now()"


@dataclass(frozen=True, slots=True)
class Visit:
    """One load of the page by somebody who is signed in."""

    paint: float
    figures: float
    """Until the active profile stands on the page."""
    sent: int


def visit(page: Page, url: str) -> Visit:
    """Load the page and read the browser's own clock."""
    page.goto(f"{url}{UI}")
    page.locator("[data-active]").wait_for()
    figures = page.evaluate(FIGURES)
    page.wait_for_function(PAINT)
    return Visit(paint=page.evaluate(PAINT), figures=figures, sent=page.evaluate(SENT))


def measure(browser: Browser, url: str, visits: int) -> tuple[list[Visit], list[Visit]]:
    """Return first visits, each in a fresh browser profile, and later ones in the same."""
    first, later = [], []
    for _ in range(visits):
        context = browser.new_context()
        context.add_init_script(f"sessionStorage.setItem('neuronode.key', '{MASTER_KEY}')")
        page = context.new_page()
        first.append(visit(page, url))
        page.goto("about:blank")
        later.append(visit(page, url))
        context.close()
    return first, later


def show(name: str, visits: list[Visit]) -> None:
    """Print median and worst."""
    for field in ("paint", "figures"):
        values = [getattr(each, field) for each in visits]
        print(f"{name} {field}: median {statistics.median(values):.0f} ms, worst {max(values):.0f} ms")
    print(f"{name} sent: {max(each.sent for each in visits) / 1000:.1f} kB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=15)
    visits = parser.parse_args().visits
    executable = chromium.find()
    if executable is None:
        raise SystemExit("There is no Chromium: install one with scripts/browser.")
    site = read_site()
    packed = sum(len(asset.packed) for asset in (site.index, *site.files.values()))
    print(f"all files, packed: {packed / 1000:.1f} kB")
    with tempfile.TemporaryDirectory() as directory, Upstream() as upstream:
        place = Place(directory=Path(directory), upstream=upstream.url)
        with Proxy(place, workers=2) as proxy, chromium.running(executable) as browser:
            visit_page = browser.new_context()  # the first load of all warms the browser itself
            visit_page.new_page().goto(f"{proxy.url}{UI}")
            visit_page.close()
            first, later = measure(browser, proxy.url, visits)
    show("first visit", first)
    show("later visit", later)


if __name__ == "__main__":
    main()
