"""What the tests need and this machine lacks: a skip at home, a failure in CI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NEEDING = """
from tests.browser import chromium
from tests.support.alerting import needs_promtool, unanswered

chromium.find = lambda: None


def test_a_browser():
    chromium.required()


@needs_promtool
def test_promtool(tmp_path):
    unanswered(tmp_path, None, [])
"""


@pytest.mark.parametrize(("ci", "outcome"), [({}, "2 skipped"), ({"CI": "true"}, "2 failed")])
def test_what_is_missing_is_a_skip_at_home_and_a_failure_in_ci(
    tmp_path: Path, ci: dict[str, str], outcome: str
) -> None:
    """A CI without them would be green with the page and the alerts untested."""
    (tmp_path / "test_needing.py").write_text(NEEDING)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        env={"PATH": "/nowhere", "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **ci},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome in done.stdout
    assert done.stdout.count("is not available") >= len(ci)
