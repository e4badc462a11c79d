"""A browser window on the page, with everything it complained about: errors, and violations of its policy.

It must not know which screens there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, ViewportSize, expect

UI = "/admin/ui/"
VIEWPORT: ViewportSize = {"width": 1280, "height": 900}
STILL: Mapping[str, Any] = MappingProxyType(
    {"locale": "en", "viewport": VIEWPORT, "reduced_motion": "reduce"}
)
"""A window in which nothing moves: drawing what does takes a quarter of the browser's work."""

WATCH_POLICY = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@dataclass(slots=True)
class Tab:
    """One page in a browser profile of its own: nothing is shared with other tabs."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    """Uncaught errors, and what the console shows as an error, except answers that are refusals."""

    def open(self, screen: str = "") -> None:
        """Go to a screen."""
        self.page.goto(f"{self.url}{UI}#/{screen}")

    def sign_in(self, key: str) -> None:
        """Type a key and wait until the page shows what is in force."""
        self.open()
        self.page.get_by_label("Key").or_(self.page.get_by_label("Schlüssel")).fill(key)
        self.page.keyboard.press("Enter")
        expect(self.page.locator("nav a").first).to_be_visible()
        expect(self.page.locator("[data-active], .state").first).to_be_visible()

    def begin(self, key: str) -> None:
        """Forget all that was done in this tab, and show the first screen, signed in."""
        self.errors.clear()
        self.page.unroute_all(behavior="ignoreErrors")
        self.page.context.set_offline(False)
        self.page.set_viewport_size(VIEWPORT)
        self.page.evaluate(
            "key => { localStorage.clear(); sessionStorage.clear(); sessionStorage.setItem('neuronode.key', key) }",
            key,
        )
        self.page.goto("about:blank")  # a dialog with something typed would not let the address change
        self.open()
        expect(self.active).to_be_visible()
        expect(self.page.locator(".connection.live")).to_be_visible()

    def go(self, screen: str) -> None:
        """Follow the navigation to a screen."""
        self.page.locator(f'nav a[href="#/{screen}"]').click()
        expect(self.page.locator(f'nav a[href="#/{screen}"]')).to_have_attribute("aria-current", "page")

    def discard(self) -> None:
        """Leave the dialog, and with it what was typed."""
        self.page.keyboard.press("Escape")
        self.dialog.get_by_role("button", name="Discard it").click()

    def button(self, name: str) -> Locator:
        """Return the button of exactly this name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def settled(self) -> None:
        """Wait until nothing of the screen is still being loaded."""
        expect(self.page.locator(".loading, .bone")).to_have_count(0)

    @property
    def active(self) -> Locator:
        """The name of the active profile, as it stands on the first screen."""
        return self.page.locator("[data-active]")

    @property
    def undo(self) -> Locator:
        """The bar that takes a switch back."""
        return self.page.locator(".undo")

    @property
    def dialog(self) -> Locator:
        """The open dialog."""
        return self.page.get_by_role("dialog")

    @property
    def over(self) -> Locator:
        """The sign-in over all that is shown, once a session has ended."""
        return self.page.locator("dialog.over")

    def violations(self) -> list[str]:
        """Return what the page's own policy had to stop."""
        found: list[str] = self.page.evaluate("window.violations")
        return found


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Tab]:
    """Yield a new tab; `options` are Playwright's for a browser context. At the end it must have no errors."""
    context = browser.new_context(**{**STILL, **options})
    try:
        context.add_init_script(WATCH_POLICY)
        tab = Tab(context.new_page(), url)
        tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.page.on("console", lambda message: _note(tab, message))
        yield tab
        assert tab.errors == []
    finally:
        context.close()


def _note(tab: Tab, message: ConsoleMessage) -> None:
    # A refused request is written to the console by the browser itself, however well the page deals with it.
    if message.type == "error" and "Failed to load resource" not in message.text:
        tab.errors.append(message.text)
