"""What a request needs on the ladder: left out, put behind, or said where nothing fits."""

from __future__ import annotations

from typing import Any

import pytest

from neuronode_router.domain.decisions import Step
from neuronode_router.domain.rules import OnOverload
from neuronode_router.routing.fallback_chain import Constraints, DeploymentStatus
from neuronode_router.routing.fit import Misfit, Needs, described
from neuronode_router.routing.inventory import TEXT, Ability
from tests.unit.routing.test_fallback_chain import (
    FAST,
    IMAGE,
    MEDIUM,
    NAMES,
    PROFILE,
    chained,
    groups_of,
    moved,
    status_of,
    statuses,
)


def blind(*names: str) -> dict[str, tuple[DeploymentStatus, ...]]:
    """Return a statuses on which these are known not to see images."""
    return {**statuses(), **{name: (status_of(name, refuses=frozenset({"image"})),) for name in names}}


def test_images_go_where_they_are_seen() -> None:
    """Groups that are known to be blind are left out; those of which nobody said anything come last."""
    groups = {**blind("f1", "m1"), "c1": (status_of("c1", modalities=TEXT | {"image"}),)}

    chain = chained(Constraints(FAST, needs=IMAGE), PROFILE, groups)

    assert (groups_of(chain), moved(chain)) == (("c1", "f2", "m2", "c2"), True)
    assert chain.left_out == (("f1", Misfit.MODALITY), ("m1", Misfit.MODALITY))


@pytest.mark.parametrize(("ability", "why"), [(Ability.TOOLS, Misfit.TOOLS), (Ability.SCHEMA, Misfit.SCHEMA)])
def test_abilities_are_asked_of_a_group(ability: Ability, why: Misfit) -> None:
    """What is known not to be able to is left out."""
    groups = {**statuses(), "f1": (status_of("f1", cannot=frozenset({ability})),)}

    chain = chained(Constraints(FAST, needs=Needs(abilities=frozenset({ability}))), PROFILE, groups)

    assert (groups_of(chain)[0], chain.left_out) == ("f2", (("f1", why),))


def test_what_would_be_left_out_or_cut_comes_behind() -> None:
    """A deployment that takes not every parameter, or writes shorter answers, is worse and not impossible."""
    groups = {**statuses(), "f1": (status_of("f1", accepts=frozenset({"n"}), max_tokens=1000),)}

    def first(**needs: Any) -> tuple[str, str]:
        chain = chained(Constraints(FAST, needs=Needs(**needs)), PROFILE, groups)
        return chain.group, groups_of(chain)[-1]

    assert first() == ("f1", "c2")
    assert first(parameters=frozenset({"n"})) == ("f1", "c2")
    assert first(parameters=frozenset({"logprobs"})) == ("f2", "f1")
    assert first(answer=2000) == ("f2", "f1")
    assert first(parameters=frozenset({"seed"})) == ("f1", "c2")


def test_a_guess_from_bytes_refuses_nothing() -> None:
    """Where a file may be too much a group comes behind; what is known to be too much is left out."""
    groups = {**statuses(), "f1": (status_of("f1", context_window=8192),)}
    guessed = Needs(tokens=100_000, guessed=95_000)

    chain = chained(Constraints(FAST, needs=guessed), PROFILE, groups)

    assert (chain.left_out, groups_of(chain)[0], groups_of(chain)[-1]) == ((), "f2", "f1")
    too_much = [status_of("f1", context_window=4096).deployment]
    assert "about 5000 tokens and needs 512 more" in described(too_much, guessed)


def test_a_policy_of_staying_is_about_load_only() -> None:
    """What no group of the tier can hold goes to one that can, upwards first."""
    small = {name: (status_of(name, context_window=100),) for name in ("m1", "m2")}
    limits = Constraints(MEDIUM, policy=OnOverload.STAY, needs=Needs(tokens=5000))

    assert groups_of(chained(limits, PROFILE, {**statuses(), **small})) == ("c1", "c2", "f1", "f2")
    assert groups_of(chained(limits, PROFILE, statuses())) == ("m1", "m2")


def test_when_nothing_fits_it_is_said() -> None:
    """All groups stand in the decision: whether it is refused is the profile's word."""
    chain = chained(Constraints(FAST, needs=IMAGE), PROFILE, blind(*NAMES))

    assert groups_of(chain) == ("f1", "f2", "m1", "m2", "c1", "c2")
    assert (Step.NOTHING_FITS in chain.steps, chain.left_out) == (True, ())
