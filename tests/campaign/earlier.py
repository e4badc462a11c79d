"""The code of the release before the newest migration, out of the repository's own history.

It must not know campaigns. Without the history, as in an archive of the sources, there is none.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = "neuronode_router/storage/migrations/versions"


def before_newest_migration(folder: Path) -> Path | None:
    """Write that code into `folder` and return it; None where the history does not have it."""
    newest = max((ROOT / VERSIONS).glob("m[0-9]*.py")).name
    added = _git("log", "--diff-filter=A", "--format=%H", "--", f"{VERSIONS}/{newest}").split()
    if not added:
        return None
    packed = _git("archive", "--format=tar", f"{added[-1].decode()}^")
    if not packed:
        return None
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _git(*words: str) -> bytes:
    try:
        found = subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return b""
    return found.stdout
