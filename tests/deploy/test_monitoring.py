"""Alert rules and dashboard ask for metrics that exist, by labels they have, in expressions that parse."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tests.deploy.told import seen_everything, told
from tests.support.alerting import NOT_THERE, PROMTOOL, Scrapes, needs_promtool, unanswered
from tests.support.metering import metering
from tests.support.usage import finished

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
BOARD = json.loads((DEPLOY / "grafana/neuronode.json").read_text())
FROM_PROMETHEUS = {"instance", "job", "le", "__name__"}
NOT_OURS = {"up"}


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression with where it stands, as Prometheus would get it."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in BOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], plain(target["expr"])
    for note in BOARD["annotations"]["list"]:
        yield note["name"], plain(note["expr"])


def plain(expression: str) -> str:
    """Put values in the place of Grafana's variables."""
    for name, given in (("$__rate_interval", "1m"), ("$__range", "6h"), ("$profile", ".*")):
        expression = expression.replace(name, given)
    return expression


EXPRESSIONS = list(expressions())


ENDING = re.compile(r"_(bucket|sum|count)$")


@pytest.mark.parametrize(("place", "expression"), EXPRESSIONS, ids=[place for place, _ in EXPRESSIONS])
async def test_every_expression_parses_and_asks_for_what_is_told(place: str, expression: str) -> None:
    """A misspelt metric or label is an alert that never fires and a panel that stays empty."""
    promql_parser.parse(expression)
    known = {name: labels for name, (_, labels) in (await told()).items()}
    ours = {ENDING.sub("", name) for name in re.findall(r"\bneuronode_\w+", expression)}
    names = ours | NOT_OURS & set(re.findall(r"\w+", expression))
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)) | {
        label
        for listed in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
        for label in re.split(r",\s*", listed)
        if label
    }

    assert names, place
    assert names - NOT_OURS <= known.keys()
    assert labels <= FROM_PROMETHEUS.union(*(known.get(name, set()) for name in names))


async def test_every_metric_is_shown_somewhere() -> None:
    """What nobody looks at need not be counted."""
    shown = {name for _, expression in EXPRESSIONS for name in re.findall(r"\bneuronode_\w+", expression)}

    assert (await told()).keys() == {ENDING.sub("", name) for name in shown}


def test_alerts_say_what_is_wrong_and_how_bad() -> None:
    """Whoever is woken reads the summary first; a label in it that the expression drops would be empty."""
    for rule in RULES:
        summary = rule["annotations"]["summary"]
        kept = {
            label
            for listed in re.findall(r"by \(([^)]*)\)", rule["expr"])
            for label in re.split(r",\s*", listed)
        }
        used = set(re.findall(r"\$labels\.(\w+)", summary))

        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert used <= kept or not kept, rule["alert"]


def test_the_dashboard_is_one_that_grafana_loads() -> None:
    """Unique ids, nothing overlaps or leaves the grid, and every panel follows the chosen source."""
    panels: list[dict[str, Any]] = BOARD["panels"]
    places = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24
    assert "id" not in BOARD, "Grafana refuses a file with the id of another instance"
    assert {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"} == {"${source}"}


@pytest.mark.parametrize("file", ["prometheus.yml", "kubernetes.yml"])
def test_the_job_that_alerts_ask_for_is_the_one_that_scrapes(file: str) -> None:
    """Under another name, or without a key, every alert would be silent."""
    jobs = yaml.safe_load((DEPLOY / "prometheus" / file).read_text())["scrape_configs"]
    ours = [job for job in jobs if job["metrics_path"] == "/admin/metrics"]
    asked = {name for rule in RULES for name in re.findall(r'job="([^"]+)"', rule["expr"])}

    assert {job["job_name"] for job in ours} == asked
    assert all("credentials_file" in job["authorization"] for job in jobs)


@needs_promtool
@pytest.mark.parametrize(
    ("what", "file"), [("rules", "alerts.yml"), ("config", "prometheus.yml"), ("config", "kubernetes.yml")]
)
def test_prometheus_own_tool_accepts_the_files(what: str, file: str, tmp_path: Path) -> None:
    """The files as Prometheus would load them; the secret's file is not there, so only the syntax of it.

    Debian's tool was built without Kubernetes: what finds the pods is left out.
    """
    assert PROMTOOL is not None, NOT_THERE
    options = ["--syntax-only"] if what == "config" else []

    document = yaml.safe_load((DEPLOY / "prometheus" / file).read_text())
    for job in document.get("scrape_configs", ()):
        job.pop("kubernetes_sd_configs", None)
    copy = tmp_path / file
    copy.write_text(yaml.safe_dump(document))

    done = subprocess.run([PROMTOOL, "check", what, *options, str(copy)], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
async def test_every_panel_finds_what_it_shows(tmp_path: Path) -> None:
    """Evaluated by Prometheus, on a worker that has seen everything once: an empty panel looks like good news."""
    text = await (await seen_everything()).exposition()
    alerts = {rule["alert"] for rule in RULES}
    # Some leave out zeros, of which there are many here.
    shown = [expression.removesuffix(" > 0") for place, expression in EXPRESSIONS if place not in alerts]

    assert unanswered(tmp_path, Scrapes(text, text), shown) == set()


@needs_promtool
async def test_prometheus_own_tool_finds_no_fault_in_the_metrics() -> None:
    """Names, types, help texts and units as Prometheus wants them."""
    assert PROMTOOL is not None, NOT_THERE
    meter = metering()
    meter.ended(finished(first_token_ms=1.0))

    done = subprocess.run([PROMTOOL, "check", "metrics"], input=await meter.exposition(), capture_output=True)

    assert done.returncode == 0, done.stdout + done.stderr
