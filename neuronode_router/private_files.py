"""Files and directories that only their owner may read, whatever the process's umask and the directory around them.

It must not know what they hold.
"""

from __future__ import annotations

import os
from pathlib import Path

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


def make_directory(path: Path) -> None:
    """Make a directory, and its parents, if it is not there; each that is keeps its mode. Raises `OSError`."""
    if path.is_dir():
        return
    if path.parent != path:
        make_directory(path.parent)
    path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def make_file(path: Path) -> None:
    """Make an empty file, and its directory, if it is not there; one that is keeps its mode. Raises `OSError`."""
    make_directory(path.parent)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, FILE_MODE))


def write_text(path: Path, text: str) -> None:
    """Write `text` into a file, which is made if it is not there. Raises `OSError`."""
    make_file(path)
    path.write_text(text, encoding="utf-8")
