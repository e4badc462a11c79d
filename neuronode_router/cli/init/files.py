"""The new files of a set-up: profiles, environment, compose override. Written once, never over anything.

It must not know how the profiles were found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuronode_router.cli.compose import (
    OVERRIDES,
    Launch,
    find_compose,
    find_override,
    litellm_services,
)
from neuronode_router.cli.serve.litellm_start import HOOKS_VARIABLE, PLUGIN_HOOK
from neuronode_router.errors import SettingsError
from neuronode_router.profiles.splice import dump
from neuronode_router.version import VERSION

ENV_FILE = "neuronode.env"
FIRST_PROFILE = "balanced"


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be written, unless it is there already."""

    path: Path
    text: str

    @property
    def exists(self) -> bool:
        """Whether something lies there."""
        return self.path.exists() or self.path.is_symlink()

    def write(self) -> None:
        """Write it, making its directory. Raises `SettingsError`, also when it came to be in the meantime."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(self.text)
        except OSError as error:
            raise SettingsError(f"{self.path} cannot be written: {error.strerror}.") from error


def new_files(
    directory: Path, profiles: Path, documents: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str]
) -> list[NewFile]:
    """Return everything that the plugin needs in a set-up whose configuration lies in `directory`."""
    files = [
        NewFile(profiles / f"{name}.yaml", _profile_text(name, body)) for name, body in documents.items()
    ]
    files.append(NewFile(directory / ENV_FILE, _env_text(environ.get(HOOKS_VARIABLE, ""))))
    override = _override(directory, profiles)
    return [*files, override] if override else files


def _profile_text(name: str, document: Mapping[str, Any]) -> str:
    head = f"# The profile {name}, proposed by `neuronode init`. Change what you like: it is read at once.\n"
    return head + dump(document)


def _env_text(hooks: str) -> str:
    return (
        "# What LiteLLM needs in its environment to run with neuronode-router. No secrets.\n"
        f"{HOOKS_VARIABLE}={_with_plugin(hooks)}\n"
        "LITELLM_LOCAL_MODEL_COST_MAP=True\n"
        f"NEURONODE_DEFAULT_PROFILE={FIRST_PROFILE}\n"
    )


def _with_plugin(hooks: str) -> str:
    given = [hook.strip() for hook in hooks.split(",") if hook.strip()]
    return ",".join(given if PLUGIN_HOOK in given else [*given, PLUGIN_HOOK])


def _override(directory: Path, profiles: Path) -> NewFile | None:
    """Return the override for the compose file beside the configuration, where a service of it runs LiteLLM's image."""
    compose = find_compose(directory)
    services = [service for service in litellm_services(compose) if service.image]
    if compose is None or not services:
        return None
    name = OVERRIDES[0] if compose.name.startswith("compose") else OVERRIDES[2]
    # Compose itself knows paths from its own directory; elsewhere only absolute ones.
    mounted = f"./{profiles.relative_to(directory)}" if profiles.is_relative_to(directory) else str(profiles)
    parts = [_service_text(service, mounted) for service in services]
    text = f"{_OVERRIDE_HEAD}services:\n{''.join(parts)}volumes:\n  neuronode-state:\n"
    return NewFile(find_override(directory) or directory / name, text)


def _service_text(service: Launch, profiles: str) -> str:
    hooks = _with_plugin(service.environ.get(HOOKS_VARIABLE, ""))
    return f"""\
  {json.dumps(service.name)}:
    image: neuronode-{service.name.lower()}:{VERSION}
    build:
      context: .
      args:
        NEURONODE_ROUTER: ${{NEURONODE_ROUTER:?set it in .env to the address of a wheel or repository}}
      dockerfile_inline: |
        FROM {service.image}
        ARG NEURONODE_ROUTER
        USER root
        COPY --from=astral/uv:0.13.9 /uv /usr/local/bin/uv
        # The Python that runs litellm in this image, wherever it lies.
        RUN python="$$(head -n 1 "$$(command -v litellm)" | cut -c 3-)" \\
            && uv pip install --python "$$python" --break-system-packages --no-cache "$$NEURONODE_ROUTER"
    environment:
      {HOOKS_VARIABLE}: {json.dumps(hooks)}
      LITELLM_LOCAL_MODEL_COST_MAP: "True"
      NEURONODE_DEFAULT_PROFILE: {FIRST_PROFILE}
      NEURONODE_PROFILES: /neuronode/profiles
      NEURONODE_STATE_DIR: /neuronode/state
      NEURONODE_POLICY: /neuronode/state/policy.yaml
      # A single mounted file cannot be replaced from inside the container.
      NEURONODE_RENDER: "off"
    volumes:
      - {json.dumps(f"{profiles}:/neuronode/profiles")}
      - neuronode-state:/neuronode/state
"""


_OVERRIDE_HEAD = """\
# Adds neuronode-router to the services that run LiteLLM. Written by `neuronode init`; start: docker compose up --build
# NEURONODE_ROUTER, in .env, says what is installed: the address of a wheel or of a repository. No index has it by name.
"""
