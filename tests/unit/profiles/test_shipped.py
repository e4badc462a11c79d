"""The shipped profiles and LiteLLM's configuration fit each other and the price map."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuronode_router.domain.names import TASK_ALIASES
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.profiles.files import ProfileFiles
from tests.support.servers import missing
from tests.unit.profiles.shelf import REPOSITORY

CORE_TASKS = TASK_ALIASES[:5]
LEVELS = {
    "premium": ("high", "maximum"),
    "balanced": ("medium", "high"),
    "cost_effective": ("low", "good"),
    "specialized": ("medium", "high"),
    "ultra_fast": ("low", "good"),
}
"""Cost and performance level of the five profiles, as planned."""


@cache
def config() -> dict[str, Any]:
    """Return LiteLLM's configuration as LiteLLM reads it."""
    document: dict[str, Any] = yaml.safe_load((REPOSITORY / "litellm_config.yaml").read_text("utf-8"))
    return document


@cache
def groups() -> frozenset[str]:
    """Return the model groups of the configuration."""
    return frozenset(deployment["model_name"] for deployment in config()["model_list"])


@cache
def profiles() -> ProfileSet:
    """Return the shipped profiles; loading checks that every group they name exists."""
    return ProfileFiles(REPOSITORY / "profiles").load(HostFacts(groups()))


def deployments() -> list[Any]:
    """Return every deployment as a test parameter."""
    return [
        pytest.param(deployment, id=f"{deployment['model_name']}-{deployment['litellm_params']['model']}")
        for deployment in config()["model_list"]
    ]


def test_five_profiles_with_their_levels() -> None:
    """The five profiles have the planned levels, and the configuration's metadata say the same of them."""
    found = profiles().profiles

    assert {name: (p.cost_level, p.performance_level) for name, p in found.items()} == LEVELS
    assert config()["profile_settings"]["available_profiles"] == {
        name: {
            "cost_level": profile.cost_level,
            "performance_level": profile.performance_level,
            "description": profile.description,
        }
        for name, profile in found.items()
    }


def test_smart_aliases() -> None:
    """All 25 `<task>_<profile>` groups exist, and the five core tasks lead to them."""
    for name, profile in profiles().profiles.items():
        assert tuple(profile.tasks) == TASK_ALIASES
        assert {task: profile.tasks[task] for task in CORE_TASKS} == {
            task: f"{task}_{name}" for task in CORE_TASKS
        }
    assert len({f"{task}_{name}" for task in CORE_TASKS for name in LEVELS} & groups()) == 25


def test_tier_groups_have_several_deployments() -> None:
    """Each tier group can lose a deployment and still answer, and retries on another one."""
    for tier in ("fast", "medium", "complex"):
        found = [d for d in config()["model_list"] if d["model_name"] == f"tier_{tier}"]

        assert len({d["litellm_params"]["model"] for d in found}) >= 3
        assert all(d["model_info"]["neuronode"]["tier"] == tier for d in found)
        assert all(d["litellm_params"]["num_retries"] == 1 for d in found)


@pytest.mark.parametrize("deployment", deployments())
def test_deployment(deployment: dict[str, Any]) -> None:
    """Keys come from the environment, time-outs are set, and Ollama has its address and context window."""
    params, info = deployment["litellm_params"], deployment["model_info"]
    provider, _, name = params["model"].partition("/")

    assert 0 < params["stream_timeout"] <= params["timeout"] <= 300
    if provider == "ollama_chat":
        assert name in {"llama3.1:8b", "llama3.1:70b", "qwen2.5:7b"}
        assert params["api_base"] == "os.environ/OLLAMA_API_BASE"
        assert params["num_ctx"] == info["neuronode"]["context_window"]
        assert info["disable_background_health_check"] is True
    else:
        assert params["api_key"] == f"os.environ/{provider.upper()}_API_KEY"
    assert set(info["neuronode"]) == {
        "tier",
        "avg_latency_ms",
        "cost_factor",
        "context_window",
        "capabilities",
    }
    assert "tier" not in info  # LiteLLM's own key of that name allows only free and paid


def test_fallbacks_lead_to_groups_and_not_in_place() -> None:
    """Every group has fallbacks to other groups that exist, instead of retries on a single deployment."""
    fallbacks = {
        group: targets
        for entry in config()["router_settings"]["fallbacks"]
        for group, targets in entry.items()
    }

    assert fallbacks.keys() == groups()
    for group, targets in fallbacks.items():
        assert targets
        assert set(targets) <= groups() - {group}
    assert config()["router_settings"]["num_retries"] == 0


def test_no_secret_stands_in_the_configuration() -> None:
    """Every key refers to the environment; nothing looks like one; no line of `callbacks` is needed."""
    text = (REPOSITORY / "litellm_config.yaml").read_text("utf-8")

    values = re.findall(r"(?:api_key|master_key): *(.*)", text)
    assert values
    assert all(re.fullmatch(r"os\.environ/[A-Z_]+", value) for value in values)
    assert not re.search(r"\b(sk-|AIza|xox|ghp_)[A-Za-z0-9]", text)
    assert "callbacks" not in config()["litellm_settings"]
    assert config()["general_settings"]["always_include_stream_usage"] is True


def test_cloud_names_are_known_and_priced() -> None:
    """The installed LiteLLM knows the price and window of every cloud deployment, and none is about to be retired."""
    spec = find_spec("litellm")  # finds the package without the seconds that importing it costs
    if spec is None or spec.origin is None:
        missing("LiteLLM", ModuleNotFoundError("scripts/install"))
    price_map = Path(spec.origin).with_name("model_prices_and_context_window_backup.json")
    prices: dict[str, Any] = json.loads(price_map.read_text("utf-8"))

    for deployment in config()["model_list"]:
        provider, _, name = deployment["litellm_params"]["model"].partition("/")
        if provider != "ollama_chat":
            priced = prices[f"gemini/{name}" if provider == "gemini" else name]
            assert priced["litellm_provider"] == provider
            assert priced["output_cost_per_token"] > 0
            assert priced["max_input_tokens"] == deployment["model_info"]["neuronode"]["context_window"]
            assert priced.get("deprecation_date", "9999") > "2027-06"
