"""Stand-ins for the control room's neighbours: profile files in memory or in one small file, and a recording applier.

They do what the ProfileManager and a worker ask of `ProfileFiles` and `Applier`, and nothing more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileEdit, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import Problem, ProfilesInvalid, UnknownProfile, UnknownTask

TASKS = ("classification", "chat")
NAMES = ("balanced", "cost_effective", "premium")
GROUPS = frozenset({f"{task}_{name}" for task in TASKS for name in NAMES} | {"tier"})
HOST = HostFacts(groups=GROUPS)


def make_profile(name: str, **tasks: str) -> Profile:
    """Return a valid profile whose tasks lead to `<task>_<name>`, but for those given."""
    groups = {task: f"{task}_{name}" for task in TASKS} | tasks
    return Profile(
        name=name,
        description=f"the {name} one",
        cost_level="low",
        performance_level="high",
        tasks=groups,
        tiers=dict.fromkeys(Tier, ("tier",)),
    )


def make_set(**changed: Profile) -> ProfileSet:
    """Return the three profiles, some of them replaced."""
    return ProfileSet({name: make_profile(name) for name in NAMES} | changed)


class MemoryEdit:
    """A staged edit of a `MemorySource`."""

    def __init__(self, source: MemorySource, profiles: ProfileSet) -> None:
        self._source = source
        self._before: ProfileSet | None = None
        self.profiles = profiles
        self.warnings = ()

    def publish(self) -> None:
        self._before = self._source.read()
        self._source.write(self.profiles)

    def revert(self) -> None:
        assert self._before is not None
        self._source.write(self._before)

    def finish(self) -> None:
        """Do nothing: one variable, or one file, cannot be half published."""


class MemoryFound(MemoryEdit):
    """What a `MemorySource` says already."""

    def publish(self) -> None:
        """Do nothing: it is there."""

    revert = publish


class MemorySource:
    """Profile "files" that are a variable; `invalid` makes every load fail, as a broken file does."""

    def __init__(self) -> None:
        self._content = make_set()
        self.invalid = False

    def read(self) -> ProfileSet:
        return self._content

    def write(self, profiles: ProfileSet) -> None:
        self._content = profiles

    def load(self, host: HostFacts) -> ProfileSet:
        if self.invalid:
            raise ProfilesInvalid([Problem(code="broken", message="It is broken.", fix="Fix it.")])
        return self.read()

    def stage_found(self, host: HostFacts) -> MemoryFound:
        return MemoryFound(self, self.load(host))

    def stage_profile(self, name: str, document: Mapping[str, Any], host: HostFacts) -> MemoryEdit:
        profile = Profile.from_document({**document, "name": name})
        return self.stage_set(ProfileSet({**self.load(host).profiles, name: profile}), host)

    def stage_edit(self, name: str, edit: ProfileEdit, host: HostFacts) -> MemoryEdit:
        profiles = self.load(host).profiles
        if name not in profiles:
            raise UnknownProfile(name, tuple(profiles))
        for task in edit.tasks:
            if task not in profiles[name].tasks:
                raise UnknownTask(task, tuple(profiles[name].tasks))
        return self.stage_profile(name, edit.of(profiles[name]).to_document(), host)

    def stage_set(
        self, profiles: ProfileSet, host: HostFacts, in_force: ProfileSet | None = None
    ) -> MemoryEdit:
        used = {use for profile in profiles.profiles.values() for use in profile.uses()}
        unknown = {use.group for use in used - host.committed} - host.groups
        if unknown:
            raise ProfilesInvalid([Problem(code="unknown_group", message=f"{unknown}", fix="Use another.")])
        return MemoryEdit(self, profiles)


class FileSource(MemorySource):
    """The same in one file, replaced atomically, so that other processes and a killed process's heirs see it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        if not path.exists():
            self.write(make_set())

    def read(self) -> ProfileSet:
        return ProfileSet.from_canonical(self._path.read_text())

    def write(self, profiles: ProfileSet) -> None:
        staged = self._path.with_suffix(f".{os.getpid()}.new")
        staged.write_text(profiles.canonical())
        staged.replace(self._path)


class RecordingApplier:
    """Applies by remembering; `refusal` makes it refuse."""

    def __init__(self) -> None:
        self.applied: list[ControlState] = []
        self.refusal: Exception | None = None
        self.host = HOST

    def prepare(self, state: ControlState) -> ControlState:
        if self.refusal is not None:
            raise self.refusal
        return state

    def surroundings(self) -> object:
        return self.host

    def swap(self, prepared: ControlState) -> None:
        self.applied.append(prepared)
