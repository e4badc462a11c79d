"""The services of a compose file that run LiteLLM: how each is started, and in which environment.

It must not know what is looked for in them. References such as ${NAME} stay as they are written, unless the variables
are given that fill them. Files of an environment may hold secrets: their values are never shown.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

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
FILES_VARIABLE = "COMPOSE_FILE"
"""Names the files that it reads in the place of those."""
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
_Body: TypeAlias = Mapping[str, Any]
_BETWEEN = re.compile(r"""[\s;&|()"']+""")
_PROGRAM = re.compile(r"(?:[^\s:=]*/)?litellm|litellm\.proxy[.\w]*")
_REFERENCE = re.compile(
    r"\$(?:\$|(?P<bare>[a-z_]\w*)|\{(?P<name>[a-z_]\w*)(?:(?P<how>:?[-?+])(?P<word>(?:[^{}]|\{[^{}]*\})*))?\})",
    re.IGNORECASE | re.ASCII,
)
"""A reference to a variable, in each form that compose has; `$$` is a dollar."""
_STARTING = re.compile(r"--|-m|-[a-z]*c")
"""Options whose value is a program: of Python, of a shell, and the end of those of an init."""
LONGEST_NUMBER = 9
"""Digits; Python refuses to read very long ones."""
ENVIRONMENT = "environment"
"""The name of the launch from this environment."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One way in which LiteLLM is started: this environment, or a service of a compose file."""

    name: str
    environ: Mapping[str, str] = field(repr=False)
    command: tuple[str, ...] = ()
    image: str | None = None
    """What a service is started from; None where it is built, and for this environment."""
    lacking: frozenset[str] = frozenset()
    """Variables of its environment that compose insists on (`${NAME:?}`) and that are not set: it is not started."""
    user: str | None = None
    """As whom it runs; None: as the image says."""

    @property
    def is_service(self) -> bool:
        """Whether it is a service of a compose file."""
        return self.name != ENVIRONMENT

    @property
    def workers(self) -> int:
        """How many worker processes it starts."""
        given = self.option("--num_workers") or self.environ.get("NUM_WORKERS", "")
        return int(given) if given.isdecimal() and len(given) <= LONGEST_NUMBER else 1

    def place(self, where: str) -> str:
        """Return `where` with the service that it is about."""
        return f"{self.name}: {where}" if self.is_service else where

    def option(self, name: str) -> str | None:
        """Return the value of an option of the command, in either spelling."""
        for word, following in pairwise((*self.command, "")):
            if word == name:
                return following
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
        return None


def compose_files(directory: Path, variables: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files of a directory that compose merges, in its order; () where there are none."""
    if named := variables.get(FILES_VARIABLE):
        paths = [
            directory / name for name in named.split(variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep)
        ]
        return tuple(path for path in paths if path.is_file())
    found = next((path for name in COMPOSE_FILES if (path := directory / name).is_file()), None)
    return tuple(path for path in (found, find_override(directory)) if path) if found else ()


def find_override(directory: Path) -> Path | None:
    """Return what is merged into the compose file of a directory, None where there is nothing."""
    return next((path for name in OVERRIDES if (path := directory / name).is_file()), None)


def project_variables(directory: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what compose fills references with: the caller's environment, then the `.env` beside its file."""
    return {**_env_files(".env", directory), **environ}


def litellm_services(files: Sequence[Path], variables: Mapping[str, str] | None = None) -> tuple[Launch, ...]:
    """Return the services that run LiteLLM, of files that are merged. Never raises: broken files have none.

    `variables` fill what refers to them; without any, references stay.
    """
    parts: dict[str, list[_Body]] = {}
    for path in files:
        for name, body in _services(path).items():
            parts.setdefault(name, []).append(body)
    return tuple(
        _service(name, bodies, files[0].parent, variables)
        for name, bodies in parts.items()
        if _is_litellm(bodies[0]) or _is_litellm(_merged(bodies))
    )


def _merged(bodies: Sequence[_Body]) -> _Body:
    return {key: value for body in bodies for key, value in body.items()}


def _services(path: Path) -> dict[str, _Body]:
    try:
        document = yaml.safe_load(path.read_bytes())
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    services = document.get("services") if isinstance(document, dict) else None
    entries = services.items() if isinstance(services, dict) else ()
    return {str(name): body for name, body in entries if isinstance(body, dict)}


def _is_litellm(body: _Body) -> bool:
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


def _service(
    name: str, bodies: Sequence[_Body], directory: Path, variables: Mapping[str, str] | None
) -> Launch:
    filling = _Filling(variables)
    merged = _merged(bodies)
    image = merged.get("image") if not merged.get("build") else None
    environ: dict[str, str] = {}
    for part in bodies:
        environ |= _env_files(filling.all_of(part.get("env_file")), directory)
    insisted = _Filling(variables)
    for part in bodies:
        environ |= _environment(insisted.all_of(part.get("environment")), variables or {})
    words = (filling.all_of(merged.get(key)) for key in ("entrypoint", "command"))
    return Launch(
        name,
        environ,
        tuple(word for part in words for word in _command(part)),
        filling.text(str(image)) if image else None,
        frozenset(insisted.lacking),
        str(merged["user"]) if merged.get("user") else None,
    )


class _Filling:
    """Fills references as compose does, and notes what it insists on in vain; without variables nothing is filled."""

    def __init__(self, variables: Mapping[str, str] | None) -> None:
        self._variables = variables
        self.lacking: set[str] = set()

    def all_of(self, node: object) -> object:
        """Return a text filled, and a list's or a mapping's texts; what is nested deeper stays."""
        if isinstance(node, list):
            return [self.text(each) for each in node]
        if isinstance(node, dict):
            return {name: self.text(each) for name, each in node.items()}
        return self.text(node)

    def text(self, node: Any) -> Any:
        """Return a text filled, and anything else as it is."""
        if self._variables is None or not isinstance(node, str):
            return node
        return _REFERENCE.sub(self._value, node)

    def _value(self, found: re.Match[str]) -> str:
        name, how, word = found["bare"] or found["name"], found["how"] or "", found["word"] or ""
        if name is None:
            return "$"
        assert self._variables is not None
        value = self._variables.get(name)
        there = bool(value) if how.startswith(":") else value is not None
        if how.endswith("+"):
            return str(self.text(word)) if there else ""
        if value is not None and there:
            return value
        if how.endswith("?"):
            self.lacking.add(name)
            return found[0]
        return str(self.text(word))


def _command(command: object) -> tuple[str, ...]:
    if isinstance(command, list):
        return tuple(map(str, command))
    try:
        return tuple(shlex.split(str(command or "")))
    except ValueError:
        return (str(command),)


def _environment(environment: object, passed: Mapping[str, str]) -> dict[str, str]:
    """Return what is set there; a name without a value is passed through from whoever calls compose."""
    found: dict[str, str | None] = {}
    if isinstance(environment, list):
        pairs = (str(entry).partition("=") for entry in environment)
        found = {name: value if says else passed.get(name) for name, says, value in pairs}
    if isinstance(environment, dict):
        found = {
            str(name): passed.get(str(name)) if value is None else str(value)
            for name, value in environment.items()
        }
    return {name: value for name, value in found.items() if value is not None}


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
