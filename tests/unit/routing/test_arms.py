"""Arms of a rollout: shares, who stays where, and what a name means in each arm."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.decisions import Reason
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, ProfileEdit, ProfileSet, edited_name
from neuronode_router.domain.rollouts import Arm, Canary, canary_from_text, canary_text
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import UnknownProfile
from neuronode_router.routing.admit import admit
from neuronode_router.routing.arms import Placement, only_in_one, place, tries
from neuronode_router.routing.conversations import Standing, is_kept
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from tests.support.control import GROUPS, NAMES, make_profile

NOW = 1_800_000_000.0
CANARY = Canary("r-1", "premium", "a1" * 16, share=100, since=NOW - 60)
SALTS = st.binary(min_size=16, max_size=16).map(bytes.hex)


def snapshot(canary: Canary | None = CANARY, moved: int = 0) -> Snapshot:
    """Return revision 7, with `balanced` active."""
    profiles = {name: make_profile(name) for name in NAMES}
    profiles["premium"] = replace(profiles["premium"], tiers=dict.fromkeys(Tier, ("chat_premium",)))
    state = ControlState(7, "balanced", ProfileSet(profiles), committed_at=NOW, canary=canary, moved=moved)
    return build_snapshot(state, HostFacts(groups=GROUPS))


def standing(**changed: object) -> Standing:
    """Return a conversation that control has answered since the step began."""
    known = Standing(
        name="chat",
        group="chat_balanced",
        tier=None,
        profile="balanced",
        reason=Reason.ACTIVE_PROFILE,
        revision=6,
        at=NOW - 1,
        begun=True,
        placed_at=NOW - 30,
    )
    return replace(known, **changed)  # type: ignore[arg-type]


@given(SALTS, st.binary(min_size=1, max_size=32), st.integers(0, 1000), st.integers(0, 1000))
def test_a_growing_share_sends_nobody_back(salt: str, unit: bytes, one: int, other: int) -> None:
    """Who tries at a share tries at every larger one."""
    small, large = sorted((one, other))
    before, after = (replace(CANARY, salt=salt, share=share) for share in (small, large))

    assert tries(after, unit) or not tries(before, unit)


@pytest.mark.parametrize("share", [0, 10, 500, 1000])
def test_the_share_is_kept(share: int) -> None:
    """Of twenty thousand conversations, within five standard deviations; and another salt chooses others."""
    units = [str(number).encode() for number in range(20_000)]

    tried = {unit for unit in units if tries(replace(CANARY, share=share), unit)}
    others = {unit for unit in units if tries(replace(CANARY, share=share, salt="b2" * 16), unit)}

    expected = 20 * share
    assert abs(len(tried) - expected) <= 5 * (expected * (1 - share / 1000)) ** 0.5
    assert share in (0, 1000) or tried != others


ALL, NONE = replace(CANARY, share=1000), replace(CANARY, share=0)


@pytest.mark.parametrize(
    ("known", "canary", "found"),
    [
        (None, ALL, Placement(True, True)),
        (None, NONE, Placement(False, True)),
        (standing(), ALL, Placement(False, True)),
        (standing(profile="premium"), NONE, Placement(True, True)),
        (standing(placed_at=NOW - 61), ALL, Placement(False, False)),
        (standing(profile="premium", placed_at=NOW - 61), NONE, Placement(True, False)),
        (standing(profile="cost_effective"), ALL, Placement(True, True)),
        (standing(reason=Reason.OVERRIDE_HEADER, profile="premium"), NONE, Placement(False, True)),
    ],
)
def test_who_has_been_placed_stays(known: Standing | None, canary: Canary, found: Placement) -> None:
    """Whatever the share is by now; and is compared only if that was in this step."""
    assert place(canary, snapshot(canary), b"unit", known) == found


def test_what_was_moved_is_placed_anew() -> None:
    """An abort before this rollout has taken it off the profile that is tried now."""
    found = place(NONE, snapshot(NONE, moved=7), b"unit", standing(profile="premium"))

    assert found == Placement(False, True)


def test_names_in_each_arm() -> None:
    """Plain names follow the arm and say which it is; without a rollout no name has one."""
    now = snapshot()

    def decide(name: str, *, trying: bool, bound: str | None = None, wanted: str | None = None) -> object:
        state = replace(now.state, bindings={"team:a": object()} if bound else {})
        found = admit(
            replace(now, state=state),
            name,
            wanted_profile=wanted,
            may_override=lambda _: True,
            bound=lambda: bound,
            tries=trying,
        )
        return found.group, found.arm

    assert decide("chat", trying=False) == ("chat_balanced", Arm.CONTROL)
    assert decide("chat", trying=True) == ("chat_premium", Arm.CANARY)
    assert decide("chat", trying=True, bound="balanced") == ("chat_balanced", None)
    assert decide("chat", trying=True, bound="premium") == ("chat_premium", None)
    assert decide("chat", trying=True, wanted="cost_effective") == ("chat_cost_effective", None)
    assert decide("premium/chat", trying=False) == ("chat_premium", None)
    assert decide("task_chat", trying=True) == ("chat_balanced", None)
    assert decide("auto", trying=True)[1] is Arm.CANARY  # type: ignore[index]
    assert all(one.arm is None for one in snapshot(None).decisions.values())
    assert snapshot(None).canary == {}


@pytest.mark.parametrize(
    ("name", "group", "side"),
    [
        ("chat", "chat_premium", True),
        ("chat", "chat_balanced", False),
        ("chat", "tier", None),
        ("auto", "chat_premium", True),
        ("auto", "tier", False),
        ("no_such_task", "tier", None),
    ],
)
def test_a_group_tells_the_arm_where_only_one_asks_it(name: str, group: str, side: bool | None) -> None:
    """For clients that send nothing but the id of the last answer."""
    assert only_in_one(snapshot(), name, group) is side


def test_an_abort_keeps_no_conversation_on_what_was_tried() -> None:
    """It moves all; a promotion leaves those of control where they are for a while, as every switch does."""
    tried, stays = standing(profile="premium", group="chat_premium"), standing()
    aborted = snapshot(None, moved=7)
    promoted = build_snapshot(replace(aborted.state, active="premium", moved=0), HostFacts(groups=GROUPS))

    assert not is_kept(tried, aborted.decisions["chat"], aborted, now=NOW)
    assert is_kept(stays, promoted.decisions["chat"], promoted, now=NOW)


EDIT = ProfileEdit({"chat": "chat_premium"}, {Tier.FAST: ("chat_premium",)})
EDITED = replace(CANARY, profile="balanced+edit", edit=EDIT)


def test_an_edited_profile_answers_who_tries_it_and_nobody_else() -> None:
    """Nobody can choose it, the names of the profile stay what they are, and what was not edited is the same."""
    found = snapshot(EDITED)
    no: dict[str, None] = {"wanted_profile": None}

    tried = admit(found, "chat", may_override=lambda _: True, tries=True, bound=lambda: None, **no)
    stays = admit(found, "chat", may_override=lambda _: True, tries=False, bound=lambda: None, **no)
    chosen = admit(found, "balanced/chat", may_override=lambda _: True, tries=True, bound=lambda: None, **no)
    unchanged = found.canary["classification"]

    assert (tried.group, tried.profile, tried.arm) == ("chat_premium", "balanced+edit", Arm.CANARY)
    assert (stays.group, stays.profile, stays.arm) == ("chat_balanced", "balanced", Arm.CONTROL)
    assert (chosen.group, chosen.profile) == ("chat_balanced", "balanced")
    assert unchanged.group == "classification_balanced"
    assert found.ladders["balanced+edit"][Tier.FAST] == ("chat_premium",)
    with pytest.raises(UnknownProfile):
        admit(found, "@profile/balanced+edit", may_override=lambda _: True, bound=lambda: None, **no)
    assert "balanced+edit/chat" not in found.decisions


@given(
    st.text("abcdefghij_", min_size=1, max_size=64),
    st.dictionaries(st.sampled_from(["chat", "summary"]), st.text(min_size=1, max_size=9)),
    st.dictionaries(st.sampled_from(Tier), st.lists(st.text(min_size=1, max_size=9), min_size=1).map(tuple)),
)
def test_a_canary_is_read_as_it_was_written(
    name: str, tasks: dict[str, str], tiers: dict[Tier, tuple[str, ...]]
) -> None:
    """With and without an edit; and the name of an edited profile fits where names of profiles are kept."""
    edited = replace(CANARY, profile=edited_name(name), edit=ProfileEdit(tasks, tiers))

    assert canary_from_text(canary_text(edited)) == edited
    assert canary_from_text(canary_text(CANARY)) == CANARY
    assert "edit" not in canary_text(CANARY)
    assert len(edited_name(name)) <= 64
