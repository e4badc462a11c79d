"""Where the policy of this host is written, and what of that was last in force: found again, it is no new edit.

It must not know what a policy means, nor when anybody looks.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from neuronode_router.domain.state import ControlState
from neuronode_router.errors import ProfilesReadOnly
from neuronode_router.policy.document import Policy
from neuronode_router.policy.file import parse_policy, written
from neuronode_router.profiles.edits import StagedFiles
from neuronode_router.profiles.intent import FileChange
from neuronode_router.profiles.memory import FilesMemory

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PolicySignature:
    """What differs when the file was written, replaced, or taken away: then all are 0."""

    modified: int = 0
    """Nanoseconds, as `changed` is."""
    changed: int = 0
    size: int = 0
    inode: int = 0

    def mark(self, digest: str) -> str:
        """Return what is remembered of a save that says the policy with this digest; the same saved anew differs."""
        return f"{digest}:{self.modified}:{self.inode}"


MISSING = PolicySignature()


class PolicyPlace:
    """The policy file at `path`. `memory` is shared by the workers of this host. Every method blocks for the disk."""

    def __init__(self, path: Path, memory: FilesMemory) -> None:
        self.path = path
        self._memory = memory

    def signature(self) -> PolicySignature:
        """Return what the file is now. Raises `OSError`."""
        try:
            info = self.path.stat()
        except FileNotFoundError:
            return MISSING
        return PolicySignature(info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino)

    def staged(self, policy: Policy, state: ControlState) -> StagedFiles:
        """Prepare writing a policy over a file that says another one, or none. Raises `ProfilesReadOnly`."""
        path = self.path
        try:
            before = path.read_bytes() if path.exists() else None
        except OSError as error:
            raise ProfilesReadOnly(f"{path.name} cannot be read: {error.strerror}.") from error
        says = Policy() if before is None else parse_policy(before)[0]
        after = None if policy.is_empty else written(policy)
        same = says is not None and says.digest == policy.digest
        changes = () if same else (FileChange(path, before, after),)
        return StagedFiles(
            state.profiles, changes, path.parent, followed=True, stands=lambda: self._keep_written(policy)
        )

    def found(self, mark: str, state: ControlState) -> StagedFiles:
        """Prepare putting in force what the file says, without a change of it."""
        return StagedFiles(
            state.profiles, (), self.path.parent, followed=True, stands=lambda: self.keep(mark)
        )

    def keep(self, mark: str) -> None:
        """Remember what is in force. Never raises."""
        self._memory.keep(mark)

    def keeps(self, mark: str) -> bool:
        """Return whether it is the last that was in force by this file. Never raises."""
        return self._memory.recall() == mark

    def _keep_written(self, policy: Policy) -> None:
        try:
            # Saved by hand since it was written, it says something else, and the mark fits no file.
            self.keep(self.signature().mark(policy.digest))
        except OSError:
            logger.exception(
                "neuronode: %s may be put in force again by a worker that looks late", self.path.name
            )
