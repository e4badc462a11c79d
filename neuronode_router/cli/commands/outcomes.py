"""`neuronode outcomes`: what a proxy has learned of its tiers from how requests turned out, and the way back.

It must not know how outcomes are seen or used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
from rich.table import Table

from neuronode_router.cli.consent import require_consent
from neuronode_router.cli.http import Connection
from neuronode_router.cli.options import json_option, online, yes_option
from neuronode_router.cli.terminal import answer, table

NOT_COUNTED = "Outcomes are not counted here: NEURONODE_HISTORY=on and NEURONODE_OUTCOMES=on begin it."


@click.group("outcomes")
def command() -> None:
    """See what `auto` has learned of its tiers from how requests turned out, or forget it."""


@command.command("show")
@json_option
@online
def show_outcomes(connection: Connection, *, as_json: bool) -> None:
    """Show, by kind of request and tier, how often the tier sufficed, and what that changes."""
    document = connection.get("/router/outcomes").document
    answer(document, lambda: [_view(document), *_judged(document["judge"])], as_json=as_json)


@command.command("report")
@json_option
@online
def report(connection: Connection, *, as_json: bool) -> None:
    """Show what learning changed: requests that went elsewhere, money and failures, with 95 % intervals."""
    document = connection.get("/router/outcomes/report").document
    answer(document, lambda: [_report(document)], as_json=as_json)


@command.command("forget")
@yes_option
@online
def forget(connection: Connection, *, yes: bool) -> None:
    """Forget all of it: the text of a request alone decides its tier again."""
    if not yes:
        require_consent("Forget every outcome, for all workers?")
    gone = connection.send("DELETE", "/router/outcomes").document["forgotten"]
    click.echo(f"Forgotten: {gone} outcomes. The text alone decides again.")


def _view(document: Mapping[str, Any]) -> Table | str:
    if not document["counted"]:
        return NOT_COUNTED
    if not document["kinds"]:
        return "Nothing was seen yet: the text of a request alone decides its tier."
    names = ("profile", "kind", "tier", ">good", ">of", ">expected", "is chosen")
    return table(names, map(_row, document["kinds"]))


def _judged(judge: Mapping[str, Any] | None) -> Iterator[str]:
    if judge is not None:
        yield (
            f"Judge {judge['group']}, today: {judge['enough']} light answers would have done, {judge['short']} would "
            f"not, {judge['failed']} unclear; {judge['cost_usd']:.4f} of {judge['budget_usd']:g} USD."
        )


def _report(document: Mapping[str, Any]) -> Table | str:
    if not document["counted"]:
        return NOT_COUNTED
    if not document["diverted"]:
        return "Nothing changed yet: every request went where its text alone would have sent it."
    names = ("profile", "why", "from", "to", ">requests", ">saved USD", ">more failures")
    return table(names, map(_diverted, document["diverted"]))


def _diverted(line: Mapping[str, Any]) -> tuple[object, ...]:
    saved, failures = _estimate(line["saved_usd"], 4), _estimate(line["failures"], 1)
    return (
        line["profile"], line["step"], line["instead"], line["tier"], line["requests"], saved, failures
    )  # fmt: skip


def _estimate(found: Mapping[str, Any] | None, places: int) -> str | None:
    """Return `value (low to high)`, and of how many requests; None where nothing is known."""
    if found is None:
        return None
    value, low, high = (f"{found[name]:.{places}f}" for name in ("value", "low", "high"))
    return f"{value} ({low} to {high}) of {found['requests']}"


def _row(kind: Mapping[str, Any]) -> tuple[object, ...]:
    total = kind["good"] + kind["bad"]
    effect = "more often" if kind["shift"] > 0 else "less often" if kind["shift"] < 0 else None
    return (
        kind["profile"], kind["label"], kind["tier"], round(kind["good"]), round(total),
        f"{kind['share']:.0%}", effect,
    )  # fmt: skip
