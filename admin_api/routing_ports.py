"""What the routes about automatic routing are given: how deployments stand, what is measured, what would be decided.

It must not know how any of it is found out. All of it is in memory; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from neuronode_router.access import Principal
from neuronode_router.classifier import Classification
from neuronode_router.domain import Decision
from neuronode_router.errors import Problem
from neuronode_router.routing.inventory import Inventory
from neuronode_router.routing.overload import HealthVerdict
from neuronode_router.stats.ports import Statistics


class BoardView(Protocol):
    """What is known of every deployment, and how it stands."""

    @property
    def registry(self) -> Inventory:
        """What is known beforehand, and what probes found."""
        ...

    @property
    def verdicts(self) -> Mapping[str, HealthVerdict]:
        """How each deployment stands and why, by id."""
        ...

    def problems(self) -> Sequence[Problem]:
        """Return what is wrong in the deployments' notes or with their servers."""
        ...


class AutoView(Protocol):
    """Automatic routing in this process."""

    @property
    def mode(self) -> str:
        """What is in force: "on", "shadow" or "off"."""
        ...

    def decisions(self) -> Mapping[str, Mapping[str, int]]:
        """Return how many requests were routed since the start, by `tier`, `task`, `group`, `step` and `fallback`."""
        ...

    def classify(self, turns: Sequence[Mapping[str, object]] | str, /) -> Classification:
        """Return what a conversation asks for. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """A request that is only thought of."""

    body: Mapping[str, Any]
    """As a client would send it: `messages` and the like."""
    name: str
    """What a client would send as `model`."""
    profile: str | None = None
    """Under which profile; None is the active one."""


@dataclass(frozen=True, slots=True)
class RouterView:
    """The parts that the routes under `/router` show."""

    board: BoardView
    statistics: Statistics
    auto: AutoView
    decide: Callable[[Question, Principal], Decision]
    """Tells what would be decided now, and changes nothing.

    Raises `UnknownTask`, `UnknownProfile`, `NotAllowed` or `NotReady`.
    """
