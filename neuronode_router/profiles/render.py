"""Write the active profile into LiteLLM's configuration: the alias map and `current_profile`, and nothing else.

It must not know what decides on a switch. The file serves restarts without the plugin and people who look at it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neuronode_router import private_files
from neuronode_router.atomic_files import one_at_a_time, replace_unchanged
from neuronode_router.errors import RenderFailed, SettingsError
from neuronode_router.profiles.configuration import merged
from neuronode_router.profiles.splice import NotUnderstood, mapping_of, revise

ATTEMPTS = 5

SECTIONS = ("router_settings", "profile_settings")
"""What is written of a configuration."""

_BY_HAND = "Correct the file by hand; it is rendered again at the next switch."


@dataclass(frozen=True, slots=True)
class Moment:
    """A revision and when it was committed: another store counts its revisions anew."""

    revision: int = 0
    committed_at: float = 0.0
    """Unix time in seconds, clock of the host that committed."""

    def is_settled_by(self, other: Moment) -> bool:
        """Return whether `other` is this one, or a newer one by both."""
        newer = other.revision > self.revision and other.committed_at >= self.committed_at
        return newer or other == self


def render_revision(
    path: Path, mark: Path, *, aliases: Mapping[str, str], profile: str, moment: Moment
) -> bool:
    """Make the configuration at `path` say what was committed, unless this host rendered that or a newer one already.

    Returns whether its bytes changed. `mark` is a file beside the host's state: it remembers the moment, the bytes
    it was rendered into (a file that was replaced since is rendered again) and the names we own, so that a task alias
    that is dropped later leaves the configuration even after a restart. Blocks up to some seconds while another worker
    renders. A symbolic link is followed and the file behind it replaced. Raises `RenderFailed`; the file then is as it
    was.
    """
    with _reported(path):
        real = path.resolve(strict=True)
        with one_at_a_time(real.parent):
            last = _Mark.read(mark)
            if moment.is_settled_by(last.moment) and last.file == _signature(real):
                return False
            managed = last.managed | aliases.keys()
            changed = _render(path, real, aliases=aliases, managed=managed, profile=profile)
            _Mark(moment, _signature(real), frozenset(aliases)).write(mark)
            return changed


def _render(
    path: Path, real: Path, *, aliases: Mapping[str, str], managed: Collection[str], profile: str
) -> bool:
    for _ in range(ATTEMPTS):
        before = real.read_bytes()
        _require_own(path, before.decode())
        after = rendered(before.decode(), aliases=aliases, managed=managed, profile=profile).encode()
        if after == before:
            return False
        if replace_unchanged(real, before=before, after=after):
            return True
    raise RenderFailed(f"{real.name} was not rewritten: something else keeps changing it.")


def _require_own(path: Path, text: str) -> None:
    """Raise `RenderFailed` where LiteLLM takes a section that we write from a file that `path` includes."""
    own = mapping_of(text)
    if not own.get("include"):
        return
    try:
        whole = merged(own, path)
    except SettingsError as error:
        raise RenderFailed(f"{path.name} was not rewritten: {error}", fix=_BY_HAND) from error
    for section in SECTIONS:
        if whole.get(section) != own.get(section):
            raise RenderFailed(
                f"{path.name} was not rewritten: a file that it includes has {section}, which LiteLLM takes instead.",
                fix=f"Move {section} into {path.name}, or set NEURONODE_RENDER=off.",
            )


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise RenderFailed(f"{path.name} was not rewritten: it is not UTF-8.", fix=_BY_HAND) from error
    except NotUnderstood as error:
        raise RenderFailed(f"{path.name} was not rewritten: {error}.", fix=_BY_HAND) from error
    except OSError as error:
        raise RenderFailed(f"{path.name} was not rewritten: {error.strerror or error}.") from error


@dataclass(frozen=True, slots=True)
class _Mark:
    """What this host rendered last."""

    moment: Moment = Moment()
    file: str = ""
    managed: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path) -> _Mark:
        try:
            content = json.loads(path.read_text())
            moment = Moment(int(content["revision"]), float(content.get("committed_at", 0.0)))
            return cls(moment, str(content["file"]), frozenset(content["managed"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, path: Path) -> None:
        content = {**asdict(self.moment), "file": self.file, "managed": sorted(self.managed)}
        private_files.write_text(path, json.dumps(content))


def _signature(path: Path) -> str:
    info = path.stat()
    return f"{info.st_ino}:{info.st_mtime_ns}:{info.st_size}"


def rendered(text: str, *, aliases: Mapping[str, str], managed: Collection[str], profile: str) -> str:
    """Return the configuration `text` so that it says `aliases` and `profile`. Raises `NotUnderstood`.

    `managed` are the names we own or owned: those missing from `aliases` are removed, and every other alias is the
    operator's and stays.
    """
    current = mapping_of(text)
    router, settings = _section(current, "router_settings"), _section(current, "profile_settings")
    before = _section(router, "model_group_alias")
    ours = {name: _target(before.get(name), group) for name, group in aliases.items()}
    kept = {name: target for name, target in before.items() if name not in managed}
    return revise(
        text,
        {
            **current,
            "router_settings": {**router, "model_group_alias": {**kept, **ours}},
            "profile_settings": {**settings, "current_profile": profile},
        },
        current=current,
    )


def _target(before: object, group: str) -> object:
    """A `{model:, hidden:}` entry keeps its form: whether the name is listed is the operator's choice."""
    return {**before, "model": group} if isinstance(before, dict) else group


def _section(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a copy, so that what an anchor shares with other places stays as it is there."""
    section = parent.get(name) or {}
    if not isinstance(section, dict):
        raise NotUnderstood(f"its {name} is not a mapping")
    return dict(section)
