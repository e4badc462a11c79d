"""Replace a file's bytes so that a reader, or a power cut, sees the old or the new content and nothing between.

It must not know what the files hold.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_beside(path: Path, content: bytes) -> Path:
    """Write `content` into a new file in the directory of `path`, on disk and ready to be moved over it.

    It gets the mode and, where allowed, the owner of `path`. Returns its path. Raises `OSError`; nothing is left.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            _take_after(path, temporary)
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


def replace(path: Path, content: bytes) -> None:
    """Make `path` hold `content`, at once and for good. Raises `OSError`; the file then is as it was."""
    move_over(write_beside(path, content), path)


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


def _take_after(path: Path, temporary: Path) -> None:
    try:
        before = path.stat()
    except FileNotFoundError:
        return  # a new file is its owner's alone, as `mkstemp` makes it
    if hasattr(os, "chown"):
        with contextlib.suppress(PermissionError):
            os.chown(temporary, before.st_uid, before.st_gid)
    # After the owner: changing that may clear mode bits.
    temporary.chmod(before.st_mode & 0o7777)
