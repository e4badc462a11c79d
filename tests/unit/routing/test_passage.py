"""Which groups a caller may reach."""

from __future__ import annotations

import pytest

from neuronode_router.domain.names import Tier
from neuronode_router.routing.passage import Passage

TIERS = {"light": Tier.FAST, "middle": Tier.MEDIUM, "heavy": Tier.COMPLEX}


@pytest.mark.parametrize(
    ("cap", "reached"),
    [
        (Tier.FAST, {"light", "nameless", "mapped"}),
        (Tier.MEDIUM, {"light", "middle", "nameless", "mapped"}),
        (Tier.COMPLEX, {"light", "middle", "heavy", "nameless", "mapped"}),
    ],
)
def test_a_cap_closes_what_is_above_it(cap: Tier, reached: set[str]) -> None:
    """Groups of higher tiers are out of reach, except where the operator's profile maps the task to them."""
    tiers = TIERS | {"mapped": Tier.COMPLEX}
    passage = Passage(cap, frozenset({"mapped"}), tiers.get)

    assert {group for group in (*tiers, "nameless") if passage.reaches(group)} == reached
