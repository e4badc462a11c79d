"""Finds a Chromium and starts it shut off from the world: a fresh profile, no updates, nothing in the background.

It must not know the page.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.support.servers import missing

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")
CHOSEN = "NEURONODE_TEST_BROWSER"
"""Environment variable: the browser to use, where it has another name or place."""

FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find() -> str | None:
    """Return the browser of this machine, None where there is none."""
    chosen = os.environ.get(CHOSEN)
    return chosen or next(filter(None, map(shutil.which, NAMES)), None)


def required() -> str:
    """Return the browser of this machine; without one, skip the test at home and fail it in CI."""
    return find() or missing(
        "Chromium", FileNotFoundError(f"install it (scripts/browser) or name it: {CHOSEN}")
    )


@contextmanager
def running(executable: str) -> Iterator[Browser]:
    """Yield a browser without a window; it ends with the block."""
    # As root, as in most containers, Chromium's sandbox cannot be set up.
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else list(FLAGS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        try:
            yield browser
        finally:
            browser.close()
