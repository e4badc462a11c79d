"""What names lead to in the snapshot that requests read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neuronode_router.domain.names import Tier
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.routing.snapshot import build_snapshot
from tests.support.control import HOST, make_set


@pytest.fixture
def current() -> CurrentSnapshot:
    """What serves the profile `premium`."""
    found = CurrentSnapshot()
    found.take(build_snapshot(ControlState(1, "premium", make_set(), 0.0), HOST))
    return found


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("classification", ["classification_premium"]),
        ("balanced/chat", ["chat_balanced"]),
        ("task_chat", ["chat_balanced"]),
        ("chat_balanced", ["chat_balanced"]),
        ("nobody's", ["nobody's"]),
    ],
)
def test_a_name_leads_to_its_group(current: CurrentSnapshot, name: str, groups: list[str]) -> None:
    """A task's is its profile's; a group's, and what nobody knows, are their own."""
    assert list(current.groups_of(name, Tier.FAST)) == groups


def test_what_is_decided_by_the_request_leads_to_the_ladder_of_a_tier(current: CurrentSnapshot) -> None:
    """Of the tier that is asked about, unless the name says one."""
    assert current.snapshot is not None
    ladder = {Tier.FAST: ("small",), Tier.MEDIUM: (), Tier.COMPLEX: ("large", "larger")}
    current.take(replace(current.snapshot, ladders={"premium": ladder}))

    assert current.groups_of("auto", Tier.COMPLEX) == ("large", "larger")
    assert current.groups_of("auto:fast", Tier.COMPLEX) == ("small",)


def test_before_anything_is_served_no_name_leads_anywhere() -> None:
    """A worker that starts."""
    assert CurrentSnapshot().groups_of("chat", Tier.FAST) == ()
