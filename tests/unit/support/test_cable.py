"""Cable: who is on it when it is cut is dropped, and nothing of it is left to whoever collects the garbage."""

from __future__ import annotations

import gc
import logging
import socket
from contextlib import ExitStack

import pytest

from tests.support.cable import Cable


def test_an_end_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Neither connections nor tasks, however soon it comes."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        with Cable(server.getsockname()[1]) as cable:
            address = ("127.0.0.1", int(cable.url.rpartition(":")[2]))
            ends = [stack.enter_context(socket.create_connection(address)) for _ in range(20)]
            ends += [stack.enter_context(server.accept()[0]) for _ in range(20)]
        gc.collect()

        assert all(_is_over(end) for end in ends)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def _is_over(end: socket.socket) -> bool:
    """Whether nothing more comes."""
    try:
        return end.recv(1) == b""
    except ConnectionError:
        return True
