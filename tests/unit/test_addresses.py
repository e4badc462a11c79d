"""Addresses of Redis and of the store with options or paths that nobody can use: refused, and never quoted."""

from __future__ import annotations

import traceback

import pytest

from neuronode_router.errors import NeuronodeError, SettingsError, StoreUnavailable
from neuronode_router.redis.client import check, connect
from neuronode_router.storage.database import Database

CANARY = "hunter2canary"


def told(error: NeuronodeError) -> str:
    """Return all that an operator may come to see of an error, its causes among it."""
    return f"{error.message}{error.fix}{''.join(traceback.format_exception(error))}"


@pytest.mark.parametrize(
    "url",
    [
        f"redis://h/0?{CANARY}=1",
        f"redis://:pw?{CANARY}=x@h/0",
        f"redis://h/0?db={CANARY}",
        f"redis://h/0?protocol={CANARY}",
        f"redis://h/0?ssl_cert_reqs={CANARY}",
        f"rediss://h/0?ssl_cert_reqs={CANARY}",
        f"rediss://h/0?ssl_include_verify_flags={CANARY}",
        f"redis://h/0?health_check_interval={CANARY}",
        f"valkey://:{CANARY}@h/0",
        f"{CANARY}",
    ],
)
def test_a_redis_address_that_cannot_be_used_is_a_bad_setting(url: str) -> None:
    """At once, not with the first connection, and without a word of it."""
    with pytest.raises(SettingsError) as caught:
        connect(url, answer_seconds=1, connect_seconds=1)

    assert CANARY not in told(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h:6379/0",
        "rediss://user:p%40ss@h/1?ssl_cert_reqs=none&protocol=3",
        "unix:///run/redis.sock?db=2",
        "redis://h?client_name=neuronode&health_check_interval=5",
    ],
)
def test_what_redis_py_knows_is_taken(url: str) -> None:
    """Nothing is connected by looking."""
    check(url)


@pytest.mark.parametrize(
    "url", [f"sqlite:///x.db?{CANARY}=1", f"sqlite:///x.db?timeout={CANARY}", f"{CANARY}://h/x"]
)
def test_a_store_with_options_is_a_bad_setting(url: str) -> None:
    """SQLAlchemy would warn of it by name."""
    with pytest.raises(SettingsError) as caught:
        Database(url)

    assert CANARY not in f"{caught.value.message}{caught.value.fix}"


def test_a_file_that_cannot_be_made_is_not_quoted() -> None:
    """The store is away; its address stays with whoever set it."""
    database = Database(f"sqlite:////proc/{CANARY}/x.db")

    with pytest.raises(StoreUnavailable) as caught, database.reading():
        pass

    assert CANARY not in f"{caught.value.message}{caught.value.fix}"
