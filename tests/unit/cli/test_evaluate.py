"""`neuronode evaluate`: requests of any wire in, a table of ways out, and nothing of their texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Terminal

HARD = "Beweise, dass es unendlich viele Primzahlen der Form 4k+3 gibt, und begründe jeden Schritt."
ROWS = (
    {"messages": [{"role": "user", "content": HARD}], "ok_tiers": ["complex", "medium"]},
    {"input": "Is this review positive or negative? 'Great!'", "tier": "fast"},
    {"contents": [{"role": "user", "parts": [{"text": "Fasse den Vertrag in drei Sätzen zusammen."}]}]},
    {"text": "Hallo!", "right": {"fast": 1, "medium": 1, "complex": 1}},
    {"messages": [{"role": "assistant", "content": "nobody asked"}]},
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)) + "\n")
    return path


def test_every_wire_is_read_and_every_way_shown(neuronode: Terminal, log: Path) -> None:
    """Chat, responses, Gemini and plain texts are classified; what has no text is left out and counted."""
    shown, document = (
        neuronode("evaluate", "--log", str(log)),
        neuronode("evaluate", "--log", str(log), "--json"),
    )

    told = json.loads(document.out)
    assert (shown.code, shown.err) == (0, "")
    assert "4 requests with text of 5 rows" in " ".join(shown.out.split())
    assert (told["requests"], told["with_tiers"], told["with_answers"]) == (4, 2, 1)
    ways = {way["name"]: way for way in told["ways"]}
    assert ways["auto"]["too_light"]["value"] == 0
    assert ways["always fast"]["hard_sent_light"]["value"] == 1
    assert "Primzahlen" not in shown.out + document.out


def test_costs_are_the_operators(neuronode: Terminal, log: Path) -> None:
    """The price of each tier is given by who pays it."""
    found = neuronode("evaluate", "--log", str(log), "--json", "--costs", "fast=2, medium=2, complex=7")

    ways = {way["name"]: way["cost"]["value"] for way in json.loads(found.out)["ways"]}
    assert (ways["always fast"], ways["always complex"]) == (2, 7)


@pytest.mark.parametrize(
    "costs",
    [
        "fast=1",
        "fast=1,medium=x,complex=2",
        "light=1",
        *(f"fast={bad},medium=1,complex=2" for bad in ("nan", "inf", "-1")),
    ],
)
def test_costs_that_are_none_are_refused(neuronode: Terminal, log: Path, costs: str) -> None:
    """Wrong usage is exit code 2."""
    assert neuronode("evaluate", "--log", str(log), "--costs", costs).code == 2


@pytest.mark.parametrize("option", ["--too-cheap", "--too-dear"])
@pytest.mark.parametrize("price", ["-1", "0", "nan", "inf", "101"])
def test_prices_that_no_profile_may_have_are_refused(
    neuronode: Terminal, log: Path, option: str, price: str
) -> None:
    """What is evaluated can be configured."""
    assert neuronode("evaluate", "--log", str(log), option, price).code == 2


@pytest.mark.parametrize("line", ["no json", "[]", '{"text": "a", "tier": "heavy"}', ""])
def test_a_log_that_is_none_is_refused_with_the_way_out(
    neuronode: Terminal, tmp_path: Path, line: str
) -> None:
    """The row is named, and what a row looks like."""
    path = tmp_path / "log.jsonl"
    path.write_text(line)

    found = neuronode("evaluate", "--log", str(path))

    assert found.code == 1
    assert "ok_tiers" in found.err
