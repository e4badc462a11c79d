"""The services of a compose file that run LiteLLM: how each is started, and in which environment.

It must not know what is looked for in them. References such as ${NAME} stay as they are written. Files of an
environment may hold secrets: their values are never shown.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""In the order in which `docker compose` looks for them."""
OVERRIDES = (
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
"""What it merges into them."""
OPTIONS = frozenset(
    {
        "--num_workers",
        "--detailed_debug",
        "--timeout_worker_healthcheck",
        "--run_gunicorn",
        "--run_hypercorn",
        "--run_granian",
        "--use_prisma_db_push",
        "--max_requests_before_restart",
        "--keepalive_timeout",
    }
)
"""Options that LiteLLM has and hardly any other program: `--config` and `--port` are everybody's."""
_BETWEEN = re.compile(r"""[\s;&|()"']+""")
_PROGRAM = re.compile(r"(?:[^\s:=]*/)?litellm|litellm\.proxy[.\w]*")
_STARTING = re.compile(r"--|-m|-[a-z]*c")
"""Options whose value is a program: of Python, of a shell, and the end of those of an init."""
LONGEST_NUMBER = 9
"""Digits; Python refuses to read very long ones."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One way in which LiteLLM is started: this environment, or a service of a compose file."""

    name: str
    environ: Mapping[str, str] = field(repr=False)
    command: tuple[str, ...] = ()
    image: str | None = None
    """What a service is started from; None where it is built, and for this environment."""

    @property
    def workers(self) -> int:
        """How many worker processes it starts."""
        given = self.option("--num_workers") or self.environ.get("NUM_WORKERS", "")
        return int(given) if given.isdecimal() and len(given) <= LONGEST_NUMBER else 1

    def option(self, name: str) -> str | None:
        """Return the value of an option of the command, in either spelling."""
        for word, following in pairwise((*self.command, "")):
            if word == name:
                return following
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
        return None


def find_compose(directory: Path) -> Path | None:
    """Return the compose file of a directory, None where there is none."""
    return next((path for name in COMPOSE_FILES if (path := directory / name).is_file()), None)


def find_override(directory: Path) -> Path | None:
    """Return what is merged into the compose file of a directory, None where there is nothing."""
    return next((path for name in OVERRIDES if (path := directory / name).is_file()), None)


def litellm_services(path: Path | None) -> tuple[Launch, ...]:
    """Return the services of a compose file and its override that run LiteLLM. Never raises: broken files have none."""
    if path is None:
        return ()
    services, override = _services(path), _services(find_override(path.parent))
    return tuple(
        _service(name, body, override.get(name, {}), path.parent)
        for name, body in services.items()
        if _is_litellm(body) or _is_litellm({**body, **override.get(name, {})})
    )


def _services(path: Path | None) -> dict[str, Mapping[str, Any]]:
    try:
        document = yaml.safe_load(path.read_bytes()) if path else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    services = document.get("services") if isinstance(document, dict) else None
    entries = services.items() if isinstance(services, dict) else ()
    return {str(name): body for name, body in entries if isinstance(body, dict)}


def _is_litellm(body: Mapping[str, Any]) -> bool:
    """Whether LiteLLM is in the name of the image or of what it is built from, is started, or has its options."""
    origin = f"{body.get('image') or ''} {body.get('build') or ''}".lower()
    words = (*_command(body.get("entrypoint")), *_command(body.get("command")))
    options = {word.partition("=")[0] for word in words}
    return (
        "litellm" in origin or _starts_litellm(words) or ("--config" in options and bool(options & OPTIONS))
    )


def _starts_litellm(words: tuple[str, ...]) -> bool:
    return any(
        _PROGRAM.fullmatch(word)
        for before, word in pairwise(("", *_BETWEEN.split(" ".join(words))))
        if not before.startswith("-") or _STARTING.fullmatch(before)
    )


def _service(name: str, body: Mapping[str, Any], override: Mapping[str, Any], directory: Path) -> Launch:
    merged = {**body, **override}
    image = merged.get("image") if not merged.get("build") else None
    environ: dict[str, str] = {}
    for part in (body, override):
        environ |= _env_files(part.get("env_file"), directory)
    for part in (body, override):
        environ |= _environment(part.get("environment"))
    return Launch(
        name,
        environ,
        (*_command(merged.get("entrypoint")), *_command(merged.get("command"))),
        str(image) if image else None,
    )


def _command(command: object) -> tuple[str, ...]:
    if isinstance(command, list):
        return tuple(map(str, command))
    try:
        return tuple(shlex.split(str(command or "")))
    except ValueError:
        return (str(command),)


def _environment(environment: object) -> dict[str, str]:
    """Return what is set there; a name without a value is passed through from whoever calls compose."""
    if isinstance(environment, list):
        pairs = (str(entry).partition("=") for entry in environment)
        return {name: value for name, says, value in pairs if says}
    if isinstance(environment, dict):
        return {str(name): str(value) for name, value in environment.items() if value is not None}
    return {}


def _env_files(files: object, directory: Path) -> dict[str, str]:
    """Return what the files of `env_file` say, later ones first; nothing for one that is not there."""
    found: dict[str, str | None] = {}
    for entry in files if isinstance(files, list) else [files]:
        named = entry.get("path") if isinstance(entry, dict) else entry
        if isinstance(named, str) and named:
            found |= _env_file(directory / named)
    return {name: value for name, value in found.items() if value is not None}


def _env_file(path: Path) -> dict[str, str | None]:
    try:
        return dict(dotenv_values(path, interpolate=False))
    except (OSError, ValueError):
        return {}
