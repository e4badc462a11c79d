"""Starts LiteLLM's command line in a process that has LiteLLM imported already: a fork of one that did nothing else.

It must not know tests or the plugin. Importing LiteLLM takes 6 to 12 s of a core, for every process of every proxy, and
is the same each time; all that follows it (configuration, plugin, start-up hooks) happens in the new process. For one
worker only: a supervisor has threads by the time it starts its workers, and forks of it were seen to hang.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import TimeoutExpired

READ_BY_IMPORTS = frozenset({"PYTHONPATH", "PROMETHEUS_MULTIPROC_DIR"})
"""Variables that mean nothing to a process that has imported everything."""

IMPORTED = (
    "litellm.proxy.proxy_server",
    "litellm.proxy.proxy_cli",
    "sqlalchemy",
    "alembic",
)


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
    process = _server().Process(target=_run, args=(tuple(arguments), dict(environ), folder, log))
    process.start()
    return Forked(process)


def _server() -> ForkServerContext:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # otherwise its import asks the internet
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    return context


def _run(arguments: tuple[str, ...], environ: dict[str, str], folder: Path, log: Path) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    for name, flags, number in (
        (os.devnull, os.O_RDONLY, 0),
        (log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 1),
        (log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 2),
    ):
        os.dup2(os.open(name, flags), number)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["litellm", *arguments]
    from litellm.proxy.proxy_cli import run_server

    run_server()
