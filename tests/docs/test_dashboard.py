"""docs/dashboard.md names every screen of the page, and its pictures are there and small."""

from __future__ import annotations

import re
from pathlib import Path

from admin_api.ui.routes import STATIC

SESSIONS = Path(__file__).parents[2] / "neuronode_router/litellm_plugin/auth/ui_sessions.py"
DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "dashboard.md").read_text()
MAX_PICTURE_BYTES = 60_000


def test_every_screen_has_a_row() -> None:
    """The table and the navigation agree."""
    texts = (STATIC / "js/texts_en.js").read_text()
    (table,) = re.findall(r"const SCREENS = \{(.*?)\};", (STATIC / "js/app.js").read_text(), re.DOTALL)
    screens = [re.findall(rf'"nav.{name}": "(\w+)"', texts)[0] for name in re.findall(r"(\w+):", table)]

    assert re.findall(r"^\| (\w+) \| ", PAGE, re.MULTILINE)[1:] == screens


def test_every_picture_is_there_and_small() -> None:
    """Pictures are for looking at, not for downloading."""
    shown = set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGE))
    kept = {f"screenshots/{file.name}" for file in (DOCS / "screenshots").iterdir()}

    assert shown <= kept
    assert all(file.stat().st_size < MAX_PICTURE_BYTES for file in (DOCS / "screenshots").iterdir())


def test_the_name_that_litellm_must_know_is_the_right_one() -> None:
    """A claim is made out to a name: another one in the example would never be accepted."""
    # Read, not imported: the module needs LiteLLM, which takes seconds.
    (name,) = re.findall(r'^PLUGIN_NAME = "(.+)"$', SESSIONS.read_text(), re.MULTILINE)

    assert f"name: {name}\n" in PAGE
