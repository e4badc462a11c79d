"""The intent of a publish that touches several files: with it, whoever reads next can end what a killed process began.

It must not know what the files mean, nor what is committed: it is told which way to go.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuronode_router.atomic_files import Rights, replace, rights_of, sync_directory

PREFIX, SUFFIX = ".publish-", ".json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileChange:
    """What one file holds before and after; None where it does not exist."""

    path: Path
    before: bytes | None
    after: bytes | None
    rights: Rights | None = None
    """Of the file with `before`: it gets them back where it had been removed."""

    def with_rights(self) -> FileChange:
        """Return the change with the rights that its file has now. Raises `OSError`."""
        return self if self.before is None else dataclasses.replace(self, rights=rights_of(self.path))

    def forward(self) -> bool:
        """Turn `before` into `after`, leave alone what is neither; return whether it changed. Raises `OSError`."""
        return _exchange(self.path, self.before, self.after)

    def back(self) -> bool:
        """Turn `after` into `before`, leave alone what is neither; return whether it changed. Raises `OSError`."""
        return _exchange(self.path, self.after, self.before, rights=self.rights)


def declare(directory: Path, changes: Sequence[FileChange], digest: str) -> Path:
    """Write down, on disk for good, that `changes` are about to lead `directory` to the set `digest`.

    Returns the file, which nobody but this user can read. Raises `OSError`; nothing is left.
    """
    root = directory.resolve()
    files = [
        {
            "path": str(change.path.resolve().relative_to(root)),
            "before": _to_text(change.before),
            "after": _to_text(change.after),
            "rights": change.rights,
        }
        for change in changes
    ]
    handle, name = tempfile.mkstemp(prefix=PREFIX, suffix=SUFFIX, dir=directory)
    intent = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            json.dump({"digest": digest, "files": files}, file)
            file.flush()
            os.fsync(handle)
        sync_directory(directory)
    except OSError:
        intent.unlink(missing_ok=True)
        raise
    return intent


def intents(directory: Path) -> list[Path]:
    """Return the intents that lie in `directory`: of processes that are publishing, or that died. Raises `OSError`."""
    with os.scandir(directory) as found:
        names = [entry.name for entry in found if entry.name.startswith(PREFIX)]
    return [directory / name for name in sorted(names) if name.endswith(SUFFIX)]


def end(intent: Path, committed: str | None) -> None:
    """End a publish: forward where `committed` is the digest it leads to, else back. What others wrote since stays.

    Call it only while nobody can publish. Raises `OSError`; the intent then stays, to be ended later.
    """
    try:
        content = intent.read_bytes()
    except FileNotFoundError:
        return  # its own process, or another one, ended it
    try:
        digest, changes = _parse(content, intent.parent.resolve())
    except (ValueError, KeyError, TypeError, RecursionError):
        # It is complete before the first file is touched, so there is nothing to undo.
        logger.warning("neuronode: %s is incomplete: no file was changed", intent.name)
    else:
        forward = digest == committed
        changed = [change.forward() if forward else change.back() for change in changes]
        if any(changed):  # else it had ended, and only its intent was left
            outcome = "completed" if forward else "undone"
            logger.warning("neuronode: a publish of %d files was cut short and is %s", len(changes), outcome)
    remove(intent)


def remove(path: Path) -> None:
    """Make `path` be gone, for good. Raises `OSError`."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def _exchange(path: Path, found: bytes | None, wanted: bytes | None, *, rights: Rights | None = None) -> bool:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = None
    except IsADirectoryError:
        return False
    if content != found:
        return False
    if wanted is None:
        remove(path)
    else:
        replace(path, wanted, rights=rights)
    return True


def _parse(content: bytes, root: Path) -> tuple[str, list[FileChange]]:
    document = json.loads(content)
    changes = [
        FileChange(
            _inside(root, file["path"]),
            _to_bytes(file["before"]),
            _to_bytes(file["after"]),
            _to_rights(file.get("rights")),
        )
        for file in document["files"]
    ]
    return str(document["digest"]), changes


def _inside(root: Path, relative: str) -> Path:
    """Return the path below `root`: whoever can put files here must not reach files elsewhere through us."""
    path = root / relative
    if not path.resolve().is_relative_to(root):
        raise ValueError("leads out of the directory")
    return path


def _to_text(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()


def _to_bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text, validate=True)


def _to_rights(found: Any) -> Rights | None:
    if found is None:
        return None
    mode, user, group = map(int, found)
    return (mode & 0o777, user, group)  # whoever can put files here makes none that runs as its owner
