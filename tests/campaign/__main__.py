"""Three proxies with one PostgreSQL and one Redis, clients and an operator, and one fault after the other.

    python -m tests.campaign [--minutes N] [--switches N] [--seed N] [--pause SECONDS] [--no-faults]

It ends after so many minutes, or so many switches if they are named. Each proxy reaches the servers by links of its
own, so that one alone can be cut off. All that clients and the operator see goes to the history checker; what a fault
is meant to break (connections to a proxy that is killed) is told apart. Memory, handles, threads and the database's
size are measured all along; `--no-faults` makes it a soak.
The exit code is 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import psutil

from benchmarks.load import machine
from tests.campaign.faults import Faults, Site, clock_environ, small_disk
from tests.campaign.link import Link, Streams
from tests.campaign.soak import Size, measure, table
from tests.support.history import History, Switched
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
SIZE_SECONDS = 5.0
USAGE_SECONDS = 30.0
"""Usage of a worker is flushed within some seconds; SIGKILL loses what was not."""


@dataclass(slots=True)
class Campaign:
    """What runs, and what was seen."""

    sites: list[Site]
    faults: Faults
    rng: random.Random
    pause: float
    """Seconds between two switches."""
    database: str
    calm: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by a switch, and while the proxies come together: what is switched meanwhile is never the same anywhere."""
    refused: int = 0
    unknown: list[tuple[str, float]] = field(default_factory=list)
    """Switches of which nobody knows whether they were committed, and when they were sent."""
    healed: dict[str, list[float]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)

    async def operate(self, stop: asyncio.Event) -> None:
        """Switch again and again, at whichever proxy, until told to stop."""
        for profile in itertools.cycle(PROFILES):
            if stop.is_set():
                return
            async with self.calm:
                await self._switch(profile)
            await asyncio.sleep(self.pause)

    async def _switch(self, profile: str) -> None:
        site, posted_at = self.rng.choice(self.sites), time.monotonic()
        try:
            async with asyncio.timeout(20):
                await site.driver.switch(profile)
        except RuntimeError as error:
            if "commit_unknown" in str(error):
                self.unknown.append((profile, posted_at))
            else:
                self.refused += 1
        except (aiohttp.ClientError, TimeoutError, ValueError):
            self.unknown.append((profile, posted_at))

    async def watch(self, stop: asyncio.Event) -> None:
        """Measure again and again what must stay flat, until told to stop."""
        while not stop.is_set():
            with contextlib.suppress(AssertionError, psutil.Error):  # a proxy is down
                processes = [site.proxy.processes() for site in self.sites]
                size = await asyncio.to_thread(measure, processes, self.database)
                self.sizes += [size] if size else []
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SIZE_SECONDS)

    def told(self) -> int:
        """Return how many switches got a receipt."""
        return sum(len(site.driver.history.switches) for site in self.sites)

    async def heal(self, name: str) -> None:
        """Wait until all proxies serve one revision, and note how long that took."""
        began = time.monotonic()
        async with self.calm:
            while time.monotonic() - began < HEAL_SECONDS:
                found = await asyncio.gather(*map(_status, self.sites))
                converged = [each["revision"] for each in found if each and each["converged"]]
                if len(converged) == len(self.sites) and len(set(converged)) == 1:
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


async def run(campaign: Campaign, arguments: argparse.Namespace) -> None:
    """Let one fault follow the other under load."""
    stop, until = asyncio.Event(), time.monotonic() + 60 * arguments.minutes

    def over() -> bool:
        if arguments.switches:
            return campaign.told() >= arguments.switches
        return time.monotonic() > until

    async with AsyncExitStack() as stack:
        for site in campaign.sites:
            await stack.enter_async_context(site.driver.load(plain=1, streams=1))
        watched = [asyncio.create_task(act(stop)) for act in (campaign.operate, campaign.watch)]
        names = list(campaign.faults.all()) if arguments.faults else []
        for name in _in_turn(campaign.rng, names):
            if over():
                break
            if name:
                undo = await asyncio.to_thread(campaign.faults.all()[name])
                await asyncio.sleep(FAULT_SECONDS)
                await asyncio.to_thread(undo)
                await campaign.heal(name)
            else:
                await asyncio.sleep(FAULT_SECONDS)
        stop.set()
        await asyncio.gather(*watched)
    await campaign.heal("the end")


def _in_turn(rng: random.Random, names: list[str]) -> Iterator[str]:
    """Yield each name once in an order of chance, again and again; without any, empty ones."""
    while True:
        rng.shuffle(names)
        yield from names or [""]


def _add_untold(history: History, audit: list[tuple[int, str]], unknown: list[tuple[str, float]]) -> None:
    """Add the switches that were committed although nobody got a receipt; others in the audit log are faults.

    Which of several for one profile it was is not known: it was sent when the first of them was, or later.
    """
    told, left = {switch.revision for switch in history.switches}, Counter(name for name, _ in unknown)
    for revision, profile in audit:
        if revision not in told and left[profile] > 0:
            left[profile] -= 1
            first = min(at for name, at in unknown if name == profile)
            history.switches.append(Switched(profile, revision, first, float("inf"), complete=False))
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
    print(
        f"{'switches':>34}: {told} told, {campaign.refused} refused, {len(campaign.unknown)} without an answer"
    )
    print(f"{'receipts of all workers':>34}: {sum(switch.complete for switch in history.switches)}")
    print(f"{'usage':>34}: {counted} in the books, {provided} at the provider")
    for line in table(campaign.sizes):
        print(line)
    for sentence in campaign.faults.missing():
        print(f"{'not tried':>34}: {sentence}")
    for name, times in sorted(campaign.healed.items()):
        print(f"{name:>34}: together again after {', '.join(f'{each:.1f}' for each in times)} s")
    print(f"{'promises broken':>34}: {len(broken)}")
    for sentence in broken[:20]:
        print(f"  {sentence}")
    return not broken


@dataclass(frozen=True, slots=True)
class Ground:
    """The servers, the directory, and what the machine allows."""

    directory: Path
    postgres: PostgresServer
    redis: RedisServer
    upstream: Upstream
    database: str


def _site(number: int, ground: Ground, stack: ExitStack) -> tuple[Proxy, Callable[[Driver], Site]]:
    """Start a proxy; return it, and what makes a site of it once it has a client."""
    folder = ground.directory / f"host-{number}"
    mounted = stack.enter_context(small_disk(folder))
    clock = ground.directory / f"clock-{number}"
    sql = stack.enter_context(Link(partial(_to_postgres, ground.database)))
    cache = stack.enter_context(Link(partial(_to_redis, ground.redis.port)))
    environ = {
        "NEURONODE_STATE_URL": _through(ground.database, sql.port),
        "NEURONODE_REDIS_URL": f"redis://127.0.0.1:{cache.port}/0",
        "NEURONODE_WRITE_LIMIT": "100000/second",
        "NEURONODE_USAGE_FLUSH_SECONDS": "1",
        **clock_environ(clock),
    }
    place = Place(directory=folder, upstream=ground.upstream.url)
    proxy = stack.enter_context(Proxy(place, environ=environ, afresh=True))
    return proxy, partial(Site, proxy, sql, cache, clock=clock, disk=folder if mounted else None)


async def _hold(
    ground: Ground, places: list[tuple[Proxy, Callable[[Driver], Site]]], arguments: argparse.Namespace
) -> bool:
    async with AsyncExitStack() as stack:
        sites = [make(await stack.enter_async_context(driving(proxy))) for proxy, make in places]
        rng = random.Random(arguments.seed)
        faults = Faults(sites, ground.postgres, ground.redis, ground.upstream, rng)
        campaign = Campaign(sites, faults, rng, arguments.pause, ground.database)
        await run(campaign, arguments)
        return await judge(campaign, ground.upstream)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--switches", type=int, default=0, help="end after so many instead")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=SWITCH_SECONDS, help="seconds between two switches")
    parser.add_argument("--no-faults", dest="faults", action="store_false")
    return parser.parse_args()


def main() -> None:
    """Start everything, run, judge, stop."""
    arguments = _arguments()
    print(machine())
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        (directory / "redis").mkdir()
        redis = stack.enter_context(running_redis(directory / "redis"))
        postgres = stack.enter_context(running_postgres(directory / "postgres"))
        upstream = stack.enter_context(Upstream())
        ground = Ground(directory, postgres, redis, upstream, postgres.new_database())
        places = [_site(number, ground, stack) for number in range(HOSTS)]
        kept = asyncio.run(_hold(ground, places, arguments))
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
