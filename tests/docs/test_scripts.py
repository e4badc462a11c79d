"""The scripts: valid for a plain POSIX shell, and clear about what they cannot use."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [*sorted((ROOT / "scripts").iterdir()), ROOT / ".ci/run"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_valid_and_runs_in_sh(script: Path) -> None:
    """No bashisms that fail to parse, and the executable bit is set."""
    assert script.read_text().startswith("#!/bin/sh\n")
    assert os.access(script, os.X_OK)
    assert subprocess.run(["/bin/sh", "-n", str(script)], check=False).returncode == 0


def test_an_unsuitable_python_is_refused_in_one_line(tmp_path: Path) -> None:
    """PYTHON names something that is no Python 3.11 or newer."""
    copy = tmp_path / "scripts/install"
    copy.parent.mkdir()
    copy.write_bytes((ROOT / "scripts/install").read_bytes())
    (tmp_path / "requirements").mkdir()
    for name in ("pyproject.toml", "requirements.lock", "requirements/any.lock"):
        (tmp_path / name).touch()

    done = subprocess.run(
        ["/bin/sh", str(copy)],
        env={"PATH": os.environ["PATH"], "PYTHON": "/bin/false"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "PYTHON=/bin/false" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_ci_runs_what_is_run_at_home() -> None:
    """One list of checks, and missing servers are failures there."""
    ci = (ROOT / ".ci/run").read_text()

    assert "CI=true" in ci
    assert "scripts/check" in ci
    assert "scripts/test" in (ROOT / "scripts/check").read_text()
