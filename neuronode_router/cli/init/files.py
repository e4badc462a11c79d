"""The new files of a set-up: profiles and environment. Written once, never over anything.

It must not know how the profiles were found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuronode_router.cli.serve.litellm_start import HOOKS_VARIABLE, PLUGIN_HOOK
from neuronode_router.errors import SettingsError
from neuronode_router.profiles.splice import dump

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
    """Return what any set-up needs whose configuration lies in `directory`."""
    files = [
        NewFile(profiles / f"{name}.yaml", _profile_text(name, body)) for name, body in documents.items()
    ]
    return [*files, NewFile(directory / ENV_FILE, _env_text(environ.get(HOOKS_VARIABLE, "")))]


def _profile_text(name: str, document: Mapping[str, Any]) -> str:
    head = f"# The profile {name}, proposed by `neuronode init`. Change what you like: it is read at once.\n"
    return head + dump(document)


def _env_text(hooks: str) -> str:
    return (
        "# What LiteLLM needs in its environment to run with neuronode-router. No secrets.\n"
        f"{HOOKS_VARIABLE}={with_plugin(hooks)}\n"
        "LITELLM_LOCAL_MODEL_COST_MAP=True\n"
        f"NEURONODE_DEFAULT_PROFILE={FIRST_PROFILE}\n"
    )


def with_plugin(hooks: str) -> str:
    """Return LiteLLM's hooks with the plugin's among them."""
    given = [hook.strip() for hook in hooks.split(",") if hook.strip()]
    return ",".join(given if PLUGIN_HOOK in given else [*given, PLUGIN_HOOK])
