"""What receipts and the audit log tell of a change, place by place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.control.change import ChangeTarget
from neuronode_router.control.told import VALUE_LIMIT, told_changes
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import Profile, ProfileSet
from neuronode_router.domain.rules import PersonalDataRule
from neuronode_router.domain.state import ControlState
from tests.support.control import make_profile, make_set

PREMIUM, CHEAP = make_profile("premium"), make_profile("cost_effective")
EDITS: tuple[tuple[Profile, set[tuple[str, str | None, str | None]]], ...] = (
    (make_profile("premium", chat="tier"), {("chat", "chat_premium", "tier")}),
    (
        make_profile("cost_effective", chat="tier"),
        {("cost_effective.tasks.chat", "chat_cost_effective", "tier")},
    ),
    (
        replace(PREMIUM, personal_data=PersonalDataRule.REFUSE),
        {("premium.personal_data", "allow", "refuse")},
    ),
    (replace(PREMIUM, allowed_teams=("a", "b")), {("premium.allowed_teams", None, "a, b")}),
    (replace(PREMIUM, hidden=True), {("premium.hidden", "false", "true")}),
    (replace(CHEAP, too_dear=2.0), {("cost_effective.too_dear", "1.0", "2.0")}),
    (
        replace(CHEAP, tiers={**CHEAP.tiers, Tier.FAST: ("a", "b")}),
        {("cost_effective.tiers.fast", "tier", "a, b")},
    ),
    (
        make_profile("premium", chat="auto"),
        {("chat", "chat_premium", "tier"), ("premium.tasks.chat", "chat_premium", "auto")},
    ),
)


def told(
    before: ProfileSet, after: ProfileSet, active: str = "premium"
) -> set[tuple[str, str | None, str | None]]:
    """Return what is told while `active` stays the profile."""
    changes = told_changes(state(before, "premium"), ChangeTarget(active, after))
    assert [change.task for change in changes] == sorted(change.task for change in changes)
    return {(change.task, change.before, change.after) for change in changes}


def state(profiles: ProfileSet, active: str) -> ControlState:
    return ControlState(revision=1, active=active, profiles=profiles, committed_at=0.0)


@pytest.mark.parametrize(("edited", "expected"), EDITS)
def test_every_place_of_every_profile_is_told(
    edited: Profile, expected: set[tuple[str, str | None, str | None]]
) -> None:
    """Also of one that is not active, which may answer a team; a task of the active one is told once."""
    assert told(make_set(), make_set(**{edited.name: edited})) == expected


def test_a_profile_that_comes_or_goes_is_told_in_full() -> None:
    """Each place on the side that has it."""
    fewer = ProfileSet({name: one for name, one in make_set().profiles.items() if name != "cost_effective"})

    came, went = told(fewer, make_set()), told(make_set(), fewer)

    assert ("cost_effective.description", None, "the cost_effective one") in came
    assert went == {(place, after, before) for place, before, after in came}


def test_a_switch_tells_no_profile_and_a_first_revision_only_what_names_mean() -> None:
    """What profiles say did not change, or was not there."""
    assert not any("." in place for place, _, _ in told(make_set(), make_set(), active="balanced"))
    assert not any("." in change.task for change in told_changes(None, ChangeTarget("premium", make_set())))


@given(st.integers(0, 3 * VALUE_LIMIT), st.text(max_size=3), st.text(max_size=3))
def test_texts_that_differ_are_told_apart_however_long_they_are(common: int, one: str, other: str) -> None:
    """A row of the audit log stays short, and no change goes unsaid."""
    sets = [make_set(premium=replace(PREMIUM, description="x" * common + end)) for end in (one, other)]

    found = told(*sets)

    assert bool(found) is (sets[0].digest != sets[1].digest)
    assert all(len(side or "") < VALUE_LIMIT + 20 for _, *sides in found for side in sides)
