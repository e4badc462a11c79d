"""Three proxies with one PostgreSQL and one Redis, clients and an operator, and one fault after the other.

    python -m tests.campaign [--minutes N] [--seed N]

Each proxy reaches the servers by links of its own, so that one alone can be cut off. All that clients and the operator
see goes to the history checker; what a fault is meant to break (connections to a proxy that is killed) is told apart.
The exit code is 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

from benchmarks.load import machine
from tests.campaign.link import Link, LinkState, Streams
from tests.support.history import History, Seen, Switched
from tests.support.place import GROUPS, PROFILES, Place
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer, RedisServer, running_postgres, running_redis
from tests.support.traffic import Driver, driving
from tests.support.upstream import Upstream

HOSTS = 3
FAULT_SECONDS = 4.0
HEAL_SECONDS = 60.0
SWITCH_SECONDS = 0.25
LOOK_SECONDS = 0.1
USAGE_SECONDS = 30.0
"""Usage of a worker is flushed within some seconds; SIGKILL loses what was not."""

Undo = Callable[[], Any]


@dataclass(slots=True)
class Site:
    """One proxy, its links and its client."""

    proxy: Proxy
    sql: Link
    redis: Link
    driver: Driver
    down: list[list[float]] = field(default_factory=list)
    """From when until when it was meant to be down, on the clients' clock."""

    def excuses(self, seen: Seen) -> bool:
        """Return whether a request met a proxy that was killed on purpose."""
        return any(seen.sent_at <= until and seen.answered_at >= since - 60 for since, until in self.down)


@dataclass(slots=True)
class Campaign:
    """What runs, and what was seen."""

    sites: list[Site]
    postgres: PostgresServer
    redis: RedisServer
    rng: random.Random
    refused: int = 0
    unknown: list[tuple[str, float]] = field(default_factory=list)
    """Switches whose receipt never came, and when they were sent: they may be in force."""
    healed: dict[str, list[float]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def faults(self) -> Mapping[str, Callable[[], Undo]]:
        """Return what can go wrong: each begins a fault and returns how it ends."""
        site = self.rng.choice(self.sites)
        return {
            "proxy killed": lambda: self._kill(site),
            "proxy frozen": lambda: self._freeze(site),
            "SQL frozen": lambda: _called(self.postgres.freeze, self.postgres.thaw),
            "SQL cut off from one": lambda: _link(site.sql, LinkState.CUT),
            "SQL half-open to one": lambda: _link(site.sql, LinkState.HALF_OPEN),
            "SQL slow to one": lambda: _link(site.sql, LinkState.SLOW),
            "Redis killed": lambda: _called(self.redis.kill, self.redis.start),
            "Redis frozen": lambda: _called(self.redis.freeze, self.redis.thaw),
            "Redis flushed": lambda: _called(lambda: self.redis.command("FLUSHALL"), lambda: None),
            "Redis cut off from one": lambda: _link(site.redis, LinkState.CUT),
            "Redis half-open to one": lambda: _link(site.redis, LinkState.HALF_OPEN),
        }

    def _kill(self, site: Site) -> Undo:
        window = [time.monotonic(), float("inf")]
        site.down.append(window)
        site.proxy.kill()

        def start() -> None:
            site.proxy.start()
            window[1] = time.monotonic()

        return start

    def _freeze(self, site: Site) -> Undo:
        stopped = site.proxy.processes()
        for process in stopped:
            process.suspend()

        def resume() -> None:
            for process in stopped:
                process.resume()

        return resume

    async def operate(self, stop: asyncio.Event) -> None:
        """Switch again and again, at whichever proxy, until told to stop."""
        for profile in itertools.cycle(PROFILES):
            if stop.is_set():
                return
            site, posted_at = self.rng.choice(self.sites), time.monotonic()
            try:
                async with asyncio.timeout(20):
                    await site.driver.switch(profile)
            except RuntimeError:
                self.refused += 1
            except (aiohttp.ClientError, TimeoutError, ValueError):
                self.unknown.append((profile, posted_at))
            await asyncio.sleep(SWITCH_SECONDS)

    async def heal(self, name: str) -> None:
        """Wait until all proxies serve one revision, and note how long that took."""
        began = time.monotonic()
        while time.monotonic() - began < HEAL_SECONDS:
            found = [await _status(site) for site in self.sites]
            revisions = {each["revision"] for each in found if each and each["converged"]}
            if all(found) and len(revisions) == 1 and all(each["converged"] for each in found if each):
                self.healed.setdefault(name, []).append(time.monotonic() - began)
                return
            await asyncio.sleep(LOOK_SECONDS)
        self.lost.append(f"after {name!r} the proxies did not come together within {HEAL_SECONDS:.0f} s")

    def history(self) -> History:
        """Return what all clients and the operator saw, without what was meant to break."""
        first = self.sites[0].driver.history
        merged = History(first.first_revision, first.first_profile, GROUPS)
        for site in self.sites:
            merged.requests += [
                seen
                for seen in site.driver.history.requests
                if (seen.status == 200 and seen.whole) or not site.excuses(seen)
            ]
            merged.switches += site.driver.history.switches
        merged.requests.sort(key=lambda seen: seen.sent_at)
        merged.switches.sort(key=lambda switch: switch.revision)
        return merged


def _called(begin: Callable[[], object], end: Undo) -> Undo:
    begin()
    return end


def _link(link: Link, state: LinkState) -> Undo:
    link.be(state)
    return lambda: link.be(LinkState.OPEN)


async def _status(site: Site) -> dict[str, Any] | None:
    try:
        async with asyncio.timeout(5):
            return await site.driver.call("GET", "/profiles/status")
    except (aiohttp.ClientError, RuntimeError, TimeoutError, ValueError):
        return None


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


async def run(campaign: Campaign, minutes: float) -> None:
    """Let one fault follow the other under load."""
    stop, until = asyncio.Event(), time.monotonic() + 60 * minutes
    async with AsyncExitStack() as stack:
        for site in campaign.sites:
            await stack.enter_async_context(site.driver.load(plain=1, streams=1))
        operator = asyncio.create_task(campaign.operate(stop))
        for name in _in_turn(campaign.rng, list(campaign.faults())):
            if time.monotonic() > until:
                break
            undo = await asyncio.to_thread(campaign.faults()[name])
            await asyncio.sleep(FAULT_SECONDS)
            await asyncio.to_thread(undo)
            await campaign.heal(name)
        stop.set()
        await operator
    await campaign.heal("the end")


def _in_turn(rng: random.Random, names: list[str]) -> Iterator[str]:
    while True:
        rng.shuffle(names)
        yield from names


def _add_untold(history: History, audit: list[tuple[int, str]], unknown: list[tuple[str, float]]) -> None:
    """Add the switches that were committed although nobody got a receipt; others in the audit log are faults."""
    told, left = {switch.revision for switch in history.switches}, list(unknown)
    for revision, profile in audit:
        asked = next((each for each in left if each[0] == profile), None) if revision not in told else None
        if asked is not None:
            left.remove(asked)
            history.switches.append(Switched(profile, revision, asked[1], float("inf"), complete=False))
    history.switches.sort(key=lambda switch: switch.revision)


async def _usage(campaign: Campaign) -> int:
    """Return how many requests the books have, once they say no more."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < USAGE_SECONDS:
        report = await campaign.sites[0].driver.call("GET", "/usage?by=profile")
        if report["total"]["requests"] != before:
            before, since = report["total"]["requests"], time.monotonic()
        await asyncio.sleep(1)
    return before


async def judge(campaign: Campaign, upstream: Upstream) -> bool:
    """Print the table; return whether every promise was kept."""
    history = campaign.history()
    audit = await campaign.sites[0].driver.audit()
    told = len(history.switches)
    _add_untold(history, audit, campaign.unknown)
    broken = history.faults(audit) + campaign.lost
    counted, provided = await _usage(campaign), sum(each["requests"] for each in upstream.counts().values())
    everything = [seen for site in campaign.sites for seen in site.driver.history.requests]
    meant = len(everything) - len(history.requests)
    print(f"{'requests':>34}: {len(everything)}, of which {meant} met a proxy that was killed on purpose")
    print(f"{'switches':>34}: {told} told, {campaign.refused} refused, {len(campaign.unknown)} cut")
    print(f"{'receipts of all workers':>34}: {sum(switch.complete for switch in history.switches)}")
    print(f"{'usage':>34}: {counted} in the books, {provided} at the provider")
    for name, times in sorted(campaign.healed.items()):
        print(f"{name:>34}: together again after {', '.join(f'{each:.1f}' for each in times)} s")
    print(f"{'promises broken':>34}: {len(broken)}")
    for sentence in broken[:20]:
        print(f"  {sentence}")
    return not broken


async def _hold(places: list[tuple[Proxy, Link, Link]], arguments: argparse.Namespace, servers: Any) -> bool:
    postgres, redis, upstream = servers
    async with AsyncExitStack() as stack:
        sites = [
            Site(proxy, sql, cache, await stack.enter_async_context(driving(proxy)))
            for proxy, sql, cache in places
        ]
        campaign = Campaign(sites, postgres, redis, random.Random(arguments.seed))
        await run(campaign, arguments.minutes)
        return await judge(campaign, upstream)


def main() -> None:
    """Start everything, run, judge, stop."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        (directory / "redis").mkdir()
        redis = stack.enter_context(running_redis(directory / "redis"))
        postgres = stack.enter_context(running_postgres(directory / "postgres"))
        upstream = stack.enter_context(Upstream())
        database = postgres.new_database()
        places = []
        for number in range(HOSTS):
            sql = stack.enter_context(Link(partial(_to_postgres, database)))
            cache = stack.enter_context(Link(partial(_to_redis, redis.port)))
            environ = {
                "NEURONODE_STATE_URL": _through(database, sql.port),
                "NEURONODE_REDIS_URL": f"redis://127.0.0.1:{cache.port}/0",
                "NEURONODE_WRITE_LIMIT": "100000/second",
                "NEURONODE_USAGE_FLUSH_SECONDS": "1",
            }
            place = Place(directory=directory / f"host-{number}", upstream=upstream.url)
            places.append((stack.enter_context(Proxy(place, environ=environ)), sql, cache))
        kept = asyncio.run(_hold(places, arguments, (postgres, redis, upstream)))
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
