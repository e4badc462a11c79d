"""Ways to run the same configuration, by name: `bare`, `plugin`, `serve`, `pip`; settings are laid on top: `bare+gc`.

It must not know what is measured.

bare    `litellm --config`, in this environment
pip     the same without the packages that `pip install litellm[proxy]` does not bring
plugin  `litellm --config` with our start-up hook
serve   `neuronode serve` as shipped
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.place import Place
from tests.support.proxy import MASTER_KEY, Proxy

NOT_IN_PIP = ("opentelemetry.sdk", "httptools", "prisma")
_HIDER = f"""
import sys
class Hider:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in {NOT_IN_PIP!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hider)
"""
"""A `sitecustomize` that makes imports fail as they fail where the packages are not installed."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is laid on top of a set-up; each is something LiteLLM or Python documents."""

    environ: Mapping[str, str] = field(default_factory=dict)
    litellm: Mapping[str, Any] = field(default_factory=dict)
    """`litellm_settings`."""
    general: Mapping[str, Any] = field(default_factory=dict)
    arguments: Sequence[str] = ()


SETTINGS: Mapping[str, Setting] = {
    "same": Setting(),
    "gc-10k": Setting(environ={"PYTHON_GC_THRESHOLD": "10000,20,50"}),
    "gc-50k": Setting(environ={"PYTHON_GC_THRESHOLD": "50000,10,10"}),
    "no-access-log": Setting(environ={"LITELLM_LOG": "WARNING"}),
    "no-messages": Setting(litellm={"turn_off_message_logging": True}),
    "granian": Setting(arguments=["--run_granian"]),
}
"""`disable_streaming_logging` is not among them: streamed requests would not be counted any more."""


@dataclass(slots=True)
class Answering(Proxy):
    """One worker that is ready as soon as it answers, whatever it prints."""

    def _ready(self) -> bool:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise ChildProcessError(f"the proxy ended with {code}")
        try:
            return httpx.get(f"{self.url}/health/liveliness").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


@dataclass(slots=True)
class Served(Answering):
    """`neuronode serve` with one worker: a supervisor, LiteLLM, and what they start."""

    afresh: bool = True

    def _command(self) -> list[str]:
        program = str(Path(sys.executable).parent / "neuronode")
        state = str(self.place.directory / "state")
        command = [program, "serve", "--port", str(self.port), "--config", str(self.place.config)]
        return [*command, "--profiles", str(self.place.profiles), "--state-dir", state]

    def _environment(self) -> dict[str, str]:
        return Proxy._environment(self) | {"KEEPALIVE_TIMEOUT": "600"} | dict(self.environ)


def require_as_named(name: str, proxy: Proxy) -> None:
    """Insist that a running proxy is its set-up: the plugin, the packages and the settings. Raises `RuntimeError`."""
    base, settings = _parsed(name)
    with proxy.client() as client:
        code = client.get("/admin/profiles/status").status_code
    expected = httpx.codes.OK if base in ("plugin", "serve") else httpx.codes.NOT_FOUND
    if code != expected:
        raise RuntimeError(f"{name} is not what it is called: our status answers {code}, not {expected:d}.")
    (worker,) = proxy.worker_processes()
    command, environ = worker.cmdline(), worker.environ()
    for setting in settings:
        wanting = [word for word in setting.arguments if word not in command]
        wanting += [key for key, value in setting.environ.items() if environ.get(key) != value]
        if wanting:
            raise RuntimeError(f"{name} is not what it is called: it was started without {wanting[0]}.")
    if (hides := _hides(environ)) != (base == "pip"):
        found = "cannot" if hides else "can"
        raise RuntimeError(f"{name} is not what it is called: {NOT_IN_PIP[0]} {found} be imported.")


def _hides(environ: Mapping[str, str]) -> bool:
    """Return whether imports fail in an interpreter of this environment as they fail where the packages are missing."""
    tried = f"import {NOT_IN_PIP[0]}"
    done = subprocess.run([sys.executable, "-c", tried], env=environ, capture_output=True, check=False)
    return b"No module named" in done.stderr


def _parsed(name: str) -> tuple[str, Sequence[Setting]]:
    """Return a set-up's base and what is laid on it. Raises `ValueError` where that cannot be."""
    base, *laid = name.split("+")
    settings = [SETTINGS[one] for one in laid]
    if base == "serve" and any(setting.arguments for setting in settings):
        raise ValueError(f"{name}: `neuronode serve` takes none of LiteLLM's arguments.")
    return base, settings


def proxies(directory: Path, upstream: str, name: str) -> Iterator[Proxy]:
    """Yield proxies of one set-up, each with files of its own: its first start finds an empty store."""
    base, settings = _parsed(name)
    environ = {key: value for setting in settings for key, value in setting.environ.items()}
    if base == "pip":
        (directory / "pip").mkdir(exist_ok=True)
        (directory / "pip" / "sitecustomize.py").write_text(_HIDER)
        environ["PYTHONPATH"] = os.pathsep.join((str(directory / "pip"), str(Path.cwd())))
    kind = {"bare": Answering, "pip": Answering, "plugin": Answering, "serve": Served}[base]
    for number in itertools.count():
        place = Place(
            directory=directory / f"{name}-{number}",
            upstream=upstream,
            litellm={key: value for setting in settings for key, value in setting.litellm.items()},
            general={key: value for setting in settings for key, value in setting.general.items()},
        )
        yield kind(
            place,
            plugin=base == "plugin",
            master_key=MASTER_KEY,
            environ=environ,
            arguments=[word for setting in settings for word in setting.arguments],
        )
