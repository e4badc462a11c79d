"""A validated change of the profile files, kept in memory until it is published, and undone byte for byte.

It must not know what makes a profile valid, nor when its caller commits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from neuronode_router.atomic_files import move_over, write_beside
from neuronode_router.domain.profiles import ProfileSet
from neuronode_router.errors import ProfilesReadOnly
from neuronode_router.profiles.intent import FileChange, declare, remove

_MEND = "Make the directory writable for the proxy, or free space there; or edit the profiles where they come from."

logger = logging.getLogger(__name__)


def _nothing() -> None:
    """Nobody remembers."""


@dataclass(slots=True)
class StagedFiles:
    """A change of one or several files; of several, all are declared before the first is replaced."""

    profiles: ProfileSet
    changes: tuple[FileChange, ...]
    directory: Path
    followed: bool = False
    """Whether a worker puts in force what the files say, whenever that is: then nobody needs to be told."""
    warnings: tuple[str, ...] = ()
    """Sentences about files that say what is not in force: what becomes of them."""
    stands: Callable[[], None] = _nothing
    """Called once it is committed, to remember what is in force: it is nobody's new edit. Never raises."""
    _intent: Path | None = field(default=None, init=False)

    def publish(self) -> None:
        """Write all changed files, each atomically. Raises `ProfilesReadOnly`; then every file is as it was.

        All new content is on disk before the first file is replaced, so a full disk changes nothing.
        """
        ready: dict[Path, Path] = {}
        try:
            self.changes = tuple(change.with_rights() for change in self.changes)
            for change in self.changes:
                if change.after is not None:
                    ready[change.path] = write_beside(change.path, change.after, rights=change.rights)
            if len(self.changes) > 1:
                self._intent = declare(self.directory, self.changes, self.profiles.digest)
            for change in self.changes:
                if change.after is None:
                    remove(change.path)
                else:
                    move_over(ready.pop(change.path), change.path)
        except OSError as error:
            for temporary in ready.values():
                temporary.unlink(missing_ok=True)
            self.revert()
            names = ", ".join(change.path.name for change in self.changes)
            message = f"Writing {names} failed: {error.strerror or error}."
            raise ProfilesReadOnly(message, fix=_MEND) from error

    def revert(self) -> None:
        """Put back what `publish` replaced, but leave alone what somebody else wrote since. Never raises."""
        undone = True
        for change in reversed(self.changes):
            try:
                change.back()
            except OSError:
                undone = False
                logger.exception("neuronode: %s could not be put back; write it anew", change.path.name)
        if undone:
            self._end()

    def leave(self) -> None:
        """Leave what was published to the next reader, who will know whether it was committed. Never raises."""
        if self._intent is not None or self.followed or not self.changes:
            return
        try:
            self._intent = declare(self.directory, self.changes, self.profiles.digest)
        except OSError:
            logger.exception("neuronode: the files may be ahead of what is committed; reload to commit them")

    def finish(self) -> None:
        """Let what was published stand: it is committed. Never raises."""
        self.stands()
        self._end()

    def _end(self) -> None:
        if self._intent is None:
            return
        try:
            remove(self._intent)
        except OSError:
            logger.exception("neuronode: %s could not be removed; the next reader does", self._intent.name)
