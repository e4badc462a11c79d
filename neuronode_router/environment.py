"""The environment of this process, and the two places that follow from it without any other setting.

It must not know settings: it loads nothing, so that a command which needs no more than these starts at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

PREFIX = "NEURONODE_"
DEFAULT_CONFIG = Path("litellm_config.yaml")
_PROCESS = MappingProxyType(os.environ)  # a copy takes longer than most lookups in it


def variable(field: str) -> str:
    """Return the environment variable of a setting: `poll_seconds` -> `NEURONODE_POLL_SECONDS`."""
    return PREFIX + field.upper()


def process_environment() -> Mapping[str, str]:
    """Return this process's environment as it is at any time: the only place of the package that reads it."""
    return _PROCESS


def stated(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that say something: one set to nothing, as a line `NAME=` of an `env_file`, is left out.

    LiteLLM takes an empty one for a value: for the address of a database, for a number.
    """
    return {name: value for name, value in environ.items() if value}


def config_path(environ: Mapping[str, str], host_config: Path = DEFAULT_CONFIG) -> Path:
    """Return the LiteLLM configuration that is named, or else `host_config`. An empty variable counts as unset."""
    return absolute(environ.get(variable("config"), "").strip() or host_config)


def state_directory(environ: Mapping[str, str], host_config: Path = DEFAULT_CONFIG) -> Path:
    """Return the state directory that is named, or else `.neuronode/` beside the configuration."""
    named = environ.get(variable("state_dir"), "").strip()
    return absolute(named or config_path(environ, host_config).parent / ".neuronode")


def absolute(path: str | Path) -> Path:
    """Return a path from the root; links in it stay."""
    # Not resolve(): a ConfigMap's symbolic links must be followed anew at each read.
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100
