"""What is measured is what users run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import httpx
import pytest

from benchmarks.setups import SETTINGS, proxies, require_as_named

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
        ("pip", ["litellm", "--config"]),
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
    hides = str(tmp_path / "pip")
    assert (hides in popen.call_args.kwargs["env"]["PYTHONPATH"].split(os.pathsep)) == (name == "pip")


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_is_laid_on_a_set_up_reaches_its_command_or_is_refused(tmp_path: Path, setting: str) -> None:
    """`serve` hands no arguments on: with one it would be plain `serve` under another name."""
    for base in ("bare", "plugin", "serve"):
        arguments = SETTINGS[setting].arguments
        if base == "serve" and arguments:
            with pytest.raises(ValueError, match="takes none of LiteLLM's arguments"):
                next(proxies(tmp_path, "http://127.0.0.1:1", f"{base}+{setting}"))
            continue
        proxy = next(proxies(tmp_path, "http://127.0.0.1:1", f"{base}+{setting}"))
        assert set(arguments) <= set(proxy._command())
        assert SETTINGS[setting].environ.items() <= proxy._environment().items()
        assert SETTINGS[setting].litellm.items() <= proxy.place.litellm.items()


class RunningProxy:
    """A proxy as it was started: our status, its command, and its environment beside that of this process."""

    def __init__(self, status: int, command: Sequence[str] = (), **environ: str) -> None:
        self.status, self.command, self.environ = status, command, {**os.environ, **environ}

    def client(self) -> httpx.Client:
        transport = httpx.MockTransport(lambda _: httpx.Response(self.status))
        return httpx.Client(transport=transport, base_url="http://proxy.test")

    def worker_processes(self) -> list[Any]:
        return [Mock(cmdline=lambda: self.command, environ=lambda: self.environ)]


@pytest.fixture
def hiding(tmp_path: Path) -> str:
    """The PYTHONPATH of `pip`."""
    found: str = next(proxies(tmp_path, "", "pip")).environ["PYTHONPATH"]
    return found


@pytest.mark.parametrize(
    ("name", "proxy"),
    [
        ("serve", RunningProxy(404)),
        ("plugin+gc-10k", RunningProxy(404, PYTHON_GC_THRESHOLD="10000,20,50")),
        ("bare", RunningProxy(200)),
        ("bare+same", RunningProxy(200)),
        ("bare+gc-10k", RunningProxy(404)),
        ("bare+gc-10k", RunningProxy(404, PYTHON_GC_THRESHOLD="50000,10,10")),
        ("bare+granian", RunningProxy(404, ["litellm"])),
        ("pip", RunningProxy(404)),
    ],
)
def test_a_set_up_that_is_not_what_it_is_called_is_not_measured(name: str, proxy: Any) -> None:
    """With the plugin or without where it is the other, all packages where some should lack, settings that are lost."""
    with pytest.raises(RuntimeError, match="is not what it is called"):
        require_as_named(name, proxy)


def test_a_set_up_in_which_packages_are_hidden_is_pip(hiding: str) -> None:
    """And no other."""
    require_as_named("pip", cast(Any, RunningProxy(404, PYTHONPATH=hiding)))
    require_as_named("bare", cast(Any, RunningProxy(404)))
    with pytest.raises(RuntimeError, match="cannot be imported"):
        require_as_named("bare", cast(Any, RunningProxy(404, PYTHONPATH=hiding)))
