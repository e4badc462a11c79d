"""A profile as YAML text: read with the places of its problems, and written for an editor.

It must not know what is valid: the proxy decides that, since it knows the model groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuronode_router.cli.http import Connection, checked
from neuronode_router.domain.names import TASK_ALIASES, TIERS
from neuronode_router.errors import Problem, ProfilesInvalid, SettingsError
from neuronode_router.profiles.schema import CAPS, to_profile
from neuronode_router.profiles.splice import dump
from neuronode_router.safe_yaml import Source, dotted, read_yaml


@dataclass(frozen=True, slots=True)
class ProfileText:
    """What a file says, and where."""

    file: str
    document: dict[str, Any]
    places: Mapping[str, tuple[int, int]]
    """Line and column of each path, such as `tasks.chat`."""

    def located(self, problem: Problem) -> Problem:
        """Return a problem that the proxy found, with the place in this file: its own, or what it stands in."""
        parent = problem.path.rpartition(".")[0]
        line, column = self.places.get(problem.path) or self.places.get(parent) or (0, 0)
        return replace(problem, file=self.file, line=line, column=column)


def read_profile(file: Path) -> ProfileText:
    """Read a file. Raises `ProfilesInvalid` for what is no YAML, `SettingsError` for what cannot be read."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read: {error.strerror}.", fix="Name a profile file."
        ) from error
    reading = read_yaml(raw, str(file), caps=CAPS)
    if reading.problems or reading.document is None:
        raise ProfilesInvalid(reading.problems)
    places = {dotted(path): place for path, place in reading.source.places.items()}
    return ProfileText(str(file), reading.document, places)


def read_valid_profile(connection: Connection, name: str, file: Path) -> ProfileText:
    """Read a file that is to be the profile `name`. Raises as `read_profile`, with what the proxy finds wrong too."""
    text = read_profile(file)
    problems = checked(connection, {"name": name, "profile": text.document})
    if problems:
        raise ProfilesInvalid([text.located(problem) for problem in problems])
    return text


def write_profile(profile: Mapping[str, Any]) -> str:
    """Return the YAML text of a profile as the admin API shows it, without its name."""
    # A profile's file holds numbers as quoted texts; the API has them as numbers.
    entries = {
        key: str(value) if isinstance(value, float) else value for key, value in in_order(profile).items()
    }
    return dump({key: value for key, value in entries.items() if key != "name"})


def canonical(name: str, document: Mapping[str, Any]) -> str:
    """Return a profile as `write_profile` has it: every key there, in the usual order."""
    profile, _ = to_profile(name, document, Source(name))
    return write_profile(profile.to_document()) if profile else dump(document)


def in_order(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile of the admin API with tasks and tiers in the order in which people think of them."""
    tasks, tiers = profile["tasks"], profile["tiers"]
    known = [task for task in TASK_ALIASES if task in tasks]
    return {
        **profile,
        "tasks": {task: tasks[task] for task in (*known, *sorted(tasks.keys() - {*known}))},
        "tiers": {tier.value: tiers[tier.value] for tier in TIERS},
    }
