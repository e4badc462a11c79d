"""Where LiteLLM finds what its configuration only refers to: the environment, sections of its own, a secret manager.

It must not know what is looked for, and asks no secret manager.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neuronode_router.profiles.configuration import section

PREFIX = "os.environ/"
SECRET_MANAGERS = ("key_management_system", "use_azure_key_vault")
"""Entries of `general_settings` with which LiteLLM asks a secret manager first."""


def reference(value: object) -> str | None:
    """Return the variable that a value such as `os.environ/OPENAI_API_KEY` names; None for any other value."""
    return value.removeprefix(PREFIX) if isinstance(value, str) and value.startswith(PREFIX) else None


def environment_of(config: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as LiteLLM has it once it has read its configuration.

    What `environment_variables` says goes before what the process was started with.
    """
    known = dict(environ)
    for name, value in section(config, "environment_variables").items():
        named = reference(value)
        found = known.get(named) if named is not None else value
        if found is not None:
            known[str(name)] = str(found)
    return known


def has_secret_manager(config: Mapping[str, Any]) -> bool:
    """Whether a reference may be resolved by what cannot be looked into from here."""
    general = section(config, "general_settings")
    return any(general.get(name) for name in SECRET_MANAGERS)


def credentials_of(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what `credential_list` has for deployments that name one of its entries."""
    entries = config.get("credential_list")
    return {
        str(entry.get("credential_name")): section(entry, "credential_values")
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping)
    }
