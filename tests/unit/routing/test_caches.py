"""The share of prompts that providers' caches answer: what came last counts most."""

from __future__ import annotations

import pytest

from neuronode_router.routing.caches import CacheShares


def test_the_share_follows_what_came_last() -> None:
    """A cache that has gone cold is soon not believed in any more; groups know nothing of each other."""
    shares = CacheShares()
    for _ in range(200):
        shares.saw("warm", prompt=100, cached=80)

    assert shares.of("warm") == pytest.approx(0.8)
    assert shares.of("other") == 0.0
    for _ in range(200):
        shares.saw("warm", prompt=100, cached=0)
    assert shares.of("warm") < 0.02


def test_nonsense_of_a_provider_is_no_share_above_one() -> None:
    """More cached tokens than the prompt has, or a prompt of none."""
    shares = CacheShares()
    shares.saw("g", prompt=10, cached=50)
    shares.saw("g", prompt=0, cached=5)
    shares.saw("", prompt=10, cached=5)

    assert (shares.of("g"), shares.of("")) == (1.0, 0.0)
