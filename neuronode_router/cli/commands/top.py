"""`neuronode top`: what goes through the proxy now, as a table that is drawn again until somebody leaves.

It must not know how anything is counted: the figures are those of the usage report's last minutes.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from neuronode_router.cli.commands.usage import dollars, fallbacks_of, milliseconds, share
from neuronode_router.cli.http import Connection, Refused, Unreachable
from neuronode_router.cli.options import json_option, online
from neuronode_router.cli.terminal import Part, answer, clean, facts, problem, table, terminal

REFRESH_SECONDS = 2.0
LEAVE = frozenset(b"qQ\x1b")
ROWS = {"task": "task", "group": "served_group", "profile": "profile"}
"""What a row can be -> the grouping of the usage report."""
FIGURES = (">requests", ">per second", ">p50", ">p95", ">errors")

Document = Mapping[str, Any]


@click.command("top")
@click.option(
    "--by", type=click.Choice(list(ROWS)), default="task", show_default=True, help="What a row stands for."
)
@click.option(
    "--minutes", type=click.IntRange(1, 60), default=5, show_default=True, help="How far back the figures go."
)
@click.option("--once", is_flag=True, help="Print the table once: the default where there is no terminal.")
@json_option
@online
def command(connection: Connection, *, by: str, minutes: int, once: bool, as_json: bool) -> None:
    """Show what goes through the proxy now: requests, latency, errors and cost. Leave with q."""

    def look() -> Document:
        return _look(connection, by, minutes)

    if once or as_json or not sys.stdout.isatty():
        found = look()
        answer(found, lambda: _parts(found), as_json=as_json)
    else:
        _watch(look)


def _look(connection: Connection, by: str, minutes: int) -> Document:
    status = connection.get("/profiles/status").document
    now = connection.now()
    asked = {"by": ROWS[by], "from": now - 60 * minutes, "to": now}
    report = connection.get("/usage", **asked).document
    seconds = max(now - report["from"], 1.0)  # the report begins with a whole minute
    lines = [
        {"name": line["names"][ROWS[by]] or None, **_rates(line["figures"], seconds)}
        for line in report["lines"]
    ]
    return {
        "at": now,
        "seconds": seconds,
        "profile": status["active_profile"],
        "revision": status["revision"],
        "by": by,
        "lines": sorted((line for line in lines if line["requests"]), key=lambda line: -line["requests"]),
        "total": _rates(report["total"], seconds),
    }


def _rates(figures: Document, seconds: float) -> dict[str, Any]:
    """Return the figures of a span as what happens in a second or an hour of it."""
    cost = figures["cost_usd"]
    kept = ("requests", "latency_p50_ms", "latency_p95_ms", "error_rate", "fallback_rate", "unpriced")
    return {
        **{name: figures[name] for name in kept},
        "requests_per_second": figures["requests"] / seconds,
        "cost_usd_per_hour": None if cost is None else cost * 3600 / seconds,
    }


def _watch(look: Callable[[], Document]) -> None:
    from rich.console import Group
    from rich.live import Live

    shown, since = look(), ""
    # On a screen of its own, as `top` does: whoever leaves finds the terminal as it was.
    with _keys() as left, Live(console=terminal(sys.stdout), auto_refresh=False, screen=True) as live:
        while True:
            live.update(Group(*_parts(shown, since)), refresh=True)
            if left(REFRESH_SECONDS):
                return
            try:
                shown, since = look(), ""
            except (Unreachable, Refused) as error:
                if not error.passing:
                    raise
                since = f"{error.message} These are the figures of {_clock(shown)}."


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Yield what waits for a while and says whether somebody wants to leave; Ctrl-C leaves too."""
    import termios
    import tty

    keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
    before = None if keyboard is None else termios.tcgetattr(keyboard)

    def pressed(seconds: float) -> bool:
        readable, _, _ = select.select([] if keyboard is None else [keyboard], [], [], seconds)
        return bool(readable) and not LEAVE.isdisjoint(os.read(readable[0], 64))

    try:
        if keyboard is not None:
            tty.setcbreak(keyboard)
        with contextlib.suppress(KeyboardInterrupt):
            yield pressed
    finally:
        if keyboard is not None and before is not None:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _parts(found: Document, lost: str = "") -> list[Part]:
    minutes = found["seconds"] / 60
    rows = [_row(clean(line["name"]), line) for line in found["lines"]]
    rows.append(_row("total", found["total"]))
    return [
        facts(
            [
                ("profile", f"{found['profile']}, revision {found['revision']}"),
                ("figures", f"of the {minutes:.1f} minutes until {_clock(found)}, from a whole minute on"),
            ]
        ),
        *([problem(lost)] if lost else []),
        "",
        table((found["by"], *FIGURES, fallbacks_of((ROWS[found["by"]],)), ">cost/h"), rows),
    ]


def _row(name: str, line: Document) -> tuple[object, ...]:
    cost = line["cost_usd_per_hour"]
    return (
        name,
        line["requests"],
        f"{line['requests_per_second']:.2f}",
        milliseconds(line["latency_p50_ms"]),
        milliseconds(line["latency_p95_ms"]),
        share(line["error_rate"]),
        share(line["fallback_rate"]),
        "unpriced"
        if cost is None and line["unpriced"]
        else dollars(cost if cost is None else round(cost, 6)),
    )


def _clock(found: Document) -> str:
    return time.strftime("%H:%M:%S", time.localtime(found["at"]))
