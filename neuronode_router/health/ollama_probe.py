"""Asks every Ollama of the model list, in the background, what it has and what is loaded: /api/tags, ps and show.

It must not ask for an answer, nor anything that would load weights, and it shows no address and no key.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping, Set
from typing import Any

import httpx

from neuronode_router.background import Failures
from neuronode_router.health.ollama import (
    NotAnOllama,
    OllamaHost,
    OllamaLimits,
    Place,
    Seen,
    found,
    read_digests,
    read_limits,
    read_loaded,
)
from neuronode_router.health.ollama_wire import Away, ask
from neuronode_router.routing.inventory import ProbedFacts

_logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0
CHECK_SECONDS = 1.0
"""After how long a first failure is looked into."""
LONGEST_SECONDS = 60.0
"""The longest pause, while a host stays away."""
LOST_AFTER = 2
"""Failures in a row that make a host's deployments unavailable: a single lost answer does not."""


class HostProbe:
    """One Ollama, as it was when it was last asked."""

    def __init__(self, host: OllamaHost, client: httpx.AsyncClient) -> None:
        self._host = host
        self._client = client
        self._seen: Seen | None = None
        self._shown: dict[tuple[str, str], OllamaLimits] = {}
        self._silent: set[tuple[str, str]] = set()
        """What it lists and cannot show."""
        self.tags: Collection[str] = ()
        """The names whose windows are asked for."""
        self.failures = 0
        """Attempts in a row that found nobody."""
        self.foreign = False
        """Whether something answers that is no Ollama."""

    async def ask(self) -> None:
        """Ask once, one request after the other. Never raises for anything that a host does."""
        try:
            self._seen, self.foreign = await self._look(), False
        except (Away, httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            self.failures += 1
        except ValueError:
            # Someone is there, so the deployments may well work: nothing is said about them.
            self._seen, self.foreign, self.failures = None, True, 0
        else:
            self.failures = 0

    def found(self, place: Place) -> ProbedFacts | None:
        """Return what is known of a deployment; None where nothing is."""
        if self.failures >= LOST_AFTER:
            return ProbedFacts(available=False)
        return None if self._seen is None else found(place, self._seen)

    async def _look(self) -> Seen:
        digests = read_digests(await self._get("/api/tags"))
        loaded: Mapping[str, int | None] | None = None
        with contextlib.suppress(NotAnOllama):
            loaded = read_loaded(await self._get("/api/ps"))
        # What a name stands for changes with its digest only: nothing is asked twice.
        wanted = {(tag, digests[tag]) for tag in self.tags if tag in digests}
        self._shown = {key: limits for key, limits in self._shown.items() if key in wanted}
        await self._show(wanted)
        return Seen(digests, loaded, {tag: limits for (tag, _), limits in self._shown.items()})

    async def _show(self, wanted: Set[tuple[str, str]]) -> None:
        """Ask for what is not known yet. A model that cannot be looked at says nothing of the host, nor of others: it
        comes last the next time, and where it keeps us waiting the others wait until then.
        """
        self._silent &= wanted
        for key in sorted(wanted - self._shown.keys(), key=lambda key: (key in self._silent, key)):
            try:
                self._shown[key] = read_limits(await self._get("/api/show", model=key[0]))
            except NotAnOllama:
                continue
            except (Away, ValueError, httpx.HTTPError, TimeoutError) as error:
                self._note_silent(key)
                if isinstance(error, httpx.HTTPError | TimeoutError):
                    return
            else:
                self._silent.discard(key)

    def _note_silent(self, key: tuple[str, str]) -> None:
        if key not in self._silent:
            self._silent.add(key)
            _logger.warning("An Ollama lists the model %s, and fails to say what it is: is it whole?", key[0])

    async def _get(self, path: str, **asked: str) -> Any:
        return await ask(self._client, self._host, path, asked or None)


class OllamaProbes:
    """All of them: each host is asked on its own, and never twice at the same time.

    `client` opens the HTTP client when there is somebody to ask, and `stop` closes it.
    """

    def __init__(
        self,
        client: Callable[[], httpx.AsyncClient],
        *,
        random: Callable[[], float],
        failures: Failures | None = None,
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        self._open = client
        self._client: httpx.AsyncClient | None = None
        self._random = random
        self._failures = failures or Failures()
        self._interval = interval
        self._places: Mapping[str, Place] = {}
        self._probes: dict[OllamaHost, tuple[HostProbe, asyncio.Task[None]]] = {}

    def follow(self, places: Mapping[str, Place]) -> None:
        """Ask for these deployments, by id, from now on, and for no others. Call it on the event loop."""
        self._places = places
        wanted = {place.host for place in places.values()}
        for host in self._probes.keys() - wanted:
            self._probes.pop(host)[1].cancel()
        for host in wanted - self._probes.keys():
            self._client = self._client or self._open()
            probe = HostProbe(host, self._client)
            self._probes[host] = (probe, asyncio.create_task(self._watch(probe), name="neuronode-ollama"))
        for host, (probe, _) in self._probes.items():
            probe.tags = {place.tag for place in places.values() if place.host == host}

    def found(self) -> Mapping[str, ProbedFacts]:
        """Return what is known of each deployment, by id; those of which nothing is known are absent."""
        known = {name: self._probes[place.host][0].found(place) for name, place in self._places.items()}
        return {name: what for name, what in known.items() if what is not None}

    def foreign(self) -> frozenset[str]:
        """Return the ids of the deployments at whose address something else than an Ollama answers."""
        return frozenset(name for name, place in self._places.items() if self._probes[place.host][0].foreign)

    async def stop(self) -> None:
        """Ask no more."""
        tasks = [task for _, task in self._probes.values()]
        self._places, self._probes = {}, {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _watch(self, probe: HostProbe) -> None:
        while True:
            with self._failures.survived("asking an Ollama what it has"):
                await probe.ask()
            await asyncio.sleep(pause(probe.failures, self._interval) * (0.9 + 0.2 * self._random()))


def pause(failures: int, interval: float) -> float:
    """Return the seconds until the next question: few after a first failure, then ever more. Never raises."""
    if failures == 1:
        return min(CHECK_SECONDS, interval)
    return min(LONGEST_SECONDS, interval * 2.0 ** min(10, max(0, failures - 2)))
