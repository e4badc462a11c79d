"""`neuronode_router.cli.serve.launch`: LiteLLM's command as ever, but for garbage and what is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from neuronode_router.cli.serve import launch

COMMAND = """\
import gc, multiprocessing, sys

def found():
    try:
        from litellm_enterprise.proxy import routes
    except ImportError:
        return "missing", "litellm_enterprise" in sys.modules
    return routes

def worker():
    print("worker", gc.isenabled(), *found(), flush=True)

def main():
    print("command", gc.isenabled(), *found(), sys.argv, flush=True)
    spawned = multiprocessing.get_context("spawn").Process(target=worker)
    spawned.start()
    spawned.join()
    return 3
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder that, on the import path, has a command of LiteLLM's name and no other."""
    (tmp_path / "stand_in.py").write_text(COMMAND)
    facts = tmp_path / "stand_in-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in\nVersion: 1\n")
    (facts / "entry_points.txt").write_text(f"[console_scripts]\n{launch.COMMAND} = stand_in:main\n")
    return tmp_path


@pytest.mark.parametrize("enterprise", [False, True])
def test_command_and_workers_run_without_the_collector(installed: Path, *, enterprise: bool) -> None:
    """Arguments and exit code are the command's; a spawned worker imports the launcher before anything else.

    An optional package is known to be missing, so that nobody looks for it again; where it is there it is found.
    """
    if enterprise:
        package = installed / launch.OPTIONAL / "proxy"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("routes = 'there', True\n")
    root = str(Path(launch.__file__).parents[3])
    done = subprocess.run(
        # Without the site packages: LiteLLM's own entry point is not seen.
        [sys.executable, "-S", "-m", launch.__name__, "--port", "1"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(installed), root))},
    )

    known = "there True" if enterprise else "missing True"
    assert done.stdout.splitlines() == [
        f"command False {known} ['litellm', '--port', '1']",
        f"worker False {known}",
    ], done.stderr
    assert done.returncode == 3
