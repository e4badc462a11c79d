"""`neuronode profile plan`: what the recorded requests would have cost under another profile.

It must not know how it is reckoned. No language model is asked, and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from neuronode_router.cli.commands.usage import dollars, milliseconds
from neuronode_router.cli.consent import model_lines
from neuronode_router.cli.http import Connection, stated
from neuronode_router.cli.moment import Moment, asked_period, since_option, until_option
from neuronode_router.cli.names import profile_names
from neuronode_router.cli.options import json_option, online
from neuronode_router.cli.terminal import Part, answer, clean, facts, moment, table

Document = Mapping[str, Any]


@click.command("plan")
@click.argument("name", shell_complete=profile_names)
@since_option
@until_option
@json_option
@online
def plan(connection: Connection, name: str, *, as_json: bool, **period: Moment | None) -> None:
    """Forecast cost and latency under a profile.

    The requests of the last 7 days, or of the period that is named, are replayed through it. Nothing is changed and no
    language model is asked.
    """
    asked = stated({"profile": name, **asked_period(period, connection.now)})
    forecast = connection.send("POST", "/plan", asked).document
    answer(forecast, lambda: _parts(forecast), as_json=as_json)


def _parts(forecast: Document) -> list[Part]:
    length = f"{forecast['days']:.1f} days" if forecast["days"] >= 1 else f"{forecast['days'] * 24:.1f} hours"
    span = f"{moment(forecast['from'])} to {moment(forecast['to'])}, {length}"
    return [
        facts(
            [
                ("profile", forecast["profile"]),
                (
                    "recorded",
                    f"{span}, {forecast['requests']} requests, {moved(forecast)} of them would move",
                ),
                (
                    "cost per day",
                    f"{per_day(forecast['cost_before'])} -> {per_day(forecast['cost_after'])}",
                ),
                ("in all", f"{_amount(forecast['cost_before'])} -> {_range(forecast['cost_after'])}"),
            ]
        ),
        "",
        table(
            ("task", "before", "after", ">requests", ">cost", ">cost then", "known by", ">p50", ">p50 then"),
            map(_row, forecast["moves"]),
        ),
        *cache_loss(forecast),
        *model_lines(forecast),
        *(["", "What would not fit:"] if forecast["findings"] else []),
        *(clean(f"  {f['task']} on {f['group']}: {f['detail']}") for f in forecast["findings"]),
        "",
        *(clean(f"* {sentence}") for sentence in forecast["basis"]),
    ]


def moved(forecast: Document) -> int:
    """Return how many of the recorded requests would go to another group."""
    return sum(move["requests"] for move in forecast["moves"] if move["before"] != move["after"])


def cache_loss(forecast: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a move loses of what providers have cached; nothing where that is nothing, or a proxy is older."""
    caches = forecast.get("caches") or {}
    if caches.get("cached_tokens"):
        usd = caches["usd_per_day"]
        worth = "" if usd is None else f", worth {dollars(usd)} a day"
        yield f"Cache: {caches['share']:.0%} of the moving prompts' tokens come from providers' caches{worth}"


def _row(move: Document) -> tuple[object, ...]:
    return (
        move["task"] or "-",
        move["before"],
        move["after"],
        move["requests"],
        _amount(move["cost_before"]),
        _amount(move["cost_after"]),
        move["basis"],
        _median(move["latency_before"]),
        _median(move["latency_after"]),
    )


def _amount(amount: Document, of: str = "usd") -> str:
    if not amount["priced"]:
        return "unpriced" if amount["unpriced"] else "-"
    more = f" + {amount['unpriced']} unpriced" if amount["unpriced"] else ""
    return dollars(amount[of]) + more


def _range(amount: Document) -> str:
    if not amount["priced"] or dollars(amount["low"]) == dollars(amount["high"]):
        return _amount(amount)
    return f"{_amount(amount)} ({dollars(amount['low'])} to {dollars(amount['high'])})"


def per_day(amount: Document) -> str:
    """Return what an amount is in a day, and of how many recorded requests it is unknown."""
    return _amount(amount, "usd_per_day")


def _median(latency: Document | None) -> str:
    return "unknown" if latency is None else milliseconds(latency["p50_ms"])
