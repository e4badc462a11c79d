"""Teams and keys with a profile of their own."""

from __future__ import annotations

import json

import pytest

from neuronode_router.domain.bindings import Beyond, Binding
from tests.unit.cli.conftest import Remote, Terminal
from tests.unit.cli.test_golden import check


def bindings(remote: Remote) -> dict[str, Binding]:
    """What the proxy has in force."""
    state = remote.do(remote.world.manager.current())
    assert state is not None
    return dict(state.bindings)


def test_a_team_is_bound_and_set_free(remote: Remote, neuronode: Terminal) -> None:
    """Each is a revision of its own."""
    assert neuronode("team", "bind", "search", "balanced", "-y").code == 0
    assert bindings(remote) == {"team:search": Binding("balanced")}

    assert neuronode("team", "unbind", "search", "-y").code == 0
    assert bindings(remote) == {}


def test_a_key_may_be_bound_too(remote: Remote, neuronode: Terminal) -> None:
    """By its name."""
    assert neuronode("team", "bind", "ci", "ultra_fast", "--kind", "key", "-y").code == 0

    assert bindings(remote) == {"key:ci": Binding("ultra_fast")}


@pytest.mark.parametrize(
    "team", [".", "..", "...", "eng/ml", "/", "../x", "a?b", "a#b", "a%2Fb", "a//b", ";"]
)
def test_a_team_of_any_name_can_be_bound(team: str, remote: Remote, neuronode: Terminal) -> None:
    """It reaches the proxy as it is written, and no other route."""
    assert neuronode("team", "bind", team, "balanced", "-y").code == 0
    assert bindings(remote) == {f"team:{team}": Binding("balanced")}

    assert neuronode("team", "unbind", team, "-y").code == 0
    assert bindings(remote) == {}


def test_a_name_that_is_empty_is_wrong_usage(remote: Remote, neuronode: Terminal) -> None:
    """A variable of a script that is not set: nothing is asked."""
    for command in (("team", "unbind", "", "-y"), ("rollout", "history", "")):
        outcome = neuronode(*command)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert "empty" in outcome.err


def test_beyond_a_share_of_the_budget_another_profile_answers(remote: Remote, neuronode: Terminal) -> None:
    """Until then the active one does."""
    limit = ("--beyond", "0.8", "--then", "cost_effective", "--monthly", "200")

    assert neuronode("team", "bind", "search", *limit, "-y").code == 0

    assert bindings(remote) == {"team:search": Binding(None, Beyond(0.8, "cost_effective", 200.0))}


def test_the_list_is_a_table(remote: Remote, neuronode: Terminal) -> None:
    """With what everybody else follows."""
    limit = ("--beyond", "0.8", "--then", "cost_effective", "--monthly", "200")
    assert neuronode("team", "bind", "search", "balanced", *limit, "-y").code == 0

    check("team_list", neuronode("team", "list"))
    assert json.loads(neuronode("team", "list", "--json").out)["bindings"][0]["subject"] == "team:search"


def test_it_is_asked_for(remote: Remote, neuronode: Terminal) -> None:
    """The question shows what would be."""
    check("team_bind", neuronode("team", "bind", "search", "balanced", typed="n\n"))

    assert bindings(remote) == {}


@pytest.mark.parametrize(
    "arguments",
    [("--beyond", "0.5"), ("--then", "balanced"), ("--monthly", "5"), ("--beyond", "2", "--then", "x")],
)
def test_half_a_limit_is_wrong_usage(arguments: tuple[str, ...], remote: Remote, neuronode: Terminal) -> None:
    """Nothing is sent."""
    assert neuronode("team", "bind", "search", "balanced", *arguments, "-y").code == 2
    assert bindings(remote) == {}


def test_a_binding_that_leads_nowhere_is_refused_by_the_proxy(remote: Remote, neuronode: Terminal) -> None:
    """Its fix says what to do."""
    outcome = neuronode("team", "bind", "search", "-y")

    assert outcome.code == 1
    assert "DELETE" in outcome.err
