"""What became of a campaign: every promise that was broken as a sentence, and a table of the rest.

It must not know how the run was made.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from neuronode_router.control.store import ControlStore
from neuronode_router.errors import AuditBroken
from tests.campaign.course import HEAL_SECONDS, Campaign
from tests.campaign.faults import Site
from tests.campaign.ground import FLUSH_SECONDS
from tests.campaign.soak import table
from tests.support.history import History, Switched
from tests.support.upstream import Upstream

USAGE_SECONDS = 6.0
"""How long the books must say the same to be complete."""
LOSS_SECONDS = FLUSH_SECONDS + 2
"""What was answered so long before a SIGKILL may not be in the books: the interval between two flushes, and one flush
that takes its time.
"""
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Books:
    """What usage says, and what clients know."""

    counted: int
    answered: int
    """In full."""
    unflushed: int
    """Of them those that a SIGKILL may have taken along."""
    others: int
    """Cut, failed or without an answer, each on purpose: they may be counted or not."""

    def faults(self) -> Iterator[str]:
        """Yield what was lost beyond that, and what was counted twice."""
        if self.counted < self.answered - self.unflushed:
            yield f"usage lost {self.answered - self.unflushed - self.counted} requests: {self}"
        if self.counted > self.answered + self.others:
            yield f"usage counted {self.counted - self.answered - self.others} requests twice: {self}"


async def judge(campaign: Campaign, upstream: Upstream) -> list[str]:
    """Print the table; return every promise that was broken."""
    history = campaign.history()
    audit = await campaign.sites[0].driver.audit()
    told = len(history.switches)
    _add_untold(history, audit, campaign.unknown)
    books = await _books(campaign)
    chain = await asyncio.to_thread(_chain, campaign.database)
    held = [*_forgotten_workers(campaign), *campaign.lost, *campaign.faults.broken, *books.faults(), *chain]
    held += nothing_done(campaign)
    broken = [*history.faults(audit), *held]
    provided = sum(each["requests"] for each in upstream.counts().values())
    everything = sum(len(site.driver.history.requests) for site in campaign.sites)
    meant = everything - len(history.requests)
    lines = {
        "requests": f"{everything}, of which {meant} met a proxy that was down on purpose",
        "switches": f"{told} told, {campaign.refused} refused, {len(campaign.unknown)} without an answer",
        "receipts of all workers": sum(switch.complete for switch in history.switches),
        "usage": f"{books.counted} in the books, {books.answered} answered, of which a SIGKILL may have taken "
        f"{books.unflushed}, {books.others} others; {provided} at the provider",
        "audit rows": len(audit),
    }
    _print(campaign, lines, broken)
    return broken


def _print(campaign: Campaign, lines: dict[str, object], broken: list[str]) -> None:
    for name, value in lines.items():
        print(f"{name:>34}: {value}")
    for line in table(campaign.sizes):
        print(line)
    never = [f"{name} (never its turn)" for name in campaign.chosen if name not in campaign.healed]
    for sentence in (*campaign.faults.missing(), *never):
        print(f"{'not tried':>34}: {sentence}")
    for name, times in sorted(campaign.healed.items()):
        print(f"{name:>34}: together again after {', '.join(f'{each:.1f}' for each in times)} s")
    print(f"{'promises broken':>34}: {len(broken)}")
    for sentence in broken[:20]:
        print(f"  {sentence}")


def nothing_done(campaign: Campaign) -> Iterator[str]:
    """Yield a sentence for each proxy at which nothing was held to any promise."""
    for number, site in enumerate(campaign.sites):
        seen = site.driver.history
        if not any(one.status == httpx.codes.OK and one.whole for one in seen.requests):
            yield f"nobody got a whole answer of proxy {number}"
        if not any(switch.complete for switch in seen.switches):
            yield f"nobody got a full receipt of proxy {number}"


def _forgotten_workers(campaign: Campaign) -> Iterator[str]:
    """Yield a sentence for each full receipt without a worker that was there: what it leaves stale is seldom seen."""
    for switch in (switch for site in campaign.sites for switch in site.driver.history.switches):
        there = sum(site.lives(switch.posted_at, switch.receipt_at) for site in campaign.sites)
        if switch.complete and switch.workers < there:
            yield f"the receipt of {switch.revision} is full with {switch.workers} of {there} workers"


async def _books(campaign: Campaign) -> Books:
    requests = [(site, seen) for site in campaign.sites for seen in site.driver.history.requests]
    answered = [(site, seen.answered_at) for site, seen in requests if seen.status == 200 and seen.whole]
    return Books(
        counted=await _counted(campaign),
        answered=len(answered),
        unflushed=sum(_may_be_lost(site, at) for site, at in answered),
        others=len(requests) - len(answered),
    )


def _may_be_lost(site: Site, answered_at: float) -> bool:
    return any(killed - LOSS_SECONDS <= answered_at <= killed + 1 for killed in site.killed)


async def _counted(campaign: Campaign) -> int:
    """Return how many requests that a profile decided the books have, once they say no more."""
    before, since = -1, time.monotonic()
    now = int(time.time())
    # Clocks were moved: what was counted meanwhile stands elsewhere.
    asked = f"/usage?by=profile&from={now - 7 * DAY}&to={now + DAY}"
    ends = time.monotonic() + HEAL_SECONDS
    while time.monotonic() - since < USAGE_SECONDS and time.monotonic() < ends:
        report = await campaign.sites[0].driver.call("GET", asked)
        found = sum(line["figures"]["requests"] for line in report["lines"] if line["names"]["profile"])
        if found != before:
            before, since = found, time.monotonic()
        await asyncio.sleep(1)
    return before


def _chain(database: str) -> list[str]:
    """Return how the audit log is broken."""
    store = ControlStore(database)
    try:
        store.audit.verify()
    except AuditBroken as error:
        return [error.message]
    finally:
        store.database.dispose()
    return []


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
