"""Derives LiteLLM's configuration from the operator's: groups without a backend become embedded.

It must not know processes or the network, and never writes what an `os.environ/` reference stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from neuronode_router.cli.serve.embedded import ANSWER_TOKENS, CONTEXT_TOKENS, SERVED_NAME, EmbeddedAddress
from neuronode_router.errors import SettingsError
from neuronode_router.profiles.configuration import Config, section

Deployment = Mapping[str, Any]

CUSTOM_AUTH = "neuronode_router.plugin.authenticate"
CHAT_MODES = (None, "chat", "completion", "responses")
"""What the embedded model can stand in for; a group for embeddings or images is left as it is."""
PRICE_FREE = ("input_cost_per_token", "output_cost_per_token")
PAGE = "neuronode-profiles"
"""The name under which LiteLLM's UI lists our page."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
NOT_KEPT = ("id", "base_model")
"""Entries of `model_info` by which LiteLLM would take the embedded deployment for the original."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which deployments LiteLLM gets, and which groups the embedded model answers."""

    deployments: tuple[Deployment, ...]
    """The operator's deployments that stay; of an embedded group only the first, which is to be replaced."""
    embedded: Mapping[str, str]
    """Group -> why its first deployment cannot be used."""
    left_out: tuple[str, ...]
    """`group: why` for each deployment that cannot be used although its group has another that can."""

    @property
    def groups(self) -> frozenset[str]:
        """The model groups; leaving deployments out never loses one."""
        return frozenset(str(deployment["model_name"]) for deployment in self.deployments)


def alias_target(written: object) -> str:
    """Return the group that an entry of `model_group_alias` leads to: it is a name, or `{model: name, hidden: ...}`."""
    return str(written.get("model") if isinstance(written, Mapping) else written)


def deployments_of(config: Config) -> list[Deployment]:
    """Return the entries of `model_list`. Raises `SettingsError` when it has none or one is malformed."""
    entries = config.get("model_list") or []
    if not isinstance(entries, list) or not entries:
        raise SettingsError("The configuration has no `model_list`.", fix="List at least one deployment.")
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("model_name"), str):
            raise SettingsError(f"Entry {number} of `model_list` has no `model_name`, which is a text.")
    return entries


def make_plan(deployments: list[Deployment], missing: Callable[[Deployment], str | None]) -> Plan:
    """Sort the groups: a group is embedded when it is for text and none of its deployments can be used.

    A group with usable deployments keeps those; any other stays whole, and fails as it would without us.
    """
    by_group: dict[str, list[tuple[Deployment, str | None]]] = {}
    for deployment in deployments:
        by_group.setdefault(str(deployment["model_name"]), []).append((deployment, missing(deployment)))
    kept: list[Deployment] = []
    embedded: dict[str, str] = {}
    left_out: list[str] = []
    for group, found in by_group.items():
        usable = [deployment for deployment, why in found if why is None]
        if usable:
            kept += usable
            left_out += [f"{group}: {why}" for _, why in found if why is not None]
        elif all(section(d, "model_info").get("mode") in CHAT_MODES for d, _ in found):
            kept.append(found[0][0])
            embedded[group] = str(found[0][1])
        else:
            kept += [deployment for deployment, _ in found]
    return Plan(tuple(kept), embedded, tuple(left_out))


def effective_config(
    config: Config, plan: Plan, *, embedded: EmbeddedAddress | None, custom_auth: bool, port: int
) -> Config:
    """Return a new configuration for LiteLLM, which will listen on `port`; `config` is left as it is.

    `embedded` may be None only where the plan embeds nothing. `custom_auth` has our access file judge keys.
    """
    result = dict(config)
    result["model_list"] = [
        _embedded_deployment(deployment, embedded)
        if embedded is not None and deployment["model_name"] in plan.embedded
        else deployment
        for deployment in plan.deployments
    ]
    # A key written into the file itself is handed to LiteLLM by the environment, like every other.
    result["general_settings"] = {
        **section(config, "general_settings"),
        "master_key": "os.environ/LITELLM_MASTER_KEY",
    }
    if isinstance(plugins := result["general_settings"].get("plugins"), list):
        result["general_settings"]["plugins"] = [_reached(plugin, port) for plugin in plugins]
    if custom_auth:
        result["general_settings"] |= {"custom_auth": CUSTOM_AUTH, "custom_auth_run_common_checks": True}
        result["litellm_settings"] = {
            **section(config, "litellm_settings"),
            # Without it LiteLLM lets every key that our function accepts use every group.
            "enable_post_custom_auth_checks": True,
        }
    return result


def _reached(plugin: object, port: int) -> object:
    """Return an entry of LiteLLM's `plugins`; our page's address on this machine names the port that is listened on."""
    if not isinstance(plugin, dict) or plugin.get("name") != PAGE:
        return plugin
    try:
        address = urlsplit(str(plugin.get("url")))
    except ValueError:
        return plugin
    if address.hostname not in LOOPBACK:
        return plugin  # as browsers reach it from elsewhere: the operator knows better
    host = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
    return {**plugin, "url": urlunsplit(address._replace(netloc=f"{host}:{port}"))}


def dump_config(config: Config) -> str:
    """Return the configuration as YAML text that LiteLLM reads back equal."""
    head = (
        "# Written by `neuronode serve` at every start: edit the configuration it was derived from instead.\n"
    )
    return head + yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=10**6)


def _embedded_deployment(original: Deployment, address: EmbeddedAddress) -> Deployment:
    """Return the deployment that stands in for a group; what is known about the group (tier, ...) is kept."""
    info = {k: v for k, v in section(original, "model_info").items() if k not in NOT_KEPT}
    return {
        "model_name": original["model_name"],
        "litellm_params": {
            "model": f"openai/{SERVED_NAME}",
            "api_base": f"{address.url}/v1",
            "api_key": address.key,
            # Requests written for the real model may carry parameters that this one does not have.
            "drop_params": True,
            # The server drops a connection after a streamed answer without saying so; the next request would fail.
            "extra_headers": {"Connection": "close"},
        },
        "model_info": {
            **info,
            "neuronode_embedded": True,
            "mode": "chat",
            "max_input_tokens": CONTEXT_TOKENS - ANSWER_TOKENS,
            **dict.fromkeys(PRICE_FREE, 0),
        },
    }
