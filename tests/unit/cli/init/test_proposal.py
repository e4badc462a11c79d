"""What is read off a configuration, and which profiles follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.cli.init.groups import Group, litellm_prices, text_groups
from neuronode_router.cli.init.proposal import propose
from neuronode_router.domain.names import TASK_ALIASES, Tier
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.profiles.checks import Draft, check_drafts
from neuronode_router.safe_yaml import Source

ROOT = Path(__file__).parents[4]
PRICES = {"dear": {"output_cost_per_token": 3e-5, "mode": "chat"}, "vec": {"mode": "embedding"}}


def group_of(name: str, target: str, **info: Any) -> Group:
    """What is known of one deployment's group."""
    deployment = {"model_name": name, "litellm_params": {"model": target}, "model_info": info}
    [group], _ = text_groups([deployment], PRICES)
    return group


@pytest.mark.parametrize(
    ("name", "target", "info", "tier", "why"),
    [
        ("a", "openai/x", {"neuronode": {"tier": "complex"}}, Tier.COMPLEX, "noted"),
        ("a", "openai/x-mini", {"output_cost_per_token": 3e-5}, Tier.COMPLEX, "$30"),
        ("a", "openai/dear", {}, Tier.COMPLEX, "$30"),
        ("a", "openai/x", {"output_cost_per_token": 1e-6}, Tier.FAST, "$1"),
        ("a", "openai/x", {"output_cost_per_token": 2e-6}, Tier.MEDIUM, "$2"),
        ("a", "ollama_chat/qwen:3b", {}, Tier.FAST, "3 billion"),
        ("a", "ollama_chat/llama3.1:8b", {}, Tier.MEDIUM, "8 billion"),
        ("a", "ollama_chat/llama3.1:70b", {}, Tier.COMPLEX, "70 billion"),
        ("a", "ollama_chat/some:1.5b", {}, Tier.FAST, "1.5 billion"),
        ("a", "openai/o4-mini", {}, Tier.FAST, "'mini'"),
        ("a", "anthropic/claude-opus", {}, Tier.COMPLEX, "'opus'"),
        ("a", "openai/prose", {}, Tier.MEDIUM, "nothing"),
        ("tier_fast", "openai/x", {}, Tier.FAST, "its name"),
    ],
)
def test_how_heavy_a_group_is(name: str, target: str, info: Mapping[str, Any], tier: Tier, why: str) -> None:
    """A note goes before a price, a price before a size, a size before a word; each says so."""
    group = group_of(name, target, **info)

    assert group.tier is tier
    assert why in group.tier_why


@pytest.mark.parametrize(
    ("name", "target", "info"),
    [
        ("a", "openai/vec", {}),
        ("a", "openai/x", {"mode": "image_generation"}),
        ("a", "openai/text-embedding", {}),
        ("openai/*", "openai/*", {}),
        ("a", "auto_router/complexity_router", {}),
        ("a", "openai/o9-deep-research", {"mode": "responses"}),
        ("a", "openai/gpt-x-realtime-preview", {}),
        ("a", "openai/computer-use-preview", {"mode": "chat"}),
    ],
)
def test_what_cannot_answer_with_text_is_left_out(name: str, target: str, info: Mapping[str, Any]) -> None:
    """With a reason."""
    groups, unused = text_groups(
        [{"model_name": name, "litellm_params": {"model": target}, "model_info": info}], PRICES
    )

    assert groups == []
    assert unused[name]


def test_own_hardware_is_cheapest_whatever_prices_say() -> None:
    """A price map lists Ollama with 0, which says nothing about size."""
    assert (
        group_of("a", "ollama_chat/x:70b", output_cost_per_token=0).price
        < group_of("b", "openai/x-nano").price
    )


def test_the_price_map_of_the_installed_litellm_is_read_without_importing_it() -> None:
    """It is where LiteLLM keeps it, and knows OpenAI's."""
    assert "gpt-4o-mini" in litellm_prices()


CONFIG = yaml.safe_load((ROOT / "tests/testdata/init/litellm_config.yaml").read_text())


def test_each_profile_is_what_its_name_says() -> None:
    """On a set-up of four groups."""
    groups, _ = text_groups(CONFIG["model_list"], {})
    profiles = {name: document["tasks"] for name, document in propose(groups).items()}

    assert set(profiles["premium"].values()) == {"thinker"}
    assert set(profiles["ultra_fast"].values()) == {"quick"}
    assert profiles["cost_effective"]["chat"] == "house"
    assert (profiles["balanced"]["classification"], profiles["balanced"]["strategy"]) == ("quick", "thinker")
    assert profiles["specialized"]["strategy"] == "thinker"


def test_a_group_that_is_named_for_a_task_of_a_profile_gets_it() -> None:
    """Somebody who names groups so means it: our own configuration comes out as our own profiles."""
    config = yaml.safe_load((ROOT / "litellm_config.yaml").read_text())
    groups, _ = text_groups(config["model_list"], {})

    tasks = propose(groups)["premium"]["tasks"]

    assert tasks["classification"] == "classification_premium"
    assert tasks["validation_secondary"] == "validation_secondary_premium"


def test_a_second_opinion_comes_from_another_vendor() -> None:
    """Where one is as heavy."""
    groups = [group_of("one", "openai/x-opus"), group_of("two", "anthropic/y-opus")]

    tasks = propose(groups)["balanced"]["tasks"]

    assert {tasks["validation_primary"], tasks["validation_secondary"]} == {"one", "two"}


NAMES = st.text("abcdefgh-._/:", min_size=1, max_size=12).filter(lambda name: name not in TASK_ALIASES)
GROUPS = st.builds(
    Group,
    name=NAMES,
    tier=st.sampled_from(list(Tier)),
    tier_why=st.just(""),
    price=st.floats(0, 100),
    price_why=st.just(""),
    latency=st.floats(1, 10_000),
    vendor=st.sampled_from(["a", "b"]),
    capabilities=st.lists(st.sampled_from(TASK_ALIASES)).map(tuple),
)


@given(st.lists(GROUPS, min_size=1, max_size=8, unique_by=lambda group: group.name))
def test_whatever_groups_there_are_the_proposal_is_valid(groups: list[Group]) -> None:
    """Complete profiles that name existing groups only."""
    drafts = [Draft(name, document, Source(name)) for name, document in propose(groups).items()]

    _, problems = check_drafts(drafts, HostFacts(groups=frozenset(group.name for group in groups)))

    assert problems == []
