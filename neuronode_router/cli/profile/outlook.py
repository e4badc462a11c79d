"""What is said of a profile before somebody switches to it: what it would cost, and how much of it is proven.

It must not know how either is found out, and never keeps a switch from being asked for: what is not known is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeAlias

from neuronode_router.cli.commands.plan import cache_loss, moved, per_day
from neuronode_router.cli.http import Connection
from neuronode_router.cli.terminal import Part, clean, problem
from neuronode_router.errors import NeuronodeError

Tell: TypeAlias = Callable[[Connection, str], Iterator[Part]]


def outlook(connection: Connection, profile: str) -> list[Part]:
    """Return one line on cost, with what would not fit, and one on proof. Never raises."""
    return [
        *_if_known("Cost:  ", _cost, connection, profile),
        *_if_known("Proof: ", _proof, connection, profile),
    ]


def _if_known(title: str, tell: Tell, connection: Connection, profile: str) -> list[Part]:
    try:
        return list(tell(connection, profile))
    except NeuronodeError:
        return [f"{title}not known here"]


def _cost(connection: Connection, profile: str) -> Iterator[Part]:
    forecast = connection.send("POST", "/plan", {"profile": profile}).document
    if not forecast["requests"]:
        yield "Cost:  unknown, no requests are recorded yet"
        return
    before, after = per_day(forecast["cost_before"]), per_day(forecast["cost_after"])
    counted = f"{forecast['requests']} recorded requests, {moved(forecast)} of them would move"
    yield f"Cost:  per day {before} -> {after}, from {counted}"
    yield from cache_loss(forecast)
    for finding in forecast["findings"]:
        yield clean(f"       would not fit: {finding['task']} on {finding['group']}: {finding['detail']}")


def _proof(connection: Connection, profile: str) -> Iterator[Part]:
    cells = connection.get("/proof/matrix").document["cells"]
    states = Counter(cell["state"] for cell in cells if cell["profile"] == profile)
    said = f"Proof: {states['green']} of {states.total()} tasks proven to answer"
    yield problem(f"{said}, {states['red']} FAIL") if states["red"] else said
