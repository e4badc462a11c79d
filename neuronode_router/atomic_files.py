"""Replace a file's bytes so that a reader, or a power cut, sees the old or the new content and nothing between.

It must not know what the files hold.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

LOCK_SECONDS = 5.0
LOCK_RETRY_SECONDS = 0.01

_one_thread = threading.Lock()

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


@contextlib.contextmanager
def one_at_a_time(directory: Path) -> Iterator[None]:
    """Keep other threads and processes out that would change files of a directory. Raises `TimeoutError`, an `OSError`.

    The lock is on the directory itself: that leaves no file behind, and needs no right to write.
    """
    if not _one_thread.acquire(timeout=LOCK_SECONDS):
        raise TimeoutError("another thread is still writing it")
    try:
        if sys.platform == "win32":  # LiteLLM runs one worker there
            yield
            return
        handle = os.open(directory, os.O_RDONLY)
        try:
            _lock(handle)
            yield
        finally:
            os.close(handle)  # and with it the lock
    finally:
        _one_thread.release()


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


def _lock(handle: int) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError("another process is still writing it") from None
            threading.Event().wait(LOCK_RETRY_SECONDS)
        else:
            return
