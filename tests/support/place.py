"""Writes the files a test proxy lives on: a LiteLLM configuration, profiles and, if asked, keys.

It must not know processes. Every model group answers through the fake provider under its own name, and
every task of every profile has a group of its own, so an answer shows exactly which mapping served it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from neuronode_router.access import AccessKey, add_key
from neuronode_router.domain.names import TASK_ALIASES

PROFILES = ("premium", "balanced", "cost_effective", "specialized", "ultra_fast")
FIRST_PROFILE = "premium"
PROVIDER_KEY = "sk-provider-canary-5d0e8f"
TIERS = ("fast", "medium", "complex")
GROUPS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {profile: MappingProxyType({t: f"{t}_{profile}" for t in TASK_ALIASES}) for profile in PROFILES}
)
"""Profile -> task -> model group."""

FALLING = ("strategy_specialized", "rescue")
"""A group whose only deployment fails, and the group its configured fallback leads to."""
FAILING = "trading_analysis_specialized"
"""A group whose only deployment fails, without a fallback."""

PATIENCE_MS = 60_000
"""What the tiers' groups are expected to take: a busy machine is no overload, so `auto` stays in its tier."""

WINDOWS = {"chat_premium": 40_000, "chat_cost_effective": 8_000}
"""Groups whose windows are known: a switch makes that of `chat` smaller."""

PAIR, QUICK, LAME = "pair", "pair-quick", "pair-lame-slow-200"
"""A group of two deployments whose ids are their names, and one of them is slow."""

_SPECIAL_TIERS: Mapping[str, Mapping[str, list[str]]] = {
    "specialized": {"complex": [FALLING[0], "tier_complex"]},
}
"""The heaviest tier of this profile begins with a group whose only deployment fails."""

_SPECIAL_DEPLOYMENTS = {
    FALLING[0]: "openai/strategy_specialized-fail-500",
    FAILING: "openai/trading_analysis_specialized-fail-503",
    "native": "anthropic/native",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a test proxy is configured with."""

    directory: Path
    upstream: str
    """The fake provider's address."""
    keys: Sequence[AccessKey] = ()
    callbacks: Sequence[str] = ()
    """Dotted paths of LiteLLM callbacks."""
    deployments: Sequence[Mapping[str, Any]] = ()
    """More entries of the model list."""
    general: Mapping[str, Any] = field(default_factory=dict)
    """More `general_settings`."""
    litellm: Mapping[str, Any] = field(default_factory=dict)
    """More `litellm_settings`."""

    @property
    def config(self) -> Path:
        """The LiteLLM configuration file."""
        return self.directory / "litellm_config.yaml"

    @property
    def profiles(self) -> Path:
        """The directory of profile files."""
        return self.directory / "profiles"

    @property
    def access_file(self) -> Path | None:
        """The access file, where there are keys."""
        return self.directory / "access.yaml" if self.keys else None

    def write(self) -> None:
        """Write everything, replacing what is there."""
        self.profiles.mkdir(parents=True, exist_ok=True)
        for profile in PROFILES:
            (self.profiles / f"{profile}.yaml").write_text(profile_text(profile))
        if self.access_file:
            self.access_file.unlink(missing_ok=True)
            for key in self.keys:
                add_key(self.access_file, key)
        header = "# A comment that a rendered configuration must keep.\n"
        self.config.write_text(header + yaml.safe_dump(self._config(), sort_keys=False))

    def _config(self) -> dict[str, Any]:
        groups = [group for tasks in GROUPS.values() for group in tasks.values()]
        groups += [f"tier_{tier}" for tier in TIERS]
        groups += [FALLING[1], "embed", "native"]
        litellm_settings: dict[str, Any] = dict(self.litellm)
        if self.callbacks:
            litellm_settings["callbacks"] = list(self.callbacks)
        general = {"master_key": "os.environ/LITELLM_MASTER_KEY", **self.general}
        if self.keys:
            general["custom_auth"] = "neuronode_router.plugin.authenticate"
            general["custom_auth_run_common_checks"] = True
            litellm_settings["enable_post_custom_auth_checks"] = True
        return {
            "model_list": [
                *map(self._deployment, groups),
                *(self._one_of_pair(name) for name in (QUICK, LAME)),
                *map(dict, self.deployments),
            ],
            "litellm_settings": litellm_settings,
            "general_settings": general,
            "router_settings": {
                "num_retries": 0,
                "disable_cooldowns": True,
                "fallbacks": [{FALLING[0]: [FALLING[1]]}],
                "model_group_alias": dict(GROUPS[FIRST_PROFILE]),
            },
            "profile_settings": {"current_profile": FIRST_PROFILE},
        }

    def _deployment(self, group: str) -> dict[str, Any]:
        provider_name = _SPECIAL_DEPLOYMENTS.get(group, f"openai/{group}")
        base = self.upstream if provider_name.startswith("anthropic/") else f"{self.upstream}/v1"
        info: dict[str, Any] = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
        if group.startswith("tier_"):
            info["neuronode"] = {"avg_latency_ms": PATIENCE_MS}
        if group in WINDOWS:
            info["neuronode"] = {"context_window": WINDOWS[group]}
        return {
            "model_name": group,
            "litellm_params": {"model": provider_name, "api_base": base, "api_key": PROVIDER_KEY},
            "model_info": info,
        }

    def _one_of_pair(self, name: str) -> dict[str, Any]:
        entry = self._deployment(PAIR)
        params = {**entry["litellm_params"], "model": f"openai/{name}"}
        return {**entry, "litellm_params": params, "model_info": {**entry["model_info"], "id": name}}


@functools.cache
def profile_text(profile: str, **changes: str) -> str:
    """Return the YAML of one test profile; `changes` replaces the groups of some tasks."""
    document = {
        "description": f"The test profile {profile}.",
        "cost_level": "medium",
        "performance_level": "high",
        "tasks": {**GROUPS[profile], **changes},
        "tiers": {tier: [f"tier_{tier}"] for tier in TIERS} | _SPECIAL_TIERS.get(profile, {}),
    }
    return f"# {profile}, with a comment to keep\n" + yaml.safe_dump(document, sort_keys=False)
