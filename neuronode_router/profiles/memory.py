"""What the files of this host said when they were last in force, so that they are no edit when found again.

It must not know what a profile or a policy is: it compares bytes.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from neuronode_router import private_files
from neuronode_router.foreign import described

logger = logging.getLogger(__name__)


class FilesMemory:
    """One file with what tells the content that was last in force, shared by the workers of a host and its next start.

    Every method blocks for the disk and never raises. Not synced: what a power cut takes away is the memory alone, and
    without one nothing is overruled.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unwritten: str | None = None
        """What could not be written: this process at least remembers it."""

    def recall(self) -> str | None:
        """Return what was kept last; None when nothing is known."""
        if self._unwritten is not None:
            return self._unwritten
        try:
            return self._path.read_text("ascii").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def keep(self, content: str) -> None:
        """Remember a content: of profiles the hash, by `content_hash` or `hash_of`; ASCII, one line."""
        staged = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            private_files.write_text(staged, content + "\n")
            staged.replace(self._path)
        except OSError as error:
            self._unwritten = content
            logger.warning("What is in force cannot be remembered in %s: %s", self._path.name, error)
        else:
            self._unwritten = None


def content_hash(directory: Path) -> str:
    """Return a hash over the names and bytes of `directory`'s YAML files, through symlinks. Never raises.

    Files of the other suffix count, because one is a reason to refuse all.
    """
    return hash_of((path.name, _content(path)) for path in yaml_files(directory))


def hash_of(files: Iterable[tuple[str, bytes]]) -> str:
    """Return what `content_hash` returns of a directory with these files: names and bytes, in any order."""
    digest = hashlib.sha256()
    for name, content in sorted(
        (os.fsencode(name), content) for name, content in files
    ):  # not every name is UTF-8
        digest.update(b"%d %s %d " % (len(name), name, len(content)))
        digest.update(content)
    return digest.hexdigest()


def yaml_files(directory: Path) -> list[Path]:
    """Return the files that count, in the order of their names; hidden ones are editors' own. Raises `OSError`."""
    return sorted(path for path in directory.glob("*") if counts(path.name))


def counts(name: str) -> bool:
    """Return whether a file of this name is one of the YAML files."""
    return name.endswith((".yaml", ".yml")) and not name.startswith(".")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        return described(error).encode()
