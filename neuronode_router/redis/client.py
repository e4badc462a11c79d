"""How we speak to Redis: a client that never tries again by itself, and the errors that mean it is away.

It must not know what is said. Redis is imported on the first use: without a URL nobody pays for its memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuronode_router.errors import SettingsError

if TYPE_CHECKING:
    from redis.asyncio import Redis


def connect(url: str, *, answer_seconds: float, connect_seconds: float) -> Redis:
    """Return a client of the Redis at `url`. Nothing is connected before its first use. Raises `SettingsError`."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    check(url)
    return Redis.from_url(
        url,
        # Retries off: the default tries ten times, with pauses, and would count twice.
        retry=Retry(NoBackoff(), 0),
        socket_timeout=answer_seconds,
        socket_connect_timeout=connect_seconds,
        decode_responses=False,
    )


def check(url: str) -> None:
    """Raise `SettingsError`, without a word of the URL, where redis-py cannot make a connection of it."""
    from redis import ConnectionPool, RedisError

    try:
        # redis-py looks at most options only now; nothing is connected.
        ConnectionPool.from_url(url).make_connection()
    except (RedisError, ValueError, TypeError, AttributeError):
        raise SettingsError(
            "The Redis URL cannot be used: redis-py does not know its scheme, or one of its options.",
            fix="Use redis://, rediss:// or unix://, and options that redis-py's documentation names.",
        ) from None


def redis_errors() -> tuple[type[Exception], ...]:
    """Return what is raised while Redis is away, slow or speaks nonsense."""
    from redis.exceptions import RedisError

    # ValueError: what the parser raises for an answer that is not of its protocol.
    return (RedisError, OSError, TimeoutError, ValueError)
