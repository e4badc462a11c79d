"""One exchange with Redis: who else is there, add what this process counted since, read what all counted.

It must not know when it runs, what happens when it fails, or what the counts are used for.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from neuronode_router.stats import redis_keys as keys
from neuronode_router.stats.recorder import Recorder
from neuronode_router.stats.tally import Tally, difference
from neuronode_router.stats.window import Slot, slots_until

if TYPE_CHECKING:
    from redis.asyncio import Redis

MAX_INCREMENTS = 2000
"""Per exchange: after a flush the whole window is sent again, and that must not hold up requests."""

Increment = tuple[int, str, str, int]
"""Slot, deployment id, field, amount."""


@dataclass(slots=True)
class View:
    """What is known of one epoch of Redis. After a flush there is a new one: nothing sent, nothing read."""

    epoch: str = ""
    unsent: set[int] = field(default_factory=set)
    """Slots that may hold counts of ours that were not sent, up to `looked_at`."""
    looked_at: int = 0
    """The running slot when we last sent; it and all later ones may have grown since."""
    sent: dict[int, dict[str, Tally]] = field(default_factory=dict)
    slots: dict[int, Slot] = field(default_factory=dict)
    """As read: the counts of all processes."""
    depths: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """What other processes have in flight, by instance."""


class Exchange:
    """What one process, `instance`, says to Redis and hears from it. `view` is what it has heard."""

    def __init__(self, recorder: Recorder, *, instance: str) -> None:
        self.view = View()
        self._recorder = recorder
        self._instance = instance
        self._turn = 0

    async def run(self, client: Redis) -> None:
        """Exchange once. Raises what the client raises, and `InvalidResponse` where the epoch is not ours.

        That epoch was deleted, and the next exchange begins anew.
        """
        epoch, instances = await self._look(client)
        if epoch != self.view.epoch:
            self.view = View(epoch)
        others = [name for name in instances if name != self._instance]
        await self._add_and_read(client, others)
        dead = [name for name in others if name not in self.view.depths]
        if dead:
            await client.srem(keys.INSTANCES, *dead)

    async def leave(self, client: Redis) -> None:
        """Take back what is in flight here. Raises what the client raises."""
        await client.delete(keys.depth_key(self._instance))

    async def _look(self, client: Redis) -> tuple[str, list[str]]:
        from redis.exceptions import InvalidResponse

        # Apart from the increments and before them: what a frozen Redis was sent it executes when it thaws, so
        # it is only asked until it answers.
        async with client.pipeline(transaction=False) as commands:
            commands.set(keys.EPOCH, secrets.token_hex(8), nx=True, ex=keys.SLOT_TTL)
            commands.get(keys.EPOCH)
            commands.expire(keys.EPOCH, keys.SLOT_TTL)
            commands.smembers(keys.INSTANCES)
            _, epoch, _, instances = await commands.execute(raise_on_error=False)
        found = keys.read_identity(epoch)
        if found is None:
            await client.delete(keys.EPOCH)
            raise InvalidResponse("the epoch of the statistics was not ours and was deleted")
        if isinstance(instances, Exception):
            await client.delete(keys.INSTANCES)
        return found, keys.read_instances(instances)

    async def _add_and_read(self, client: Redis, others: list[str]) -> None:
        newest = self._recorder.window.newest
        numbers = self._slots_to_read(newest)
        increments = self._take_unsent(newest)
        async with client.pipeline(transaction=True) as commands:
            _add(commands, self.view.epoch, increments)
            self._tell_depth(commands)
            for number in numbers:
                commands.hgetall(keys.slot_key(self.view.epoch, number))
            for other in others:
                commands.hgetall(keys.depth_key(other))
            answers = await self._execute(commands, increments)
        heard = answers[-len(numbers) - len(others) :]
        for number, answer in zip(numbers, heard, strict=False):
            self.view.slots[number] = keys.read_slot(answer)
        self.view.depths = {
            other: depth
            for other, answer in zip(others, heard[len(numbers) :], strict=True)
            if (depth := keys.read_depth(answer)) is not None
        }
        self._keep_window(newest)

    async def _execute(self, commands: Any, increments: Iterable[Increment]) -> list[object]:
        from redis.exceptions import ResponseError

        try:
            return list(await commands.execute(raise_on_error=False))
        except ResponseError:  # refused as a whole, for example for want of memory: nothing was added
            self._mark(increments, sign=-1)
            raise

    def _take_unsent(self, newest: int) -> list[Increment]:
        """Return what is to be added, newest slots first, and take it as sent whatever the answer will be.

        Sent twice it would be counted twice; and what a Redis that died has lost is sent again under its new epoch.
        """
        increments: list[Increment] = []
        slots = self._recorder.window.slots
        self.view.unsent.update(number for number in slots if number >= self.view.looked_at)
        self.view.looked_at = newest
        for number in sorted(self.view.unsent, reverse=True):
            sent = self.view.sent.get(number, {})
            for deployment_id, tally in slots.get(number, {}).items():
                more = difference(tally, sent.get(deployment_id, {}))
                increments += ((number, deployment_id, name, count) for name, count in more.items())
            if len(increments) >= MAX_INCREMENTS:
                del increments[MAX_INCREMENTS:]
                break
            self.view.unsent.discard(number)
        self._mark(increments, sign=1)
        return increments

    def _mark(self, increments: Iterable[Increment], *, sign: int) -> None:
        for number, deployment_id, name, count in increments:
            sent = self.view.sent.setdefault(number, {}).setdefault(deployment_id, {})
            sent[name] = sent.get(name, 0) + sign * count
            if sign < 0:
                self.view.unsent.add(number)

    def _tell_depth(self, commands: Any) -> None:
        own = keys.depth_key(self._instance)
        commands.sadd(keys.INSTANCES, self._instance)
        commands.expire(keys.INSTANCES, keys.SLOT_TTL)
        commands.delete(own)
        commands.hset(own, mapping={keys.ALIVE: 1, **self._recorder.depths})
        commands.expire(own, keys.DEPTH_TTL)

    def _slots_to_read(self, newest: int) -> list[int]:
        """Return the slots that count most, the running one and the one before, and one of the others in turn.

        Others are late by an interval, or by as long as Redis was away: so nothing that was read is final.
        """
        self._turn += 1
        older = slots_until(newest)[:-2]
        return [newest, newest - 1, older[-1 - self._turn % len(older)]]

    def _keep_window(self, newest: int) -> None:
        numbers = slots_until(newest)
        for held in (self.view.slots, self.view.sent):
            for number in [number for number in held if number not in numbers]:
                del held[number]
        self.view.unsent.intersection_update(numbers)


def _add(commands: Any, epoch: str, increments: Iterable[Increment]) -> None:
    for number, deployment_id, name, count in increments:
        commands.hincrby(keys.slot_key(epoch, number), keys.field_key(name, deployment_id), count)
    for number in {increment[0] for increment in increments}:
        commands.expire(keys.slot_key(epoch, number), keys.SLOT_TTL)
