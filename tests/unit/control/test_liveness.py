"""A process is gone when the system says so, and not when it cannot be asked."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from neuronode_router.control.liveness import is_gone, process_mark, same_place


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits to be ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open nothing; what is open stays so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_is_gone_once_it_ended(child: subprocess.Popen[bytes]) -> None:
    """While it runs it is there; as a zombie, and after that, it serves nobody."""
    mark = process_mark(child.pid)
    assert same_place(mark)

    seen = [is_gone(child.pid, mark)]
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    seen.append(is_gone(child.pid, mark))
    child.wait(10)
    seen.append(is_gone(child.pid, mark))

    assert seen == [False, True, True]


def test_another_process_with_its_pid_is_not_it(child: subprocess.Popen[bytes]) -> None:
    """Pids come again; when they began tells them apart."""
    assert is_gone(child.pid, process_mark(os.getpid()))


def test_one_that_cannot_be_looked_at_may_be_there(child: subprocess.Popen[bytes]) -> None:
    """Without a file handle nobody can tell: a receipt must not go without a worker for that."""
    mark = process_mark(child.pid)

    with no_more_files():
        gone, seen = is_gone(child.pid, mark), process_mark(child.pid)

    assert (gone, seen) == (False, "")
