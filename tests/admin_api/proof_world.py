"""The proof matrix of the worker that tests look at: real but for who answers, over the worker's own store.

It must not know HTTP.
"""

from __future__ import annotations

import asyncio
import json

from neuronode_router.control.store import ControlStore
from neuronode_router.proof.probes import PROBES, TOOL, Probe, ProbeAnswer, ProbeReason, Shape
from neuronode_router.proof.runner import ProbeFailed
from neuronode_router.proof.service import ProofService
from neuronode_router.settings import Settings
from tests.support.clock import Clock

GOOD = {
    Shape.TEXT: ProbeAnswer("Hello."),
    Shape.LABEL: ProbeAnswer("positive"),
    Shape.JSON: ProbeAnswer('{"city": "Berlin"}'),
    Shape.TOOL_CALL: ProbeAnswer("", ((TOOL, json.dumps({"city": "Berlin"})),)),
}


class FakeAsker:
    """Answers well, for `price` each, unless told otherwise."""

    def __init__(self) -> None:
        self.failing: dict[str, ProbeReason] = {}
        self.unloaded: set[str] = set()
        self.asked: list[str] = []
        self.price: float | None = 0.001
        self.open = asyncio.Event()
        self.open.set()
        self.at_once = self.most_at_once = 0

    def address(self, group: str, *, wake: bool) -> str | None:
        """Return the group."""
        return group if wake or group not in self.unloaded else None

    async def ask(self, name: str, probe: Probe, *, seconds: float) -> ProbeAnswer:
        """Answer once the gate is open."""
        self.asked.append(name)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)  # others may begin meanwhile
            await self.open.wait()
        finally:
            self.at_once -= 1
        if name in self.failing:
            raise ProbeFailed(self.failing[name])
        (shape,) = (shape for shape, known in PROBES.items() if known is probe)
        return ProbeAnswer(GOOD[shape].text, GOOD[shape].tool_calls, self.price)


class Proving:
    """The room, and what a test turns: who answers, and the clock."""

    def __init__(self, store: ControlStore, gate: str = "off", **settings: str) -> None:
        self.asker = FakeAsker()
        self.clock = Clock()
        environ = {"NEURONODE_PROOF_GATE": gate} | {
            f"NEURONODE_{name.upper()}": value for name, value in settings.items()
        }
        self.room = ProofService(
            settings=Settings.load(environ),
            database=store.database,
            asker=self.asker,
            profiles=lambda: (),
            clock=self.clock,
        )
