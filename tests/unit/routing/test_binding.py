"""Whom a binding concerns, and when a budget changes it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from neuronode_router.domain.bindings import Beyond, Binding
from neuronode_router.routing.binding import bound_profile

RULE = Beyond(share=0.8, profile="cheap")
BINDINGS = {
    "team:a": Binding("premium"),
    "team:b": Binding(None, RULE),
    "team:c": Binding("premium", RULE),
    "key:app": Binding("balanced"),
    "team:None": Binding("premium"),
}


@pytest.mark.parametrize(
    ("key", "team", "spent", "profile"),
    [
        ("x", None, None, None),
        ("x", "unknown", None, None),
        ("x", "None", None, "premium"),
        ("x", "", None, None),
        ("x", "a", 5.0, "premium"),
        ("app", "a", None, "balanced"),
        ("app", None, None, "balanced"),
        ("x", "b", 0.79, None),
        ("x", "b", 0.8, "cheap"),
        ("x", "b", None, None),
        ("x", "c", 0.1, "premium"),
        ("x", "c", 1.7, "cheap"),
    ],
)
def test_the_key_goes_before_the_team_and_budgets_count_from_their_share_on(
    key: str, team: str | None, spent: float | None, profile: str | None
) -> None:
    """A budget nobody knows is not spent; one that is overdrawn is."""
    found = bound_profile(BINDINGS, key=key, team=team, spent=lambda *_: spent)

    assert found == profile


def test_spending_is_asked_for_the_bound_subject_only() -> None:
    """Nobody is looked up whose binding has no rule."""
    asked: list[tuple[str, Beyond]] = []

    def spent(subject: str, rule: Beyond) -> float:
        asked.append((subject, rule))
        return 0.0

    bound_profile(BINDINGS, key="x", team="a", spent=spent)
    bound_profile(BINDINGS, key="x", team="c", spent=spent)
    empty: Mapping[str, Binding] = {}
    bound_profile(empty, key="x", team="c", spent=spent)

    assert asked == [("team:c", RULE)]
