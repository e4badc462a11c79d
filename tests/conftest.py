"""Fixtures for every test: real servers, started once per session and only when a test asks for one."""

from __future__ import annotations

import functools
import gc
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import execnet
import httpx
import httpx._transports.default as transports
import hypothesis
import pytest

from tests.support import preloaded
from tests.support.migrated import migrate
from tests.support.scheduling import SharedStarts, is_loud, turn_of
from tests.support.servers import PostgresServer, RedisServer, running_postgres, running_redis

# Tests share a busy machine: how long one example takes says nothing about the law. Every run
# draws other examples, but where `CI` is set: there Hypothesis draws the same ones each time.
_PATIENT = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("shared-machine", _PATIENT, max_examples=50)
hypothesis.settings.register_profile("campaign", _PATIENT, max_examples=1000)
hypothesis.settings.load_profile("shared-machine")


FORKED_PYTHON = str(Path(__file__).with_name("support") / "forked_python.py")

FORK_SERVER = "fork_server"
"""The word under which processes are told where it listens."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run what is named in this process, and everything in one more than there are cores: tests that wait leave theirs
    to others. But in no more than four: then all wait for the one that has the longest unit.
    """
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        return 0
    return min((os.cpu_count() or 1) + 1, 4)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedStarts:
    """Deal the tests to processes so that no server is started twice."""
    config.option.loadscopereorder = False  # the order is ours, see below
    return SharedStarts(config, log)


def pytest_collection() -> None:
    """Leave garbage alone while all tests are imported: what they import stays."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let the collector work from here on, and pass over what is there for good."""
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """Let proxies be forks of one process; those that share the tests share it too."""
    preloaded.use(config.workerinput[FORK_SERVER] if hasattr(config, "workerinput") else None)


def pytest_xdist_setupnodes(specs: list[execnet.XSpec]) -> None:
    """Let the processes that share the tests be forks themselves: all of them collect tests that import LiteLLM."""
    if address := preloaded.shared():
        python = shlex.join([sys.executable, FORKED_PYTHON, address.encode().hex()])
        for spec in specs:
            spec.python = python


def pytest_configure_node(node: Any) -> None:
    """Tell a process that is about to start of the fork server."""
    node.workerinput[FORK_SERVER] = preloaded.shared()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let long ones come first where several processes share the tests, and loud ones last in their folder."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: turn_of(item.nodeid))
    else:
        items.sort(key=lambda item: is_loud(item.nodeid))


@pytest.fixture(scope="session", autouse=True)
def _one_tls_context() -> Iterator[None]:
    """Let all clients share what they trust: reading every certificate authority takes 30 ms of a core each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transports, "create_ssl_context", functools.cache(httpx.create_ssl_context))
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL cluster for the session.

    Not below pytest's own directory: run by root, PostgreSQL is another user, and every new pytest session closes that
    directory to others.
    """
    with (
        tempfile.TemporaryDirectory(prefix="neuronode-") as place,
        running_postgres(Path(place) / "data") as server,
    ):
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database; the cluster answers again when the test is over."""
    yield postgres.new_database()
    postgres.thaw()


@pytest.fixture(scope="session")
def migrated_postgres(postgres: PostgresServer) -> str:
    """The URL of an empty control state in PostgreSQL, to be copied and never connected to."""
    url = postgres.new_database()
    migrate(url)
    return url


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server of this test alone (10 ms to start), so that it may be frozen, killed and flushed."""
    with running_redis(tmp_path) as server:
        yield server
