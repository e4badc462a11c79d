"""Who may do what: roles, pure access rules, and the access file for proxies without a database.

It must not know HTTP, LiteLLM or SQL: a key arrives as text, the answer is a `Principal` or an error.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from neuronode_router.domain import Profile
from neuronode_router.errors import NotAllowed, NotAuthenticated, Problem, SettingsError

EVERY_PROFILE = "*"
"""In a key's `profiles`: every profile there is."""

KEY_PREFIX = "sk-neuronode-"
MAX_FILE_BYTES = 256 * 1024
MAX_KEY_CHARS = 512
MAX_DEPTH = 5
REFRESH_SECONDS = 1.0

_NEW_FILE = """\
# Keys of a LiteLLM proxy that runs without a database. Only the SHA-256 of a key is kept here.
# Add one with `neuronode key create`; remove an entry to revoke it (effective within a second or two).
keys: []
"""


class Role(StrEnum):
    """An admin reads and writes, a viewer reads, a member reads what concerns its team."""

    ADMIN = "admin"
    VIEWER = "viewer"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Principal:
    """A known caller."""

    name: str
    """A key alias or a user id: never a key."""
    role: Role
    team: str | None = None
    profiles: tuple[str, ...] = ()
    """Profiles this caller may choose for a single request; `"*"` is every profile."""


def may_read_all(principal: Principal) -> bool:
    """Return whether the caller sees every profile, the audit log and the workers. Never raises."""
    return principal.role in (Role.ADMIN, Role.VIEWER)


def require_reader(principal: Principal) -> None:
    """Let administrators and viewers pass. Raises `NotAllowed` for everybody else."""
    if not may_read_all(principal):
        raise NotAllowed("This needs the role admin or viewer.")


def require_writer(principal: Principal) -> None:
    """Let administrators pass. Raises `NotAllowed` for everybody else."""
    if principal.role is not Role.ADMIN:
        raise NotAllowed("This needs the role admin.")


def may_override(principal: Principal, profile: Profile) -> bool:
    """Return whether the caller may choose this profile for a single request. Never raises."""
    return (
        principal.role is Role.ADMIN
        or EVERY_PROFILE in principal.profiles
        or profile.name in principal.profiles
        or (principal.team is not None and principal.team in profile.allowed_teams)
    )


def visible(principal: Principal, profile: Profile) -> bool:
    """Return whether the caller may read this profile. Never raises.

    A member reads what it may use, and the profiles that are neither hidden nor kept for certain teams.
    """
    is_public = not profile.hidden and not profile.allowed_teams
    return may_read_all(principal) or is_public or may_override(principal, profile)


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One entry of the access file."""

    name: str
    sha256: str
    role: Role = Role.MEMBER
    team: str | None = None
    tasks: tuple[str, ...] = ()
    """What the key may send as `model`: task aliases, groups, `auto`. Empty means everything."""
    profiles: tuple[str, ...] = ()
    expires: float | None = None
    """Unix time in seconds; None means never."""

    @property
    def principal(self) -> Principal:
        """The caller this key stands for."""
        return Principal(name=self.name, role=self.role, team=self.team, profiles=self.profiles)


def generate_key(
    name: str,
    *,
    role: Role = Role.MEMBER,
    team: str | None = None,
    tasks: Sequence[str] = (),
    profiles: Sequence[str] = (),
    expires: float | None = None,
) -> tuple[str, AccessKey]:
    """Return a new random key, to be shown once, and the entry that recognises it.

    A key holds 256 random bits, so its SHA-256 cannot be searched for, however fast the hash is: slow
    password hashes defend guessable secrets, and would cost every request milliseconds of CPU here.
    """
    plain = KEY_PREFIX + secrets.token_urlsafe(32)
    entry = AccessKey(name, key_hash(plain), role, team, tuple(tasks), tuple(profiles), expires)
    return plain, entry


def key_hash(plain: str) -> str:
    """Return the lower-case hexadecimal SHA-256 of a key, as the access file keeps it."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def add_key(path: Path, key: AccessKey) -> None:
    """Append an entry to the access file, made (mode 0600) where there is none; comments are kept.

    The file is replaced atomically. Raises `SettingsError` when it is, or would become, invalid, or cannot
    be written.
    """
    yaml = YAML()
    try:
        raw = path.read_bytes() if path.exists() else _NEW_FILE.encode()
        _parse_or_refuse(raw, path)
        document = yaml.load(raw)
        keys = document["keys"]
        if not keys:
            keys.fa.set_block_style()
        keys.append(_entry_document(key))
        text = io.BytesIO()
        yaml.dump(document, text)
        _parse_or_refuse(text.getvalue(), path)
        _replace(path, text.getvalue())
    except OSError as error:
        raise SettingsError(f"The access file {path} cannot be written: {error.strerror}.") from error


class AccessFile:
    """The keys of a proxy without a database, kept in memory and reread when the file changes.

    `find` only looks into memory. `refresh` blocks on the disk; `keep_fresh` calls it once a second in a
    thread.
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
                "This key has expired.", mend="Ask an administrator of the proxy for a new key."
            )
        return entry

    def by_hash(self, digest: str) -> AccessKey | None:
        """Return the entry of an authenticated key's `key_hash`; None for other keys. Never raises."""
        return self._keys.get(digest)

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
            mend = "Put it back, or correct NEURONODE_ACCESS_FILE; the last good keys stay valid until then."
            self.problems = (_problem("access_unreadable", f"{error.strerror}.", mend, self._path.name),)
            return
        self._seen = signature
        self.warnings = _mode_warnings(info.st_mode, self._path)
        keys, self.problems = parse_access(raw, file=self._path.name)
        if not self.problems:
            self._keys = {key.sha256: key for key in keys}

    async def keep_fresh(self, *, interval: float = REFRESH_SECONDS) -> None:
        """Refresh every `interval` seconds until cancelled; the file is read in a thread."""
        while True:
            await asyncio.sleep(interval)
            await asyncio.to_thread(self.refresh)


Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$")]
Name = Annotated[str, Field(min_length=1, max_length=128)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Label
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    role: Literal["admin", "viewer", "member"] = "member"
    team: Label | None = None
    tasks: list[Name] = []
    profiles: list[Name] = []
    expires: datetime | date | None = None

    def to_key(self) -> AccessKey:
        return AccessKey(
            name=self.name,
            sha256=self.sha256,
            role=Role(self.role),
            team=self.team,
            tasks=tuple(self.tasks),
            profiles=tuple(self.profiles),
            expires=None if self.expires is None else _unix_time(self.expires),
        )


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    keys: list[_Entry]


def parse_access(raw: bytes, *, file: str) -> tuple[tuple[AccessKey, ...], tuple[Problem, ...]]:
    """Return the keys of an access file, or else all that is wrong with it. Never raises."""
    if len(raw) > MAX_FILE_BYTES:
        return (), (
            _problem("access_too_large", f"More than {MAX_FILE_BYTES} bytes.", "Split off old keys.", file),
        )
    try:
        text = raw.decode("utf-8")
        if problems := tuple(_forbidden_yaml(text, file)):
            return (), problems
        document = YAML().load(text)
    except (YAMLError, ValueError) as error:
        return (), (_syntax_problem(error, file),)
    try:
        entries = _Document.model_validate(_plain(document)).keys
    except ValidationError as error:
        return (), tuple(_schema_problem(document, detail, file) for detail in error.errors())
    problems = tuple(_repeated(document, entries, file))
    return (tuple(entry.to_key() for entry in entries), ()) if not problems else ((), problems)


def _forbidden_yaml(text: str, file: str) -> Iterator[Problem]:
    """Refuse anchors, tags and depth in the event stream, before anything is built: no bomb can go off."""
    depth = 0
    for event in YAML().parse(text):
        kind = type(event).__name__
        depth += kind.endswith(("MappingStartEvent", "SequenceStartEvent"))
        depth -= kind in ("MappingEndEvent", "SequenceEndEvent")
        position = (event.start_mark.line + 1, event.start_mark.column + 1)
        if depth > MAX_DEPTH:
            yield _problem(
                "access_too_deep", "Nested too deeply.", "Follow docs/admin-api.md.", file, position
            )
            return
        if getattr(event, "anchor", None) is not None:
            yield _problem(
                "access_anchor", "Anchors are not allowed.", "Write the value out.", file, position
            )
        if getattr(event, "tag", None) is not None:
            yield _problem("access_tag", "Tags are not allowed.", "Remove the tag.", file, position)


def _repeated(document: Any, entries: Iterable[_Entry], file: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        for field, value in (("name", entry.name), ("sha256", entry.sha256)):
            if f"{field}:{value}" in seen:
                position = _position(document, ("keys", index, field))
                mend = f"Give each entry a {field} of its own; remove one of the two."
                path = f"keys.{index}.{field}"
                yield _problem("access_repeated", f"This {field} appears twice.", mend, file, position, path)
            seen.add(f"{field}:{value}")


def _schema_problem(document: Any, detail: Mapping[str, Any], file: str) -> Problem:
    location = detail["loc"]
    mend = "Remove it or correct its spelling." if detail["type"] == "extra_forbidden" else "Correct it."
    if detail["type"] == "string_type":
        mend = "Write a text, in quotes where it looks like a number or a date."
    path = ".".join(str(part) for part in location)
    return _problem("access_invalid", f"{detail['msg']}.", mend, file, _position(document, location), path)


def _syntax_problem(error: Exception, file: str) -> Problem:
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        position = (error.problem_mark.line + 1, error.problem_mark.column + 1)
        return _problem("access_syntax", f"Not valid YAML: {error.problem}.", "Correct it.", file, position)
    return _problem("access_syntax", "Not valid YAML in UTF-8.", "Correct it.", file)


def _problem(
    code: str, message: str, mend: str, file: str, position: tuple[int, int] = (0, 0), path: str = ""
) -> Problem:
    return Problem(code, message, mend, file=file, line=position[0], column=position[1], path=path)


def _position(node: Any, location: Sequence[int | str]) -> tuple[int, int]:
    """Return line and column, from 1, of the deepest part of `location` that the document has."""
    found = (0, 0)
    for part in location:
        try:
            line, column = node.lc.item(part) if isinstance(part, int) else node.lc.key(part)
            found, node = (line + 1, column + 1), node[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return found


def _plain(node: Any) -> Any:
    """Return ruamel's containers as plain ones: strict validation takes no others."""
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items()}
    return [_plain(item) for item in node] if isinstance(node, list) else node


def _unix_time(moment: date) -> float:
    """Return seconds since 1970. A date counts from its first moment; without a zone, UTC is meant."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001  (the zone is set below)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _mode_warnings(mode: int, path: Path) -> tuple[str, ...]:
    if os.name == "posix" and stat.S_IMODE(mode) & 0o022:
        return (f"{path.name} can be written by other users of this machine: chmod 600 it.",)
    return ()


def _entry_document(key: AccessKey) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": key.name, "sha256": key.sha256, "role": key.role.value}
    optional = {"team": key.team, "tasks": list(key.tasks), "profiles": list(key.profiles)}
    fields |= {name: value for name, value in optional.items() if value}
    if key.expires is not None:
        fields["expires"] = datetime.fromtimestamp(int(key.expires), UTC)
    return fields


def _parse_or_refuse(raw: bytes, path: Path) -> None:
    if problems := parse_access(raw, file=path.name)[1]:
        raise SettingsError("; ".join(map(str, problems)), mend=f"Correct {path.name}, then repeat.")


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
