"""Starts LiteLLM's command line in a process that has LiteLLM imported already: a fork of one that did nothing else.

It must not know tests or the plugin. Importing LiteLLM takes 6 to 12 s of a core, for every process of every proxy and
each that collects tests, and is the same each time; all that follows it (configuration, plugin, start-up hooks,
workers) happens in the new process.
"""

from __future__ import annotations

import atexit
import faulthandler
import functools
import gc
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.forkserver import ForkServer
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from subprocess import TimeoutExpired
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

WORKERS = "--num_workers"
"""The option of LiteLLM's command line that makes it a supervisor of workers."""

IMPORTED = "tests.support.imported"

_CONTEXT = multiprocessing.get_context("forkserver")
_ROOT = Path(__file__).resolve().parents[2]
_address: str | None = None
_offered = False


@dataclass(frozen=True, slots=True)
class Forked:
    """A process that was started here, with those names of `subprocess.Popen` that a proxy needs."""

    process: BaseProcess

    @property
    def pid(self) -> int:
        """Its id, and that of its session."""
        assert self.process.pid is not None
        return self.process.pid

    def poll(self) -> int | None:
        """Return how it ended, or None."""
        return self.process.exitcode

    def wait(self, timeout: float) -> int:
        """Wait `timeout` seconds for its end. Raises `TimeoutExpired`."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise TimeoutExpired("litellm", timeout)
        return self.process.exitcode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.terminate()


def start(arguments: Sequence[str], *, environ: Mapping[str, str], folder: Path, log: Path) -> Forked:
    """Start `litellm` with `arguments`, in a session of its own, printing to the end of `log`."""
    return Forked(
        _fork(_run, tuple(arguments), dict(environ), folder, log, python_path=environ["PYTHONPATH"])
    )


def interpret(code: str) -> int:
    """Run `code` as `python -c` does, with the streams, folder and environment of this process; return how it ended."""
    process = _fork(_interpret, code, dict(os.environ), Path.cwd(), _Streams(), python_path=str(_ROOT))
    process.join()
    return process.exitcode or 0


def shared() -> str | None:
    """Start the fork server of all processes of a session; return its address. It ends with this process."""
    if sys.version_info >= (3, 14):  # from then on, fork servers ask for a password
        return None
    address: str = vars(_server(str(_ROOT)))["_forkserver_address"]
    return address


def use(address: str | None) -> None:
    """Let what this process starts be forks: of the server that another process has started, else of one of its own."""
    global _address, _offered
    _address, _offered = address, True


def is_offered() -> bool:
    """Return whether what this process starts are forks: those of tests are, what is measured starts as users do."""
    return _offered


class _SharedServer(ForkServer):
    def __init__(self, address: str) -> None:
        super().__init__()
        self._forkserver_address = address
        # Kept open, it would keep a server of our own alive.
        self._forkserver_alive_fd = os.open(os.devnull, os.O_RDONLY)

    def ensure_running(self) -> None:
        """Leave that to the process that has started it."""


class _Streams:
    """The standard streams of a process, which become those of the process that they are sent to."""

    def __getstate__(self) -> list[Any]:
        return [DupFd(number) for number in range(3)]

    def __setstate__(self, sent: list[Any]) -> None:
        for number, handle in enumerate(sent):
            os.dup2(handle.detach(), number)


def _fork(target: Callable[..., None], *arguments: object, python_path: str) -> BaseProcess:
    server = _server(python_path)
    process = _CONTEXT.Process(target=target, args=arguments)
    with patch.object(forkserver, "connect_to_new_process", server.connect_to_new_process):
        process.start()
    return process


@functools.cache
def _server(python_path: str) -> ForkServer:
    """Return the fork server whose imports looked at `python_path` first."""
    if _address and python_path == str(_ROOT):
        return _SharedServer(_address)
    server = ForkServer()
    server.set_forkserver_preload([IMPORTED])
    read = {"PYTHONPATH": python_path, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # no question to the internet
    with patch.dict(os.environ, read), patch.object(sys, "path", _searched(python_path)):
        server.ensure_running()
    return server


def _searched(python_path: str) -> list[str]:
    first = python_path.split(os.pathsep)
    return [*first, *(place for place in sys.path if place not in first)]


def _interpret(code: str, environ: dict[str, str], folder: Path, _streams: _Streams) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.stdin, sys.argv = open(0, closefd=False), ["-c"]  # noqa: SIM115 open to the end
    main = sys.modules["__main__"] = ModuleType("__main__")
    gc.enable()
    try:
        exec(code, vars(main))
    finally:
        atexit._run_exitfuncs()  # multiprocessing does not


def _run(arguments: tuple[str, ...], environ: dict[str, str], folder: Path, log: Path) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = _searched(environ["PYTHONPATH"])
    for name, flags, number in (
        (os.devnull, os.O_RDONLY, 0),
        (log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 1),
        (log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 2),
    ):
        os.dup2(os.open(name, flags), number)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.enable()
    _count_as_told()
    _read_yaml_quickly()
    if WORKERS in arguments and sys.version_info < (3, 14):  # from then on, fork servers ask for a password
        _fork_workers()
    sys.argv = ["litellm", *arguments]
    from litellm.proxy.proxy_cli import run_server

    run_server()


def _count_as_told() -> None:
    """Choose how prometheus_client counts, alone or with others, which it does by the environment at its import."""
    from prometheus_client import values

    values.ValueClass = values.get_value_class()


def _read_yaml_quickly() -> None:
    """LiteLLM reads its whole configuration at each sync with its database: in Python, 0.25 s of a core."""
    import yaml

    yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]


def _fork_workers() -> None:
    """Let a supervisor's workers be forks of a child that stays as this process is now.

    The supervisor itself has threads by the time it starts them, and forks of a process with threads may hang.
    """
    import uvicorn._subprocess

    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")  # a name of the kernel's choice, and no file
    listener.listen()
    alive, kept_open = os.pipe()
    server: Any = forkserver._forkserver
    server._forkserver_address, server._forkserver_alive_fd = listener.getsockname(), kept_open
    server._forkserver_pid = os.fork()
    if not server._forkserver_pid:
        os.close(kept_open)
        forkserver.main(
            listener.detach(), alive, []
        )  # ends this process when supervisor and workers have ended
    listener.close()
    os.close(alive)
    patch.object(uvicorn._subprocess, "spawn", SimpleNamespace(Process=_worker)).start()


def _worker(*, target: Callable[..., None], kwargs: Mapping[str, Any]) -> BaseProcess:
    """Return what `spawn` returns: a worker that has the environment of its supervisor, as that is now."""
    return _CONTEXT.Process(target=_in_environment, args=(dict(os.environ), target, kwargs))


def _in_environment(environ: Mapping[str, str], work: Callable[..., None], kwargs: Mapping[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(environ)
    _count_as_told()
    work(**kwargs)
