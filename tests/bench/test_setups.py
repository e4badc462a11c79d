"""What is measured is what users run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from benchmarks.setups import Answering, proxies, require_as_named

STARTED = """
import sys
from pathlib import Path
from benchmarks.setups import proxies
print(*(next(proxies(Path(sys.argv[1]), "", name)).afresh for name in ("bare", "pip", "plugin", "serve")))
"""


def test_outside_of_tests_every_set_up_starts_in_an_interpreter_of_its_own(tmp_path: Path) -> None:
    """A fork of tests has imported beforehand what a start and a worker's memory are measured by."""
    found = subprocess.run(
        [sys.executable, "-c", STARTED, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert found.stdout.split() == ["True"] * 4


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("bare", ["litellm", "--config"]),
        ("plugin", ["litellm", "--config"]),
        ("serve", ["neuronode", "serve"]),
    ],
)
def test_each_set_up_starts_its_own_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, begins: list[str]
) -> None:
    """With one that is not its own, it would be measured under another's name."""
    popen = Mock(side_effect=RuntimeError("not started"))
    monkeypatch.setattr(subprocess, "Popen", popen)
    proxy = next(proxies(tmp_path, "http://127.0.0.1:1", name))
    proxy.afresh = True
    proxy.place.directory.mkdir()

    with pytest.raises(RuntimeError, match="not started"):
        proxy.start()

    command = popen.call_args.args[0]
    assert [Path(command[0]).name, command[1]] == begins


@pytest.mark.parametrize(
    ("name", "code"), [("serve", 404), ("plugin+gc-10k", 404), ("bare", 200), ("bare+same", 200)]
)
def test_a_set_up_that_is_not_what_it_is_called_is_not_measured(name: str, code: int) -> None:
    """Neither the plugin where there should be none, nor none where it should be."""
    proxy = Mock(spec=Answering)
    proxy.client.return_value.__enter__ = lambda client: client
    proxy.client.return_value.__exit__ = lambda *_: None
    proxy.client.return_value.get.return_value.status_code = code

    with pytest.raises(RuntimeError, match="is not what it is called"):
        require_as_named(name, proxy)
