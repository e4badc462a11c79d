"""Before a profile comes into force it is said which of its groups are not where its data must stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neuronode_router.control.change import ChangeTarget
from neuronode_router.control.checks import require_servable
from neuronode_router.domain.bindings import Binding
from neuronode_router.domain.names import STABLE_ALIAS_PROFILE
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.rollouts import Canary
from neuronode_router.domain.state import ControlState
from tests.support.usage import profile

NAMES = ("plain", STABLE_ALIAS_PROFILE, "strict")
PROFILES = ProfileSet({name: profile(name, residency=("eu",) if name == "strict" else ()) for name in NAMES})
GROUPS = frozenset(use.group for each in PROFILES.profiles.values() for use in each.uses())
BEFORE = ControlState(1, "plain", PROFILES, committed_at=0.0)
BOUND = replace(BEFORE, bindings={"team:a": Binding("strict")})
TRIED = Canary("r", "strict", "ab", 500, 0.0)
EVERYWHERE = HostFacts(groups=GROUPS, places=dict.fromkeys(GROUPS, ("de", "local")))


def warnings(places: dict[str, tuple[str | None, ...]], active: str = "strict") -> tuple[str, ...]:
    """Return what is said of a switch where some groups are elsewhere."""
    host = replace(EVERYWHERE, places={**EVERYWHERE.places, **places})
    return require_servable(BEFORE, ChangeTarget(active, PROFILES), host)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (("openai",), "'chat_strict' is refused, for it is at openai"),
        (("local", "us", None), "'chat_strict' keeps to its other deployments, for it is at unknown, us"),
    ],
)
def test_a_switch_says_what_would_be_refused(places: tuple[str | None, ...], said: str) -> None:
    """Each group once, with its places, whether all of it or some of its deployments."""
    found = warnings({"chat_strict": places})

    assert len(found) == 1
    assert said in found[0]
    assert "must stay in eu" in found[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BOUND, ChangeTarget("strict", PROFILES, BOUND.bindings)),
        (BOUND, ChangeTarget("plain", PROFILES, BOUND.bindings, canary=TRIED)),
        (BEFORE, ChangeTarget("plain", PROFILES, canary=TRIED)),
    ],
    ids=["switch", "rollout", "rollout of one that nobody uses"],
)
def test_it_is_said_of_a_profile_that_some_use_already(before: ControlState, after: ChangeTarget) -> None:
    """Bound to a team before, and now switched to or tried: others are refused what they were not."""
    host = replace(EVERYWHERE, places={**EVERYWHERE.places, "chat_strict": ("us",)})

    (said,) = require_servable(before, after, host)

    assert "'chat_strict' is refused" in said


def test_it_is_said_of_the_profile_of_stable_names() -> None:
    """Its names are always served, and still a switch to it changes who is answered by it."""
    home = ProfileSet(
        {**PROFILES.profiles, STABLE_ALIAS_PROFILE: profile(STABLE_ALIAS_PROFILE, residency=("eu",))}
    )
    host = replace(EVERYWHERE, places={**EVERYWHERE.places, f"chat_{STABLE_ALIAS_PROFILE}": ("us",)})

    assert (
        len(require_servable(replace(BEFORE, profiles=home), ChangeTarget(STABLE_ALIAS_PROFILE, home), host))
        == 1
    )


def test_nothing_is_said_of_what_is_within_or_not_required() -> None:
    """Nor of another profile's groups."""
    assert warnings({"chat_plain": ("openai",)}) == ()
    assert warnings({"chat_plain": ("openai",)}, active="plain") == ()
