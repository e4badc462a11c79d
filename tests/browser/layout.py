"""How a screen is looked at: by axe for everybody's use, and for what does not fit at a width.

It must not know which screens there are.
"""

from __future__ import annotations

from pathlib import Path

from axe_playwright_python.sync_playwright import Axe

from tests.browser.tabs import Tab

WIDTHS = (320, 390, 1024, 1440, 2560)
SERIOUS = ("serious", "critical")

MISPLACED = Path(__file__).with_name("misplaced.js").read_text()
"""What stands out of the page, is cut off, or lies over its neighbour."""


def serious(tab: Tab) -> list[str]:
    """Return axe's serious findings, each with the element."""
    found = Axe().run(tab.page).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:160]}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


def misplaced(tab: Tab, width: int) -> list[str]:
    """Return what does not fit at this width."""
    tab.page.set_viewport_size({"width": width, "height": 900})
    # Tables fit themselves to their place, and curves draw themselves anew, when they are told of it: a frame later.
    tab.page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
    )
    found: list[str] = tab.page.evaluate(MISPLACED)
    return [f"{width}: {each}" for each in found]
