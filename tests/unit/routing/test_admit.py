"""Names of requests against a snapshot: what goes where, for whom, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.decisions import Reason, Step
from neuronode_router.domain.names import AUTO_NAMES, TASK_ALIASES, Tier
from neuronode_router.domain.profiles import DeadMapping, GroupUse, HostFacts, Profile, ProfileSet
from neuronode_router.domain.rules import OnMissing
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import NotAllowed, UnknownProfile
from neuronode_router.routing.admit import admit
from neuronode_router.routing.snapshot import Snapshot, build_snapshot

PROFILES = ("premium", "balanced", "secret")


def profile(name: str, *, hidden: bool = False) -> Profile:
    return Profile(
        name=name,
        description=name,
        cost_level="low",
        performance_level="good",
        tasks={task: f"{task}_{name}" for task in TASK_ALIASES},
        tiers=dict.fromkeys(Tier, (f"chat_{name}",)),
        hidden=hidden,
    )


GROUPS = frozenset(f"{task}_{name}" for task in TASK_ALIASES for name in PROFILES)


def snapshot(active: str = "premium", groups: frozenset[str] = GROUPS) -> Snapshot:
    profiles = ProfileSet({name: profile(name, hidden=name == "secret") for name in PROFILES})
    state = ControlState(revision=7, active=active, profiles=profiles, committed_at=0.0)
    return build_snapshot(state, HostFacts(groups=groups))


def anybody(_: Profile) -> bool:
    return True


def nobody(_: Profile) -> bool:
    return False


@pytest.mark.parametrize("task", TASK_ALIASES)
def test_a_task_alias_goes_to_the_active_profiles_group(task: str) -> None:
    """A plain task alias is answered by the active profile, under the snapshot's revision."""
    decision = admit(snapshot("balanced"), task, wanted_profile=None, may_override=nobody)

    assert (decision.group, decision.profile, decision.task) == (f"{task}_balanced", "balanced", task)
    assert (decision.reason, decision.revision, decision.original_model) == (Reason.ACTIVE_PROFILE, 7, task)


def test_the_stable_alias_means_balanced_under_any_profile() -> None:
    """`task_<alias>` is bound to balanced, whatever is active and whatever the header wishes."""
    decision = admit(snapshot("premium"), "task_summary", wanted_profile="premium", may_override=anybody)

    assert (decision.group, decision.profile, decision.reason) == (
        "summary_balanced",
        "balanced",
        Reason.STABLE_ALIAS,
    )


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("@profile/balanced", "chat_balanced"),
        ("balanced/synthesis", "synthesis_balanced"),
        ("secret/chat", "chat_secret"),
    ],
)
def test_override_names_reach_another_profile_where_access_allows(name: str, group: str) -> None:
    """Both forms of an override name are served to who may choose the profile, and refused to others."""
    decision = admit(snapshot(), name, wanted_profile=None, may_override=anybody)

    assert (decision.group, decision.reason) == (group, Reason.OVERRIDE_NAME)
    with pytest.raises(UnknownProfile if "secret" in name else NotAllowed):
        admit(snapshot(), name, wanted_profile=None, may_override=nobody)


def test_access_is_asked_for_the_profile_that_is_chosen() -> None:
    """The question handed in is asked once, about the named profile and no other."""
    asked: list[str] = []

    def may(chosen: Profile) -> bool:
        asked.append(chosen.name)
        return True

    admit(snapshot(), "balanced/chat", wanted_profile="secret", may_override=may)
    admit(snapshot(), "chat", wanted_profile="secret", may_override=may)
    admit(snapshot(), "chat", wanted_profile=None, may_override=may)

    assert asked == ["balanced", "secret"]


def test_the_header_chooses_the_profile_where_access_allows() -> None:
    """The request header moves a task alias to another profile, or is ignored and says so."""
    allowed = admit(snapshot(), "chat", wanted_profile="balanced", may_override=anybody)
    denied = admit(snapshot(), "chat", wanted_profile="balanced", may_override=nobody)
    unknown = admit(snapshot(), "chat", wanted_profile="no\nsuch", may_override=anybody)

    assert (allowed.group, allowed.profile, allowed.reason) == (
        "chat_balanced",
        "balanced",
        Reason.OVERRIDE_HEADER,
    )
    assert (denied.group, denied.reason) == ("chat_premium", Reason.OVERRIDE_DENIED)
    assert (unknown.group, unknown.reason) == ("chat_premium", Reason.OVERRIDE_DENIED)


def test_a_hidden_profile_is_unknown_to_who_may_not_choose_it() -> None:
    """The answer is that of a name that nobody has, and only profiles that the caller may choose are told."""
    refusals = []
    for name in ("@profile/secret", "@profile/nobody"):
        with pytest.raises(UnknownProfile) as refusal:
            admit(snapshot(), name, wanted_profile=None, may_override=lambda found: found.name == "balanced")
        refusals.append(refusal.value)

    told = {
        (refusal.fix, refusal.message.replace("secret", "x").replace("nobody", "x")) for refusal in refusals
    }
    assert len(told) == 1
    assert all("premium" not in refusal.fix and "balanced" in refusal.fix for refusal in refusals)


def test_an_unknown_profile_name_is_refused_without_naming_hidden_profiles() -> None:
    """`@profile/<name>` of no profile raises, and the fix lists only profiles that are not hidden."""
    with pytest.raises(UnknownProfile) as refusal:
        admit(snapshot(), "@profile/nope", wanted_profile=None, may_override=anybody)

    assert "balanced" in refusal.value.fix
    assert "secret" not in refusal.value.fix


@given(name=st.text(max_size=60), wanted=st.none() | st.text(max_size=20))
def test_names_that_are_not_ours_pass_untouched(name: str, wanted: str | None) -> None:
    """Whatever a client sends that is no name of ours goes on exactly as it came."""
    current = snapshot()
    if name in current.decisions or name.startswith("@profile/"):
        return

    decision = admit(current, name, wanted_profile=wanted, may_override=nobody)

    assert (decision.group, decision.reason, decision.profile) == (name, Reason.PASSTHROUGH, None)


def test_a_concrete_group_keeps_its_name() -> None:
    """A model group of the host that is called like an override name of ours is served untouched."""
    current = snapshot(groups=GROUPS | {"balanced/chat"})

    decision = admit(current, "balanced/chat", wanted_profile=None, may_override=nobody)

    assert decision.reason is Reason.PASSTHROUGH
    assert "balanced/chat" not in current.aliases


@pytest.mark.parametrize("name", ["classification", "task_classification"])
def test_a_task_goes_before_a_group_that_was_given_its_name(name: str) -> None:
    """What a profile maps stays what answers, the map says so, and the collision is told."""
    before, current = snapshot(), snapshot(groups=GROUPS | {name})

    assert (current.decisions, current.aliases) == (before.decisions, before.aliases)
    assert (before.collisions, current.collisions) == ((), (name,))


def test_a_group_called_auto_answers_and_is_told() -> None:
    """Nobody had committed to the name `auto`: whoever calls a group so means the group."""
    current = snapshot(groups=GROUPS | {"auto"})

    assert "auto" not in current.decisions
    assert current.collisions == ("auto",)


def test_a_name_whose_group_the_host_lacks_is_left_to_litellm() -> None:
    """An override into a group this host does not have is no name of ours here."""
    current = snapshot(groups=GROUPS - {"chat_balanced"})

    decision = admit(current, "balanced/chat", wanted_profile=None, may_override=anybody)

    assert decision.reason is Reason.PASSTHROUGH
    assert "@profile/balanced" not in current.aliases


def test_the_alias_map_lists_tasks_stable_aliass_and_visible_profiles() -> None:
    """What LiteLLM lists: every task alias, every stable alias, `@profile/<name>` unless hidden."""
    aliases = snapshot("premium").aliases

    assert aliases["classification"] == "classification_premium"
    assert aliases["task_classification"] == "classification_balanced"
    assert aliases["@profile/balanced"] == "chat_balanced"
    assert "@profile/secret" not in aliases
    assert aliases["auto"] == aliases["auto:complex"] == "chat_premium"
    assert len(aliases) == 2 * len(TASK_ALIASES) + len(AUTO_NAMES) + 2


def without(*gone: str, **changed: object) -> Snapshot:
    """Return what is made of three profiles of tiers, some changed, on a host without some groups."""
    tiers = {Tier.FAST: ("low", "lower"), Tier.MEDIUM: ("mid",), Tier.COMPLEX: ("high",)}
    profiles = {name: replace(profile(name), tiers=tiers, **changed) for name in PROFILES}  # type: ignore[arg-type]
    state = ControlState(7, "premium", ProfileSet(profiles), committed_at=0.0)
    return build_snapshot(state, HostFacts(groups=(GROUPS | {"low", "lower", "mid", "high"}) - set(gone)))


@pytest.mark.parametrize(
    ("gone", "group"),
    [
        ((), "mid"),
        (("mid",), "low"),
        (("mid", "low"), "lower"),
        (("mid", "low", "lower"), "high"),
    ],
)
def test_a_task_whose_group_is_gone_falls_to_the_ladder(gone: tuple[str, ...], group: str) -> None:
    """The `uncertain` tier answers, then the lower and the upper ones; which the decision says."""
    found = without("summary_premium", *gone)

    decision = admit(found, "summary", wanted_profile=None, may_override=nobody)
    other = admit(found, "chat", wanted_profile=None, may_override=nobody)

    assert (decision.group, decision.steps) == (group, (Step.GROUP_MISSING,))
    assert found.aliases["summary"] == group
    assert (other.group, other.steps) == ("chat_premium", ())
    assert DeadMapping(GroupUse("premium", "tasks.summary", "summary_premium"), group) in found.dead


def test_a_profile_may_refuse_instead() -> None:
    """With `on_missing: refuse` the task is no name of ours any more, and nothing answers it."""
    found = without("summary_premium", on_missing=OnMissing.REFUSE)

    decision = admit(found, "summary", wanted_profile=None, may_override=nobody)

    assert (decision.group, decision.reason) == ("summary", Reason.PASSTHROUGH)
    assert [dead.instead for dead in found.dead] == [None]


def test_a_ladder_without_its_first_group_still_serves_auto() -> None:
    """`auto` keeps a group for LiteLLM alone when that of the `uncertain` tier is gone."""
    found = without("mid")

    assert found.decisions["auto"].group == "low"
    assert found.aliases["auto:medium"] == "low"
    assert {dead.use.place for dead in found.dead} == {"tiers.medium"}


def test_another_profiles_dead_mapping_falls_too() -> None:
    """By header, by binding and by name a profile's own ladder answers."""
    found = without("summary_balanced")

    by_header = admit(found, "summary", wanted_profile="balanced", may_override=anybody)
    by_name = admit(found, "balanced/summary", wanted_profile=None, may_override=anybody)

    assert {(each.group, each.steps) for each in (by_header, by_name)} == {("mid", (Step.GROUP_MISSING,))}
