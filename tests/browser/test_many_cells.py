"""The matrix at its limits, 64 profiles of 64 tasks: only what changed is drawn again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.browser.tabs import Tab
from tests.browser.test_switch import HOLD_RUNS

MANY = 64

WATCH = """() => {
  window.touched = [];
  const written = { subtree: true, childList: true, attributeFilter: ["class", "data-column", "data-state"] };
  new MutationObserver((records) => touched.push(...records.map(({ target }) => target)))
    .observe(document.querySelector(".matrix .table"), written);
}"""
"""Note whatever of the table is written, or laid out as another kind of table, from now on."""

CELLS = """() => [...new Set(touched.map((element) => element.closest("td")))]
  .map((cell) => cell?.querySelector("code").textContent ?? "what is no cell")"""


def group(profile: int, task: int) -> str:
    return f"group_{profile}_{task}"


@pytest.fixture
def full(tab: Tab) -> Tab:
    """The screen Matrix of a proxy with as many profiles and tasks as there may be."""

    def profiles(route: Route) -> None:
        answer = route.fetch()
        first = answer.json()["profiles"][0]
        many = [
            {
                **first,
                "name": f"p{profile}",
                "tasks": {f"t{task}": group(profile, task) for task in range(MANY)},
            }
            for profile in range(MANY)
        ]
        route.fulfill(response=answer, json={"profiles": many})

    unknown = {"shape": "text", "state": "unknown", "why": None, "latency_ms": None, "cost_usd": None}
    cells = [
        {
            **unknown,
            "profile": f"p{profile}",
            "task": f"t{task}",
            "group": group(profile, task),
            "checked_at": None,
            "residency": None,
        }
        for profile in range(MANY)
        for task in range(MANY)
    ]
    tab.page.route("**/profiles/list", profiles)
    tab.page.route("**/proof/matrix", lambda route: route.fulfill(json={"gate": "off", "cells": cells}))
    tab.go("matrix")
    expect(tab.page.locator("button.cell .proof")).to_have_count(MANY * MANY, timeout=30_000)
    return tab


def polls(tab: Tab, count: int) -> None:
    """Wait until the page has asked so often what is in force, and has shown it."""
    for _ in range(count):
        with tab.page.expect_response("**/profiles/list"):
            pass
    tab.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def test_what_says_the_same_is_not_drawn_again(full: Tab) -> None:
    """The page asks every two seconds what is in force: the table is neither written nor measured."""
    full.page.evaluate(WATCH)

    polls(full, 3)

    assert full.page.evaluate("touched.length") == 0


def test_a_probe_draws_its_cell_alone(full: Tab) -> None:
    """Of 4,096."""
    evidence: dict[str, Any] = {
        "group": group(3, 5),
        "shape": "text",
        "state": "green",
        "why": "answered",
        "latency_ms": 12,
        "cost_usd": None,
        "checked_at": None,
        "done": 1,
        "wanted": 2,
    }
    full.page.evaluate(HOLD_RUNS)
    full.page.locator(".filters .button.main").click()
    expect(full.page.get_by_role("progressbar")).to_be_visible()
    full.page.evaluate(WATCH)

    full.page.evaluate("(text) => tell(text)", f"event: found\ndata: {json.dumps(evidence)}\n\n")

    expect(full.page.locator("[data-state=green]")).to_have_count(1)
    assert full.page.evaluate(CELLS) == [group(3, 5)]


def test_the_first_screen_asks_for_the_cells_of_one_profile(tab: Tab) -> None:
    """For its two figures."""
    with tab.page.expect_request("**/proof/matrix*") as asked:
        tab.page.reload()

    assert asked.value.url.endswith("?profile=premium")
