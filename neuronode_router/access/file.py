"""The access file: the keys of a proxy without a database, kept in memory, reread on change, added to by the CLI.

It must not know HTTP, LiteLLM or SQL: a key arrives as text, the answer is an entry or an error.
"""

from __future__ import annotations

import hmac
import io
import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ruamel.yaml import YAML

from neuronode_router.access.document import entry_document, parse_access
from neuronode_router.access.keys import AccessKey, key_hash
from neuronode_router.atomic_files import one_at_a_time, replace
from neuronode_router.errors import NotAuthenticated, Problem, SettingsError
from neuronode_router.private_files import make_directory

MAX_KEY_CHARS = 512

_NEW_FILE = """\
# Keys of a LiteLLM proxy that runs without a database. Only the SHA-256 of a key is kept here.
# Add one with `neuronode key create`; remove an entry to revoke it (effective within a second or two).
keys: []
"""


class AccessFile:
    """The keys of a proxy without a database, kept in memory and reread when the file changes.

    `find` only looks into memory. `refresh` blocks on the disk: call it every second or so, in a thread.
    A broken or missing file leaves the last good keys in force and shows itself in `problems`.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.problems: tuple[Problem, ...] = ()
        self.warnings: tuple[str, ...] = ()
        self._path = path
        self._clock = clock
        self._keys: Mapping[str, AccessKey] = {}
        self._seen: tuple[int, ...] | None = None
        self.refresh()

    def find(self, plain: str) -> AccessKey:
        """Return the entry of a key. Raises `NotAuthenticated` when nobody knows it or it has expired.

        The dictionary is asked for a hash, which a caller cannot steer; the comparison takes constant time.
        """
        digest = key_hash(plain) if len(plain) <= MAX_KEY_CHARS else ""
        entry = self._keys.get(digest)
        if entry is None or not hmac.compare_digest(entry.sha256, digest):
            raise NotAuthenticated("This key is not known.")
        if entry.expires is not None and self._clock() >= entry.expires:
            raise NotAuthenticated(
                "This key has expired.", fix="Ask an administrator of the proxy for a new key."
            )
        return entry

    def by_hash(self, digest: str) -> AccessKey | None:
        """Return the entry of an authenticated key's `key_hash`; None for other keys. Never raises."""
        return self._keys.get(digest)

    def entries(self) -> tuple[AccessKey, ...]:
        """Return every entry in force, in the order of the file. Never raises."""
        return tuple(self._keys.values())

    def refresh(self) -> None:
        """Read the file again if it changed. Blocks for the disk; never raises."""
        try:
            info = self._path.stat()
            signature = (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino)
            if signature == self._seen:
                return
            raw = self._path.read_bytes()
        except OSError as error:
            self._seen = None
            fix = "Put it back, or correct NEURONODE_ACCESS_FILE; the last good keys stay valid until then."
            self.problems = (Problem("access_unreadable", f"{error.strerror}.", fix, file=self._path.name),)
            return
        self.warnings = _mode_warnings(info.st_mode, self._path)
        keys, self.problems = parse_access(raw, file=self._path.name)
        if not self.problems:
            self._keys = {key.sha256: key for key in keys}
        self._seen = signature


def add_key(path: Path, key: AccessKey) -> None:
    """Append an entry to the access file, made (mode 0600) where there is none; comments are kept.

    The file is replaced atomically, under a lock; mode and owner stay, and a symbolic link is followed. Raises
    `SettingsError` when it is, or would become, invalid, or cannot be written.
    """
    try:
        real = Path(os.path.realpath(path))
        make_directory(real.parent)
        with one_at_a_time(real.parent):
            before = real.read_bytes() if real.exists() else _NEW_FILE.encode()
            replace(real, _with_key(before, key, path))
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(f"The access file {path} cannot be written: {reason}.") from error


def _with_key(raw: bytes, key: AccessKey, path: Path) -> bytes:
    yaml = YAML()
    _parse_or_refuse(raw, path)
    document = yaml.load(raw)
    keys = document["keys"]
    if not keys:
        keys.fa.set_block_style()
    keys.append(entry_document(key))
    text = io.BytesIO()
    yaml.dump(document, text)
    _parse_or_refuse(text.getvalue(), path)
    return text.getvalue()


def _mode_warnings(mode: int, path: Path) -> tuple[str, ...]:
    if os.name == "posix" and stat.S_IMODE(mode) & 0o022:
        return (f"{path.name} can be written by other users of this machine: chmod 600 it.",)
    return ()


def _parse_or_refuse(raw: bytes, path: Path) -> None:
    if problems := parse_access(raw, file=path.name)[1]:
        raise SettingsError("; ".join(map(str, problems)), fix=f"Correct {path.name}, then repeat.")
