"""Where another profile would have sent a request that was decided already."""

from __future__ import annotations

from dataclasses import replace

from neuronode_router.domain.decisions import Reason, Step
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.routing.counterpart import counterpart, follows
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from tests.support.control import GROUPS, NAMES, make_profile


def snapshot() -> Snapshot:
    """Return a revision whose profile `premium` has a ladder of its own and classifies one task."""
    premium = replace(
        make_profile("premium", classification="auto"),
        tiers={Tier.FAST: ("small",), Tier.MEDIUM: ("gone",), Tier.COMPLEX: ("large", "larger")},
    )
    profiles = ProfileSet({name: make_profile(name) for name in NAMES} | {"premium": premium})
    groups = GROUPS | {"small", "large", "larger"}
    return build_snapshot(
        ControlState(1, "balanced", profiles, committed_at=0.0), HostFacts(groups=frozenset(groups))
    )


def test_a_task_goes_where_the_other_profile_maps_it() -> None:
    """And nowhere where it maps none of that name."""
    now = snapshot()

    found = counterpart(now, now.decisions["chat"], "premium")

    assert found is not None
    assert (found.group, found.profile, found.task) == ("chat_premium", "premium", "chat")
    assert counterpart(now, replace(now.decisions["chat"], original_model="new"), "premium") is None
    assert counterpart(now, now.decisions["chat"], "nobody") is None


def test_auto_keeps_its_tier() -> None:
    """The first group of the same tier; where the proxy has none of it, that of a lighter one."""
    now = snapshot()
    auto = now.decisions["auto"]

    found = {tier: counterpart(now, replace(auto, tier=tier), "premium") for tier in Tier}

    assert {tier: one and one.group for tier, one in found.items()} == {
        Tier.FAST: "small",
        Tier.MEDIUM: "small",
        Tier.COMPLEX: "large",
    }


def test_auto_goes_where_the_data_may() -> None:
    """Another group of the tier, or of a lighter one; where none may, it is the first, which is refused then."""
    now = snapshot()
    auto = replace(now.decisions["auto"], tier=Tier.COMPLEX)

    def group(*within: str) -> str | None:
        found = counterpart(now, auto, "premium", may_go=lambda name: name in within)
        return found and found.group

    assert [group("larger"), group("small"), group()] == ["larger", "small", "large"]


def test_a_task_that_only_the_other_profile_classifies() -> None:
    """Goes to its uncertain tier: the text is not classified again."""
    now = snapshot()

    found = counterpart(now, now.decisions["classification"], "premium")

    assert found is not None
    assert found.group in ("small", "large")
    assert found.tier is not None


def test_only_who_follows_the_active_profile_is_concerned() -> None:
    """Whoever chose another profile, or is bound to one, would not be moved by a switch; nor would the policy's."""
    chat = snapshot().decisions["chat"]

    assert follows(chat)
    assert not follows(snapshot().decisions["@profile/premium"])
    assert not follows(replace(chat, reason=Reason.BINDING))
    assert not follows(replace(chat, steps=(Step.POLICY,)))
