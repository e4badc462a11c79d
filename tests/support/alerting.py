"""Prometheus' own judgement of our alert rules: scrapes as they were told, put to `promtool test rules`.

It must not know what is counted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

RULES = Path(__file__).parents[2] / "deploy/prometheus/alerts.yml"
PROMTOOL = shutil.which("promtool")
HAPPENS_AT = 60
"""Minutes of quiet before what happens once."""
LOOKED_AT = range(0, 125, 5)
"""Minutes at which a healthy proxy's alerts are looked at."""

NOT_THERE = "promtool is not available: scripts/promtool brings it from Debian's package"

needs_promtool = pytest.mark.skipif(PROMTOOL is None and not os.environ.get("CI"), reason=NOT_THERE)

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Scrapes:
    """Two scrapes of one instance, a minute of its usual traffic apart, and one after what happens once, if it does."""

    first: bytes
    second: bytes
    then: bytes | None = None
    instance: str = "one:4000"
    up: float = 1
    alternates: bool = False
    """Whether they follow each other in turns, minute after minute."""

    def series(self) -> Iterable[dict[str, str]]:
        """Yield the series as promtool writes them: each goes on as it went from the first scrape to the second."""
        before, after = _samples(self.first), _samples(self.second)
        then = after if self.then is None else _samples(self.then)
        for one in before.keys() | after.keys() | then.keys():
            if self.alternates:
                yield self._written(
                    one, " ".join([_value(before.get(one)), _value(after.get(one))] * HAPPENS_AT)
                )
            else:
                yield self._written(one, _values(before.get(one), after.get(one), then.get(one)))
        yield self._written(("up", frozenset()), f"{self.up:g}x120")

    def _written(self, series: Series, values: str) -> dict[str, str]:
        name, labels = series
        told = {**dict(labels), "instance": self.instance, "job": "neuronode"}
        text = ",".join(f"{key}={json.dumps(value)}" for key, value in sorted(told.items()))
        return {"series": f"{name}{{{text}}}", "values": values}


def _samples(text: bytes) -> dict[Series, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def _value(scraped: float | None) -> str:
    return "_" if scraped is None else repr(scraped)


def _values(before: float | None, after: float | None, then: float | None) -> str:
    """Return two hours of a series: what is missing at first begins when it happens, what is missing then ends."""
    if before is None or after is None:
        return f"_x{HAPPENS_AT} {then or after or 0:g}x{HAPPENS_AT}"
    step = after - before
    if then is None:
        return f"{before!r}+{step!r}x{HAPPENS_AT} _x{HAPPENS_AT}"
    jump = before + step * (HAPPENS_AT + 1) + (then - after)
    return f"{before!r}+{step!r}x{HAPPENS_AT} {jump!r}+{step!r}x{HAPPENS_AT}"


def firing(directory: Path, *scraped: Scrapes) -> dict[int, set[str]]:
    """Return, for each minute that is looked at, the alerts that fire then: told by Prometheus itself."""
    nothing = [{"expr": FIRING, "eval_time": f"{minute}m", "exp_samples": []} for minute in LOOKED_AT]
    told = _against(nothing, directory, scraped)
    found: dict[int, set[str]] = {minute: set() for minute in LOOKED_AT}
    return found | {_minutes(at): set(_NAME.findall(got)) for _, at, got in told}


def unanswered(directory: Path, scraped: Scrapes, expressions: Iterable[str]) -> set[str]:
    """Return the expressions that find no series among what was scraped."""
    wanted = set(expressions)
    nothing = [{"expr": each, "eval_time": "30m", "exp_samples": []} for each in sorted(wanted)]
    return wanted - {json.loads(quoted) for quoted, _, _ in _against(nothing, directory, [scraped])}


def _against(
    nothing: list[dict[str, Any]], directory: Path, scraped: Iterable[Scrapes]
) -> list[tuple[str, str, str]]:
    """Return where Prometheus finds something though nothing was expected: the expression, when, and what."""
    assert PROMTOOL is not None, NOT_THERE
    series = [each for one in scraped for each in one.series()]
    document = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": nothing}],
    }
    file = directory / "rules_test.yml"
    file.write_text(json.dumps(document))  # which is YAML too
    done = subprocess.run([PROMTOOL, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    told = _DIFFERENCE.findall(done.stdout + done.stderr)
    assert done.returncode == (1 if told else 0), done.stdout + done.stderr
    return told


FIRING = 'group by (alertname) (ALERTS{alertstate="firing"})'
_DIFFERENCE = re.compile(r"expr: (.+), time: (\w+),\s+exp: nil\s+got: (.*)")
_NAME = re.compile(r'alertname="(\w+)"')


def _minutes(duration: str) -> int:
    """Return minutes as Prometheus writes them: `5m`, `1h`, `1h5m`."""
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:0s)?", duration)
    assert parts, duration
    return 60 * int(parts[1] or 0) + int(parts[2] or 0)
