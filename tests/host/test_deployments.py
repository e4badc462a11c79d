"""What the live router tells of a deployment: what LiteLLM has under its id now, and whose it is."""

from __future__ import annotations

from typing import Any

import pytest

from neuronode_router.litellm_plugin.router.deployments import FACTS_SECONDS, Deployments
from tests.host.routers import add, bridged, remove, router
from tests.host.test_seams import GROUPS, entry


@pytest.fixture
def live() -> Any:
    return router([entry(group) for group in GROUPS])


def test_a_deployment_that_litellm_renamed_and_moved_is_what_it_is_now(live: Any) -> None:
    """LiteLLM edits under the same id: no question of ours is answered with what stood there before."""
    deployments, known = Deployments(bridged(live)), "id-chat_balanced"
    aliases = frozenset[str]()

    def told() -> tuple[object, ...]:
        return (
            deployments.group_of(known),
            deployments.served_by({"model_id": known}),
            (deployments.maker_and_group(known) or (None,))[0],
            deployments.embedded_groups(),
            deployments.facts(aliases).groups,
        )

    before = told()
    edited = entry("chat_balanced") | {"model_name": "chat_renamed"}
    edited["litellm_params"] = {**edited["litellm_params"], "api_base": "http://127.0.0.1:10"}
    edited["model_info"] = {"id": known}
    add(live, edited)
    group, served, maker, embedded, groups = told()

    assert before[:2] == ("chat_balanced", ("chat_balanced", True))
    assert (group, served, embedded) == ("chat_renamed", ("chat_renamed", False), ())
    assert groups == {"chat_premium", "chat_renamed"}
    assert None is not maker != before[2]


def test_what_litellm_drops_while_it_answers_keeps_its_last_group(live: Any) -> None:
    """An answer that comes after its deployment was deleted is told and counted as that group's."""
    deployments, known = Deployments(bridged(live)), "id-chat_balanced"
    deployments.group_of(known)

    remove(live, known)

    assert deployments.group_of(known) == "chat_balanced"
    assert deployments.served_by({"model_id": known}) == ("chat_balanced", True)
    assert deployments.maker_and_group(known) is None


def of_team(public: str, group: str = "model_name_ours_7d0f") -> dict[str, Any]:
    added = entry(group)
    added["model_info"] |= {"team_id": "ours", "team_public_model_name": public}
    return added


def test_a_teams_own_deployment_is_told_by_the_teams_name(live: Any) -> None:
    """LiteLLM makes a group for what a team adds, which rules go by and nobody asks for."""
    add(live, of_team("chat_premium"))
    add(live, of_team("chat", group="given"))
    deployments = Deployments(bridged(live))

    assert deployments.served_by({"model_id": "id-model_name_ours_7d0f"}) == ("chat_premium", False)
    assert deployments.group_of("id-model_name_ours_7d0f") == "model_name_ours_7d0f"
    assert deployments.served_by({"model_id": "id-given"}) == ("given", False)
    assert deployments.team_names() == {"chat_premium", "chat"}


def test_facts_are_read_again_when_the_list_or_the_environment_changes(
    live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment that is added, moved or removed counts at once; what only the environment says, soon."""
    now = 0.0
    deployments, aliases = Deployments(bridged(live), clock=lambda: now), frozenset[str]()
    moved = entry("chat_moved")
    moved["litellm_params"] = {"model": "ollama/tiny"}
    add(live, moved)
    first = deployments.facts(aliases)
    assert deployments.facts(aliases) is first
    assert first.places["chat_moved"] == ("local",)
    assert deployments.facts(frozenset({"mine"})).aliases == {"mine"}

    monkeypatch.setenv("OLLAMA_API_BASE", "https://models.example.com")
    now = FACTS_SECONDS
    assert deployments.facts(aliases).places["chat_moved"] != ("local",)

    add(live, {**moved, "litellm_params": {"model": "ollama/tiny", "api_base": "http://127.0.0.1:9"}})
    assert deployments.facts(aliases).places["chat_moved"] == ("local",)
    remove(live, moved["model_info"]["id"])
    assert "chat_moved" not in deployments.facts(aliases).groups
