"""`neuronode_router.cli.serve.launch`: LiteLLM's command runs as ever, but for the garbage collector."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from neuronode_router.cli.serve import launch

COMMAND = """\
import gc, multiprocessing, sys

def worker():
    print("worker", gc.isenabled(), flush=True)

def main():
    print("command", gc.isenabled(), sys.argv, flush=True)
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


def test_command_and_workers_run_without_the_collector(installed: Path) -> None:
    """Arguments and exit code are the command's; a spawned worker imports the launcher before anything else."""
    root = str(Path(launch.__file__).parents[3])
    done = subprocess.run(
        # Without the site packages: LiteLLM's own entry point is not seen.
        [sys.executable, "-S", "-m", launch.__name__, "--port", "1"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(installed), root))},
    )

    assert done.stdout.splitlines() == [
        "command False ['litellm', '--port', '1']",
        "worker False",
    ], done.stderr
    assert done.returncode == 3
