"""What profiles want of each Ollama: which weights, loaded how, and which are nobody's.

It asks no server. What a deployment is comes from LiteLLM's model list; where it may be asked, from `residency`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from neuronode_router.domain.profiles import Profile
from neuronode_router.health.ollama import Defaults, OllamaHost, read_places
from neuronode_router.routing.inventory import NOTE
from neuronode_router.routing.residency import is_within, required

GIB = 2**30
VRAM = "vram_gib"
"""Key of a deployment's note: the memory of its server for weights."""


Weights: TypeAlias = tuple[OllamaHost, str]
"""A server and a tag."""

_NOTHING = re.compile(r"[-+]?(?=0)(?:0+(?:\.0*)?(?:[nuµm]s|[smh]))*(?:0+(?:\.0*)?)?")
"""How a `keep_alive` of no time at all is written: numbers that have a unit each, but for the last."""


@dataclass(frozen=True, slots=True)
class WarmTarget:
    """Weights on a server, as a deployment has them loaded."""

    host: OllamaHost
    tag: str
    options: tuple[tuple[str, object], ...] = ()
    keep_alive: str | float | None = None
    embeds: bool = False

    @property
    def key(self) -> Weights:
        """Which weights these are: a server has them loaded once, whoever asks."""
        return self.host, self.tag

    @property
    def num_ctx(self) -> object:
        """The window that is asked for; None where the server decides."""
        return dict(self.options).get("num_ctx")

    @property
    def stays(self) -> bool:
        """Whether it is in memory after it was loaded: some deployments have it go after each answer."""
        return _NOTHING.fullmatch(str(self.keep_alive).strip()) is None


@dataclass(frozen=True, slots=True)
class _Member:
    """One deployment of a group."""

    target: WarmTarget | None
    """None where no Ollama answers."""
    location: str | None


@dataclass(frozen=True, slots=True)
class ServerNeeds:
    """What is wanted of one server, by tag."""

    wanted: tuple[WarmTarget, ...] = ()
    """What the profiles need that begin to answer, in their order."""
    before: frozenset[str] = frozenset()
    """What answers now."""
    after: frozenset[str] = frozenset()
    """What will answer then, and what may stay for other reasons."""
    ours: frozenset[str] = frozenset()
    """What may be let go when nobody needs it: only profiles name it."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The deployments of a proxy, as far as warmth is concerned."""

    members: Mapping[str, tuple[_Member, ...]] = field(default_factory=dict)
    """By model group."""
    bounds: Mapping[OllamaHost, int] = field(default_factory=dict)
    """Bytes of memory for weights, of the servers of which somebody said it."""

    def targets(self, profile: Profile) -> tuple[WarmTarget, ...]:
        """Return what a profile has loaded where its data may go, in its own order and once each."""
        wanted = required(profile.residency)
        found: dict[Weights, WarmTarget] = {}
        for use in profile.uses():
            for member in self.members.get(use.group, ()):
                if member.target is not None and is_within(member.location, wanted):
                    found.setdefault(member.target.key, member.target)
        return tuple(found.values())

    def of_groups(self, groups: Iterable[str]) -> tuple[WarmTarget, ...]:
        """Return what answers these groups."""
        members = (member for group in groups for member in self.members.get(group, ()))
        return tuple(member.target for member in members if member.target is not None)

    def depends_on(self, group: str, cold: Container[Weights]) -> bool:
        """Return whether nothing else answers a group than what stayed cold."""
        targets = [member.target for member in self.members.get(group, ())]
        return bool(targets) and all(target is not None and target.key in cold for target in targets)


def read_fleet(
    entries: Iterable[Mapping[str, Any]],
    defaults: Defaults,
    place_of: Callable[[Mapping[str, Any]], str | None],
    *,
    vram_gib: float | None,
) -> Fleet:
    """Read LiteLLM's model list. `vram_gib` is the memory of a server of which no deployment says it. Never raises."""
    listed = list(entries)
    places = read_places(listed, defaults)
    members: dict[str, list[_Member]] = {}
    bounds: dict[OllamaHost, int] = {}
    for entry in listed:
        about = entry.get("model_info")
        about = about if isinstance(about, Mapping) else {}
        group, name = str(entry.get("model_name")), str(about.get("id"))
        place = places.get(name)
        if place is None:
            members.setdefault(group, []).append(_Member(None, None))
            continue
        embeds = about.get("mode") == "embedding"
        target = WarmTarget(place.host, place.tag, place.runner, place.keep_alive, embeds)
        members.setdefault(group, []).append(_Member(target, place_of(entry)))
        gib = _gib(about.get(NOTE)) or vram_gib
        if gib is not None:
            bounds[place.host] = min(int(gib * GIB), bounds.get(place.host, int(gib * GIB)))
    return Fleet({group: tuple(found) for group, found in members.items()}, bounds)


def _gib(note: object) -> float | None:
    said = note.get(VRAM) if isinstance(note, Mapping) else None
    good = isinstance(said, int | float) and not isinstance(said, bool) and 0 < said < 1e6
    return float(said) if good and said is not None else None
