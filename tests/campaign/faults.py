"""What can go wrong with three proxies, their servers, disks and clocks: each fault begins, and knows how it ends.

It must not judge. Where a file system may not be mounted, full disks are left out, and it is said.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
from redis import Redis

from tests.campaign.bad_providers import misbehave
from tests.campaign.link import Link, LinkState
from tests.support.history import Seen
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer, RedisServer, free_port
from tests.support.traffic import Driver
from tests.support.upstream import Upstream

Undo = Callable[[], Any]

DISK_MEGABYTES = 32
JUMP_SECONDS = 3600
CLOCK = Path(__file__).parent / "clock"
"""The folder whose `sitecustomize` moves the clock of a process that has it on its path."""
ROOT = CLOCK.parents[2]


@dataclass(slots=True)
class Window:
    """A time in which a proxy cannot answer."""

    since: float
    ended: bool
    """Its process is not there at all."""
    until: float = float("inf")


@dataclass(slots=True)
class Site:
    """One proxy, its links, its disk and its client."""

    proxy: Proxy
    sql: Link
    redis: Link
    driver: Driver
    clock: Path
    """The file that says how far ahead the wall clock of this proxy is."""
    disk: Path | None = None
    """A small file system of its own, with all that the proxy writes; None without."""
    earlier: str = ""
    """Where the code of an earlier release is, as long as it runs that; see `earlier`."""
    down: list[Window] = field(default_factory=list)
    """When it was meant not to answer, on the clients' clock."""
    killed: list[float] = field(default_factory=list)
    """When it was killed, on the same clock."""

    @property
    def is_earlier(self) -> bool:
        """Whether it runs an earlier release."""
        return bool(self.earlier)

    def excuses(self, seen: Seen) -> bool:
        """Return whether what failed was under way while its proxy was meant not to answer.

        A proxy that is killed or stopped cuts; it tells nobody of an error.
        """
        told = seen.status not in (0, httpx.codes.OK)
        return any(
            seen.sent_at <= window.until and seen.ended_at >= window.since and not (told and window.ended)
            for window in self.down
        )

    def lives(self, since: float, until: float) -> bool:
        """Return whether its process was there all that time, so that no receipt may go without it."""
        return not any(
            window.ended and since <= window.until and until >= window.since for window in self.down
        )

    def renew(self) -> None:
        """Have the next start be of this release."""
        path = self.proxy.environ.get("PYTHONPATH", "")
        environ = {**self.proxy.environ, "PYTHONPATH": path.replace(self.earlier, str(ROOT))}
        self.proxy.environ, self.earlier = environ, ""

    def excused(self, *, ended: bool) -> Window:
        """Open a window in which it is meant not to answer, and return it; it ends when its end is written."""
        self.down.append(Window(time.monotonic(), ended))
        return self.down[-1]


@dataclass(frozen=True, slots=True)
class Faults:
    """Every fault that this machine allows, on a site that is drawn anew each time."""

    sites: list[Site]
    postgres: PostgresServer
    redis: RedisServer
    upstream: Upstream
    rng: random.Random
    broken: list[str] = field(default_factory=list)
    """Sentences about what should not have happened."""

    def all(self) -> Mapping[str, Callable[[], Undo]]:
        """Return what can go wrong: each begins a fault and returns how it ends."""
        site = self.rng.choice(self.sites)
        found: dict[str, Callable[[], Undo]] = {
            "proxy killed": lambda: _killed(site),
            "proxy restarted": lambda: _stopped(site),
            "all restarted, one by one": lambda: _called(self._restart_all, _nothing),
            "second proxy on the files of one": lambda: _twin(site),
            "providers that do every wrong": lambda: _called(
                lambda: self.broken.extend(misbehave([each.proxy for each in self.sites], self.upstream)),
                _nothing,
            ),
            "proxy frozen": lambda: _frozen(site.proxy.processes()),
            "proxy without file handles": lambda: _without_handles(site),
            "SQL killed": lambda: _called(self.postgres.kill, self.postgres.start),
            "SQL frozen": lambda: _called(self.postgres.freeze, self.postgres.thaw),
            "SQL read-only": lambda: _called(
                lambda: self.postgres.set_read_only(True), lambda: self.postgres.set_read_only(False)
            ),
            "SQL cut off from one": lambda: _link(site.sql, LinkState.CUT),
            "SQL half-open to one": lambda: _link(site.sql, LinkState.HALF_OPEN),
            "SQL slow to one": lambda: _link(site.sql, LinkState.SLOW),
            "Redis killed": lambda: _called(self.redis.kill, self.redis.start),
            "Redis frozen": lambda: _called(self.redis.freeze, self.redis.thaw),
            "Redis flushed": lambda: _called(lambda: self.redis.command("FLUSHALL"), _nothing),
            "Redis with wrong types": lambda: _called(lambda: _confuse(self.redis), _nothing),
            "Redis cut off from one": lambda: _link(site.redis, LinkState.CUT),
            "Redis half-open to one": lambda: _link(site.redis, LinkState.HALF_OPEN),
            "clock of one ahead": lambda: _jump(site, JUMP_SECONDS),
            "clock of one behind": lambda: _jump(site, -JUMP_SECONDS),
            "provider frozen": lambda: _frozen([self.upstream.process()]),
        }
        if site.disk:
            found["disk of one full"] = lambda: _full(site)
        return found

    def upgrade(self) -> None:
        """Restart each proxy on this release while the others serve: they share a database all the time."""
        for site in self.sites:
            start = _stopped(site)
            site.renew()
            start()

    def _restart_all(self) -> None:
        for site in self.sites:
            _stopped(site)()

    def missing(self) -> list[str]:
        """Return a sentence for each kind of fault that this machine does not allow."""
        full = "full disks: this user may not mount a file system"
        return [] if self.sites[0].disk else [full]


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system at `folder`; yields whether that was allowed."""
    options = ["-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "neuronode-campaign", str(folder)]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["mount", *options], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


def clock_environ(clock: Path, code: Path | None = None) -> dict[str, str]:
    """Return the environment of a proxy whose wall clock goes by the file `clock`, with its code from elsewhere."""
    _set_ahead(clock, 0)
    return {"CAMPAIGN_CLOCK": str(clock), "PYTHONPATH": os.pathsep.join(map(str, (CLOCK, code or ROOT)))}


def _set_ahead(clock: Path, seconds: float) -> None:
    with clock.open("r+b" if clock.exists() else "wb") as file:  # in place: the proxy has it mapped
        file.write(struct.pack("d", seconds))


def _called(begin: Callable[[], object], end: Undo) -> Undo:
    begin()
    return end


def _nothing() -> None:
    """What was done stays done."""


def _link(link: Link, state: LinkState) -> Undo:
    link.be(state)
    return lambda: link.be(LinkState.OPEN)


def _down(site: Site, end: Callable[[], None]) -> Undo:
    window = site.excused(ended=True)
    end()

    def start() -> None:
        site.proxy.start()
        window.until = time.monotonic()

    return start


def _stopped(site: Site) -> Undo:
    """Stop a proxy in order; the earlier release lost then what it had not flushed, as by a SIGKILL."""
    if site.is_earlier:
        site.killed.append(time.monotonic())
    return _down(site, site.proxy.stop)


def _killed(site: Site) -> Undo:
    site.killed.append(time.monotonic())
    return _down(site, site.proxy.kill)


def _twin(site: Site) -> Undo:
    """Start another proxy on the same configuration, profiles and state directory: a start script that ran twice."""
    twin = replace(site.proxy, port=free_port())
    twin.start()
    return twin.stop


def _frozen(processes: list[psutil.Process]) -> Undo:
    for process in processes:
        process.suspend()

    def resume() -> None:
        for process in processes:
            process.resume()

    return resume


def _without_handles(site: Site) -> Undo:
    """Let no process of the proxy open anything: not a connection of a client either."""
    processes = site.proxy.processes()
    before = [process.rlimit(psutil.RLIMIT_NOFILE) for process in processes]
    window = site.excused(ended=False)
    for process, (_, hard) in zip(processes, before, strict=True):
        process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds(), hard))

    def allow() -> None:
        for process, limits in zip(processes, before, strict=True):
            process.rlimit(psutil.RLIMIT_NOFILE, limits)
        window.until = time.monotonic() + 2  # asyncio tries to accept again after a second

    return allow


def _full(site: Site) -> Undo:
    assert site.disk
    filler = site.disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65_536))
    if filler.stat().st_size == 0:
        raise OSError(errno.ENOSPC, "the disk was full before")
    return filler.unlink


def _jump(site: Site, seconds: int) -> Undo:
    _set_ahead(site.clock, seconds)
    return lambda: _set_ahead(site.clock, 0)


def _confuse(server: RedisServer) -> None:
    """Put a value of another type into every key."""
    client: Redis = Redis.from_url(server.url)
    for key in list(client.scan_iter()):
        kind = client.type(key)
        client.delete(key)
        client.rpush(key, "other") if kind == b"string" else client.set(key, "other")
    client.close()
