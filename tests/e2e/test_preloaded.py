"""What the processes that share the tests are forks of: an interpreter like a new one, with LiteLLM imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FORKED_PYTHON
from tests.support import preloaded

CODE = """
import atexit, os, sys
atexit.register(print, "over")
print(sys.argv, os.getcwd(), os.environ["TOLD"], "litellm" in sys.modules, sys.stdin.read())
sys.exit(3)
"""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="from then on, fork servers ask for a password")
def test_a_forked_interpreter_is_like_a_new_one(tmp_path: Path) -> None:
    """Arguments, folder, environment and streams are those of who asked; it tells how it ended, and ends in order."""
    address = preloaded.shared()
    assert address is not None

    done = subprocess.run(
        [sys.executable, FORKED_PYTHON, address.encode().hex(), "-u", "-c", CODE],
        input="heard",
        cwd=tmp_path,
        env={**os.environ, "TOLD": "so"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines() == [f"['-c'] {tmp_path} so True heard", "over"], done.stderr
    assert done.returncode == 3
