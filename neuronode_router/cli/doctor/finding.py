"""What a check finds, and what it is given to look at.

It must not know any check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from neuronode_router.cli.compose import ENVIRONMENT, Launch
from neuronode_router.cli.references import environment_of
from neuronode_router.profiles.configuration import section
from neuronode_router.settings import Settings

Level = Literal["problem", "advice"]
Document = Mapping[str, Any]
MOST_NAMES = 6
"""Of a list in a sentence: nobody wants to read more."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One trap. A problem breaks something now or opens a door; advice costs time, money or a surprise."""

    level: Level
    code: str
    where: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A LiteLLM configuration with everything around it."""

    config: Document
    settings: Settings
    environ: Mapping[str, str] = field(repr=False)
    services: tuple[Launch, ...] = ()
    """Those of a compose file beside the configuration that run LiteLLM."""

    @property
    def launches(self) -> tuple[Launch, ...]:
        """This environment first, then the services."""
        return (Launch(ENVIRONMENT, self.environ), *self.services)

    @property
    def running(self) -> tuple[Launch, ...]:
        """The launches that are meant: services where compose starts any that runs LiteLLM, else this environment."""
        return tuple(each for each in self.services if not each.lacking) or self.launches[:1]

    def known(self, launch: Launch) -> Mapping[str, str]:
        """Return the environment as LiteLLM has it with this configuration."""
        return environment_of(self.config, launch.environ)

    @property
    def general(self) -> Document:
        """The `general_settings`."""
        return section(self.config, "general_settings")

    @property
    def router(self) -> Document:
        """The `router_settings`."""
        return section(self.config, "router_settings")

    @property
    def litellm(self) -> Document:
        """The `litellm_settings`."""
        return section(self.config, "litellm_settings")

    @property
    def deployments(self) -> tuple[tuple[str, Document], ...]:
        """Each entry of the `model_list`, under its place in it."""
        entries = self.config.get("model_list")
        found = enumerate(entries if isinstance(entries, list) else ())
        return tuple((f"model_list[{number}]", entry) for number, entry in found if isinstance(entry, dict))

    @property
    def groups(self) -> frozenset[str]:
        """The names of the model groups."""
        return frozenset(str(entry.get("model_name")) for _, entry in self.deployments)

    @property
    def stores_in_database(self) -> bool:
        """Whether LiteLLM takes models and settings from its database."""
        return is_on(self.general.get("store_model_in_db")) or any(
            is_on(self.known(launch).get("STORE_MODEL_IN_DB")) for launch in self.running
        )


def params_of(deployment: Document) -> Document:
    """Return the `litellm_params` of a deployment."""
    return section(deployment, "litellm_params")


def info_of(deployment: Document) -> Document:
    """Return the `model_info` of a deployment."""
    return section(deployment, "model_info")


def runs_on_ollama(deployment: Document) -> bool:
    """Whether a deployment is served by an Ollama."""
    return str(params_of(deployment).get("model", "")).startswith(("ollama/", "ollama_chat/"))


def is_on(value: object) -> bool:
    """Whether a setting of LiteLLM is on: the boolean, or the word as an environment has it."""
    return value is True or str(value).strip().lower() in ("true", "1")


def names(items: Iterable[str]) -> str:
    """Return names as a list for a sentence."""
    found = sorted(set(items))
    rest = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return ", ".join(found[:MOST_NAMES]) + rest
