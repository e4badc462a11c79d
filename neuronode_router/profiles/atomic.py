"""Replace a file's bytes so that a reader, or a power cut, sees the old or the new content and nothing between.

It must not know what the files hold.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

Rights = tuple[int, int, int]
"""Mode bits, user and group of a file."""


def rights_of(path: Path) -> Rights | None:
    """Return who may do what with a file, None where there is none. Raises `OSError`."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_mode & 0o7777, found.st_uid, found.st_gid)


def write_beside(path: Path, content: bytes, *, rights: Rights | None = None) -> Path:
    """Write `content` into a new file in the directory of `path`, on disk and ready to be moved over it.

    It gets the mode and, where allowed, the owner of `path`; where that is gone `rights`, and without them it is its
    owner's alone. Returns its path. Raises `OSError`; nothing is left.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            _take_over(rights_of(path) or rights, temporary)
            os.fsync(handle)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def move_over(temporary: Path, path: Path) -> None:
    """Put a file made by `write_beside` in place of `path`. Raises `OSError`; the file is then gone."""
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def replace(path: Path, content: bytes, *, rights: Rights | None = None) -> None:
    """Make `path` hold `content`, at once and for good; `rights` are for a file that is gone.

    Raises `OSError`; the file then is as it was.
    """
    move_over(write_beside(path, content, rights=rights), path)


def replace_unchanged(path: Path, *, before: bytes, after: bytes) -> bool:
    """Replace `before` by `after`, or return False when somebody saved something else meanwhile. Raises `OSError`."""
    temporary = write_beside(path, after)
    try:
        if path.read_bytes() != before:
            return False
        move_over(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def sync_directory(directory: Path) -> None:
    """Make renames and removals in `directory` survive a power cut. Raises `OSError`."""
    if os.name == "nt":
        return  # directories cannot be opened there
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take_over(rights: Rights | None, temporary: Path) -> None:
    if rights is None:
        return  # a new file is its owner's alone, as `mkstemp` makes it
    mode, user, group = rights
    if hasattr(os, "chown"):
        with contextlib.suppress(PermissionError):
            os.chown(temporary, user, group)
    # After the owner: changing that may clear mode bits.
    temporary.chmod(mode)
