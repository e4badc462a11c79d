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

_MEND = "Make the directory writable for the proxy, or free space there; or edit the profiles where they come from."

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
        except OSError as error:
            for temporary in ready.values():
                temporary.unlink(missing_ok=True)
            self.revert()
            message = f"The profile files cannot be written: {error.strerror or error}."
            raise ProfilesReadOnly(message, mend=_MEND) from error

    def revert(self) -> None:
        """Put back what `publish` replaced, but leave alone what somebody else wrote since. Never raises."""
        for change in reversed(self.changes):
            try:
                if _content(change.path) == change.after:
                    _put(change.path, change.before)
            except OSError:
                logger.exception("neuronode: %s could not be put back; write it anew", change.path.name)


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        _remove(path)
    else:
        replace(path, content)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
