"""One exchange with Redis: who else is there, add what this process counted since, read what all counted.

It must not know when it runs, what happens when it fails, or what the counts are used for.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from neuronode_router.stats import redis_keys as keys
from neuronode_router.stats.recorder import Recorder
from neuronode_router.stats.tally import Tally
from neuronode_router.stats.window import Slot, slots_until

if TYPE_CHECKING:
    from redis.asyncio import Redis

MAX_INCREMENTS = 2000
"""Per exchange: after a flush the whole window is sent again, over several exchanges."""

AT_ONCE = 200
"""Increments that are sent before other tasks have their turn (some milliseconds)."""

LATE_EXCHANGES = 5
"""For so many exchanges after its end others may still add to a slot, when all is well: 2 s."""

REREAD_EVERY = 2
"""Every so many exchanges an older slot is read again, for others may have been away: each one within 23 s."""

Increment = tuple[int, str, str, int]
"""Slot, deployment id, field, amount."""


@dataclass(slots=True)
class View:
    """What is known of one epoch of Redis. After a flush there is a new one: nothing sent, nothing read.

    So there is after a loss: a Redis that is back from a snapshot, or a replica that took over, lacks what came last.
    """

    epoch: str = ""
    unsent: set[int] = field(default_factory=set)
    """Slots that may hold counts of ours that were not sent, up to `looked_at`."""
    looked_at: int = 0
    """The running slot when we last sent; it and all later ones may have grown since."""
    sent: dict[int, dict[str, Tally]] = field(default_factory=dict)
    added: int = 0
    """How many times Redis has told us that it has added what we sent. It may not know of less later."""
    slots: dict[int, Slot] = field(default_factory=dict)
    """As read: the counts of all processes."""
    depths: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """What other processes have in flight, by instance."""


class Exchange:
    """What one process, `instance`, says to Redis and hears from it. `view` is what it has heard."""

    def __init__(self, recorder: Recorder, *, instance: str) -> None:
        self.view = View()
        self._past: set[str] = set()
        """Epochs that are over: only an old snapshot brings them back."""
        self._recorder = recorder
        self._instance = instance
        self._turn = 0
        self._late_until = 0

    async def run(self, client: Redis) -> None:
        """Exchange once. Raises what the client raises, and `InvalidResponse` where the epoch is not ours, or lacks
        what we added. That epoch was deleted, and the next exchange begins anew.
        """
        epoch, instances = await self._look(client)
        if epoch != self.view.epoch:
            self._past.add(self.view.epoch)
            self.view = View(epoch)
        await self._add_unsent(client)
        others = [name for name in instances if name != self._instance]
        await self._tell_depth(client, others)
        for number in self._slots_to_read():
            [answer] = await self._ask(client, [keys.slot_key(epoch, number)])
            self.view.slots[number] = keys.read_slot(answer)
        self._keep_window()

    async def leave(self, client: Redis) -> None:
        """Take back what is in flight here. Raises what the client raises."""
        await client.delete(keys.depth_key(self._instance))

    async def _look(self, client: Redis) -> tuple[str, list[str]]:
        from redis.exceptions import InvalidResponse

        # Apart from the increments and before them: what a frozen Redis was sent it executes when it thaws, so
        # it is only asked until it answers.
        added = keys.added_key(self.view.epoch, self._instance)
        async with client.pipeline(transaction=False) as commands:
            commands.set(keys.EPOCH, secrets.token_hex(8), nx=True, ex=keys.SLOT_TTL)
            commands.get(keys.EPOCH)
            commands.expire(keys.EPOCH, keys.SLOT_TTL)
            commands.smembers(keys.INSTANCES)
            commands.get(added)
            commands.expire(added, keys.SLOT_TTL)
            _, epoch, _, instances, known, _ = await commands.execute(raise_on_error=False)
        found = keys.read_identity(epoch)
        lost = found == self.view.epoch and keys.read_added(known) < self.view.added
        if found is None or lost or found in self._past:
            await client.delete(keys.EPOCH)
            raise InvalidResponse(
                "the epoch of the statistics was not ours, or lacked counts, and was deleted"
            )
        if isinstance(instances, Exception):
            await client.delete(keys.INSTANCES)
        return found, keys.read_instances(instances)

    async def _add_unsent(self, client: Redis) -> None:
        increments, settled = self._unsent()
        for start in range(0, len(increments), AT_ONCE):
            await self._add(client, increments[start : start + AT_ONCE])
        self.view.unsent -= settled

    async def _add(self, client: Redis, increments: Sequence[Increment]) -> None:
        from redis.exceptions import ResponseError

        # Taken as sent whatever the answer will be: sent twice it would be counted twice, and what a Redis that
        # died has lost is sent again under its new epoch.
        self._mark(increments, sign=1)
        added = keys.added_key(self.view.epoch, self._instance)
        try:
            async with client.pipeline(transaction=True) as commands:
                commands.incr(added)
                commands.expire(added, keys.SLOT_TTL)
                for number, deployment_id, name, count in increments:
                    slot = keys.slot_key(self.view.epoch, number)
                    commands.hincrby(slot, keys.field_key(name, deployment_id), count)
                for number in {increment[0] for increment in increments}:
                    commands.expire(keys.slot_key(self.view.epoch, number), keys.SLOT_TTL)
                times, *_ = await commands.execute(raise_on_error=False)
        except ResponseError:  # refused as a whole, for example for want of memory: nothing was added
            self._mark(increments, sign=-1)
            raise
        if isinstance(times, int):
            self.view.added = times

    def _unsent(self) -> tuple[list[Increment], set[int]]:
        """Return what is to be added, newest slots first, and the slots of which then nothing is left."""
        slots, newest = self._recorder.window.slots, self._recorder.window.newest
        self.view.unsent.update(number for number in slots if number >= self.view.looked_at)
        self.view.looked_at = newest
        increments: list[Increment] = []
        settled: set[int] = set()
        for number in sorted(self.view.unsent, reverse=True):
            sent = self.view.sent.get(number, {})
            for deployment_id, tally in slots.get(number, {}).items():
                more = tally - sent.get(deployment_id, Counter())
                increments += ((number, deployment_id, name, count) for name, count in more.items())
            if len(increments) > MAX_INCREMENTS:
                return increments[:MAX_INCREMENTS], settled
            settled.add(number)
        return increments, settled

    def _mark(self, increments: Sequence[Increment], *, sign: int) -> None:
        for number, deployment_id, name, count in increments:
            sent = self.view.sent.setdefault(number, {}).setdefault(deployment_id, Counter())
            sent[name] += sign * count

    async def _tell_depth(self, client: Redis, others: Sequence[str]) -> None:
        """Say what is in flight here, hear what is elsewhere, and strike out who has died."""
        own = keys.depth_key(self._instance)
        depths: dict[Any, Any] = {**self._recorder.depths, keys.ALIVE: 1}  # as the client's types want it
        async with client.pipeline(transaction=True) as commands:
            commands.delete(own)
            commands.hset(own, mapping=depths)
            commands.expire(own, keys.DEPTH_TTL)
            commands.sadd(keys.INSTANCES, self._instance)
            commands.expire(keys.INSTANCES, keys.SLOT_TTL)
            await commands.execute()
        answers = await self._ask(client, [keys.depth_key(other) for other in others])
        heard = dict(zip(others, map(keys.read_depth, answers), strict=True))
        self.view.depths = {other: depth for other, depth in heard.items() if depth is not None}
        if dead := heard.keys() - self.view.depths.keys():
            await client.srem(keys.INSTANCES, *dead)

    async def _ask(self, client: Redis, names: Sequence[str]) -> list[object]:
        """Return the hashes of these names; an error in the place of what is no hash."""
        if not names:
            return []
        async with client.pipeline(transaction=False) as commands:
            for name in names:
                commands.hgetall(name)
            return list(await commands.execute(raise_on_error=False))

    def _slots_to_read(self) -> list[int]:
        """Return the running slot, and of the others those that may have changed. Nothing that was read is final."""
        self._turn += 1
        numbers = slots_until(self._recorder.window.newest)[::-1]
        newest, *older = numbers
        before = older[0]
        if newest not in self.view.slots:
            self._late_until = self._turn + LATE_EXCHANGES
        reading = [newest]
        if self._turn < self._late_until or before not in self.view.slots:
            reading.append(before)
        unread = next((number for number in older if number not in self.view.slots), None)
        if unread is not None:
            reading.append(unread)
        elif self._turn % REREAD_EVERY == 0:
            reading.append(older[self._turn // REREAD_EVERY % len(older)])
        return list(dict.fromkeys(reading))

    def _keep_window(self) -> None:
        numbers = slots_until(self._recorder.window.newest)
        for held in (self.view.slots, self.view.sent):
            for number in [number for number in held if number not in numbers]:
                del held[number]
        self.view.unsent.intersection_update(numbers)
