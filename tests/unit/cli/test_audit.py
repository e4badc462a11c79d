"""A row of the audit log in one line: who did what, from what to what."""

from __future__ import annotations

from typing import Any

import pytest

from neuronode_router.cli.commands.audit import entry_line

BALANCED = ("balanced", "balanced")


def row(profiles: tuple[str | None, str], *changes: tuple[str, str | None, str | None]) -> dict[str, Any]:
    """Return an entry as the API has it."""
    before, after = profiles
    told = [{"task": task, "before": old, "after": new} for task, old, new in changes]
    return {
        "revision": 7, "at": 0.0, "action": "act", "actor": {"name": "anna"}, "reason": "why",
        "profile_before": before, "profile_after": after, "changes": told,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (row((None, "premium"), ("chat", None, "a")), "premium"),
        (row(BALANCED, ("chat", None, "a")), "chat: - -> a"),
        (row(("premium", "balanced"), ("chat", "a", "b")), "premium -> balanced"),
        (row(BALANCED, ("team:research", None, "premium")), "team research: the active one -> premium"),
        (
            row(BALANCED, ("key:ab1", "premium", "active, beyond 80% ultra_fast")),
            "key ab1: premium -> the active one, beyond 80% ultra_fast",
        ),
        (row(("premium", "balanced"), ("@hold", None, "x")), "premium -> balanced; hold: - -> x"),
        (row(BALANCED, ("chat", "a", "b"), ("summary", "a", "b")), "chat: a -> b; summary: a -> b"),
        (row(BALANCED, *((f"t{n}", "a", "b") for n in range(9))), "t0: a -> b; t1: a -> b; and 7 more"),
        (row(BALANCED), "balanced"),
        (row(BALANCED, ("fast.personal_data", "allow", "refuse")), "fast.personal_data: allow -> refuse"),
        (
            row(("premium", "balanced"), ("chat", "a", "b"), ("premium.hidden", "true", "false")),
            "premium -> balanced; premium.hidden: true -> false",
        ),
        (row(BALANCED, ("fast.description", "x" * 61, "")), f"fast.description: {'x' * 60}... -> -"),
    ],
)
def test_an_entry_says_what_it_changed(entry: dict[str, Any], told: str) -> None:
    """A binding names its team or key and both sides; where the profile changed, its tasks go unsaid."""
    assert f"act  {told}  anna  why" in entry_line(entry)
