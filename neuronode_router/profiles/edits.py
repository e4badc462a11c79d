"""A validated change of the profile files, kept in memory until it is published, and undone byte for byte.

It must not know what makes a profile valid, nor when its caller commits.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from neuronode_router.domain import ProfileSet
from neuronode_router.errors import ProfilesReadOnly
from neuronode_router.profiles.atomic import move_over, replace, sync_directory, write_beside

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileChange:
    """What one file holds before and after; None where it does not exist."""

    path: Path
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class StagedFiles:
    """The form of `control.ports.StagedEdit` for files."""

    profiles: ProfileSet
    changes: tuple[FileChange, ...]

    def publish(self) -> None:
        """Write all changed files, each atomically. Raises `ProfilesReadOnly`; then every file is as it was.

        All new content is on disk before the first file is replaced, so a full disk changes nothing.
        """
        done: list[FileChange] = []
        ready: dict[Path, Path] = {}
        try:
            for change in self.changes:
                if change.after is not None:
                    ready[change.path] = write_beside(change.path, change.after)
            for change in self.changes:
                if change.after is None:
                    _remove(change.path)
                else:
                    move_over(ready.pop(change.path), change.path)
                done.append(change)
        except OSError as error:
            for temporary in ready.values():
                temporary.unlink(missing_ok=True)
            _undo(done)
            raise ProfilesReadOnly(
                f"The profile files cannot be written: {error.strerror or error}."
            ) from error

    def revert(self) -> None:
        """Put back what `publish` replaced, but leave alone what somebody else wrote since. Never raises."""
        _undo(self.changes)


def _undo(changes: tuple[FileChange, ...] | list[FileChange]) -> None:
    for change in reversed(changes):
        try:
            if _content(change.path) != change.after:
                continue
            if change.before is None:
                _remove(change.path)
            else:
                replace(change.path, change.before)
        except OSError:
            logger.exception("neuronode: %s could not be put back; write it anew", change.path.name)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
