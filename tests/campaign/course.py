"""The course of a campaign: clients, an operator and one fault after the other, and what was seen meanwhile.

It must not judge.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import psutil

from tests.campaign.faults import Faults, Site
from tests.campaign.soak import Size, measure
from tests.support.history import History
from tests.support.place import GROUPS, PROFILES

FAULT_SECONDS = 4.0
HEAL_SECONDS = 60.0
SWITCH_SECONDS = 0.25
LOOK_SECONDS = 0.1
SIZE_SECONDS = 5.0


@dataclass(slots=True)
class Campaign:
    """What runs, and what was seen."""

    sites: list[Site]
    faults: Faults
    rng: random.Random
    pause: float
    """Seconds between two switches."""
    database: str
    operators: list[asyncio.Lock] = field(default_factory=lambda: [asyncio.Lock()])
    """One each, held by a switch. All are held while the proxies come together: what is switched meanwhile is never the
    same anywhere.
    """
    refused: int = 0
    unknown: list[tuple[str, float]] = field(default_factory=list)
    """Switches of which nobody knows whether they were committed, and when they were sent."""
    chosen: Sequence[str] = ()
    """The faults that were to come."""
    healed: dict[str, list[float]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)

    async def operate(self, stop: asyncio.Event) -> None:
        """Switch again and again, at whichever proxy, until told to stop."""
        await asyncio.gather(*(self._operate(operator, stop) for operator in self.operators))

    async def _operate(self, operator: asyncio.Lock, stop: asyncio.Event) -> None:
        for profile in itertools.cycle(PROFILES):
            if stop.is_set():
                return
            async with operator:
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
        async with AsyncExitStack() as calm:
            for operator in self.operators:
                await calm.enter_async_context(operator)
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


async def run(
    campaign: Campaign, names: Sequence[str], *, over: Callable[[], bool], seconds: float = FAULT_SECONDS
) -> None:
    """Let one fault of these names follow the other under load, each `seconds` long, until it is `over`.

    What runs an earlier release is upgraded first, one proxy after the other.
    """
    stop, campaign.chosen = asyncio.Event(), tuple(names)
    async with AsyncExitStack() as stack:
        for site in campaign.sites:
            await stack.enter_async_context(site.driver.load(plain=1, streams=1))
        watched = [asyncio.create_task(act(stop)) for act in (campaign.operate, campaign.watch)]
        if any(site.is_earlier for site in campaign.sites):
            await asyncio.sleep(seconds)
            await asyncio.to_thread(campaign.faults.upgrade)
            await campaign.heal("upgrade of all, one by one")
        for name in _in_turn(campaign.rng, list(names)):
            if over():
                break
            undo = await asyncio.to_thread(campaign.faults.all()[name]) if name else _idle
            await asyncio.sleep(seconds)
            await asyncio.to_thread(undo)
            if name:
                await campaign.heal(name)
        stop.set()
        await asyncio.gather(*watched)
    await campaign.heal("the end")


def _idle() -> None:
    """Nothing was broken."""


def _in_turn(rng: random.Random, names: list[str]) -> Iterator[str]:
    """Yield each name once in an order of chance, again and again; without any, empty ones."""
    while True:
        rng.shuffle(names)
        yield from names or [""]
