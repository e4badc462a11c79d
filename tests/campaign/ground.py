"""Where a campaign takes place: servers of its own, proxies that reach them by links, and a folder for all of it.

It must not know what goes wrong there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.campaign import bad_providers
from tests.campaign.course import Campaign
from tests.campaign.earlier import before_newest_migration
from tests.campaign.faults import Faults, Site, clock_environ, small_disk
from tests.campaign.link import Link, Streams
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer, RedisServer, running_postgres, running_redis
from tests.support.traffic import Driver, driving
from tests.support.upstream import Upstream

FLUSH_SECONDS = 1.0
"""How often a worker carries its usage to SQL: so much a SIGKILL loses."""

Made = tuple[Proxy, Callable[[Driver], Site]]
"""A proxy, and what makes a site of it once it has a client."""


@dataclass(frozen=True, slots=True)
class Ground:
    """The servers, the directory, and what is to be run there."""

    directory: Path
    postgres: PostgresServer
    redis: RedisServer
    upstream: Upstream
    database: str
    afresh: bool = True
    """Start proxies as users do: only then their clocks and their code can be others."""
    earlier: Path | None = None
    """Where the code is that the proxies begin with."""


@contextmanager
def running_ground(directory: Path, *, afresh: bool, upgrade: bool) -> Iterator[Ground]:
    """Start the servers, and stop them at the end."""
    (directory / "redis").mkdir()
    with (
        running_redis(directory / "redis") as redis,
        running_postgres(directory / "postgres") as postgres,
        Upstream() as upstream,
    ):
        earlier = before_newest_migration(directory / "earlier") if upgrade else None
        yield Ground(directory, postgres, redis, upstream, postgres.new_database(), afresh, earlier)


@contextmanager
def running_proxies(ground: Ground, hosts: int) -> Iterator[list[Made]]:
    """Start so many proxies, each with links and a folder of its own."""
    with ExitStack() as stack:
        yield [_proxy(number, ground, stack) for number in range(hosts)]


@asynccontextmanager
async def entered(
    ground: Ground, made: Sequence[Made], *, seed: int, pause: float, operators: int
) -> AsyncIterator[Campaign]:
    """Yield a campaign that is about to begin. `pause` is seconds between two switches of one operator."""
    async with AsyncExitStack() as stack:
        sites = [make(await stack.enter_async_context(driving(proxy))) for proxy, make in made]
        rng = random.Random(seed)
        faults = Faults(sites, ground.postgres, ground.redis, ground.upstream, rng)
        locks = [asyncio.Lock() for _ in range(operators)]
        yield Campaign(sites, faults, rng, pause, ground.database, locks)


def _proxy(number: int, ground: Ground, stack: ExitStack) -> Made:
    folder = ground.directory / f"host-{number}"
    mounted = stack.enter_context(small_disk(folder))
    clock = ground.directory / f"clock-{number}"
    sql = stack.enter_context(Link(partial(_to_postgres, ground.database)))
    cache = stack.enter_context(Link(partial(_to_redis, ground.redis.port)))
    environ = {
        "NEURONODE_STATE_URL": _through(ground.database, sql.port),
        "NEURONODE_REDIS_URL": f"redis://127.0.0.1:{cache.port}/0",
        "NEURONODE_WRITE_LIMIT": "100000/second",
        "NEURONODE_USAGE_FLUSH_SECONDS": f"{FLUSH_SECONDS:g}",
        **(clock_environ(clock, ground.earlier) if ground.afresh else {}),
    }
    place = Place(
        directory=folder,
        upstream=ground.upstream.url,
        deployments=bad_providers.deployments(ground.upstream.url),
    )
    proxy = stack.enter_context(Proxy(place, environ=environ, afresh=ground.afresh))
    disk = folder if mounted else None
    earlier = str(ground.earlier or "")
    return proxy, partial(Site, proxy, sql, cache, clock=clock, disk=disk, earlier=earlier)


async def _to_postgres(url: str) -> Streams:
    parts = urlsplit(url)
    folder = parse_qs(parts.query).get("host", [""])[0]
    if folder:
        return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{parts.port or 5432}")
    return await asyncio.open_connection(parts.hostname, parts.port)


async def _to_redis(port: int) -> Streams:
    return await asyncio.open_connection("127.0.0.1", port)


def _through(url: str, port: int) -> str:
    """Return the URL of a database by way of a link."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.username or 'postgres'}@127.0.0.1:{port}{parts.path}"
