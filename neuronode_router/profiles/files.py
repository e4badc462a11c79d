"""A directory of profile files as the source of profiles: read and check them all, and stage edits to them.

It must not know revisions, LiteLLM or who asks. Every method blocks, so it is called in a
thread.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from neuronode_router.atomic_files import rights_of
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileEdit, ProfileSet
from neuronode_router.errors import Problem, ProfilesInvalid, ProfilesReadOnly, UnknownProfile, UnknownTask
from neuronode_router.profiles.checks import Draft, check_drafts, name_problem
from neuronode_router.profiles.edits import StagedFiles
from neuronode_router.profiles.intent import FileChange, end, intents
from neuronode_router.profiles.memory import FilesMemory, hash_of
from neuronode_router.profiles.problems import Code
from neuronode_router.profiles.schema import CAPS, to_file_document, to_profile
from neuronode_router.profiles.splice import NotUnderstood, dump, revise
from neuronode_router.safe_yaml import Source, read_yaml, shown

SUFFIX = ".yaml"
MAX_FILES = 64
READ_ATTEMPTS = 5

Standstill = Callable[[], AbstractContextManager[str | None]]
"""Opens a context in which nobody publishes or commits; it yields the digest of the committed set, None before any."""

_MEND = "Make the directory of the profiles writable for the proxy, then POST /admin/reload."


@dataclass(frozen=True, slots=True)
class _Entry:
    """One profile file as it was found: its content, or why there is none."""

    name: str
    path: Path
    raw: bytes = b""
    problem: Problem | None = None


class ProfileFiles:
    """The `*.yaml` files of one directory; each file's stem is the name of a profile.

    With `standstill` nobody reads half a publish of several files: one that is under way is waited for, one whose
    process died is ended first. Every method may then raise `ProfilesReadOnly`, and what `standstill` raises. Without
    it the files are read as they lie. `memory` is told what of them was put in force by what is staged here.
    """

    def __init__(
        self, directory: Path, *, standstill: Standstill | None = None, memory: FilesMemory | None = None
    ) -> None:
        self._directory = directory
        self._standstill = standstill
        self._memory = memory

    def load(self, host: HostFacts) -> ProfileSet:
        """Read and validate all files against the host. Raises `ProfilesInvalid` with every problem."""
        return _valid_set(*self._read(host))

    def check(self, host: HostFacts) -> tuple[Problem, ...]:
        """Return everything wrong with the files; empty means that `load` succeeds. Never raises."""
        _, problems = self._read(host)
        return tuple(problems)

    def stage_found(self, host: HostFacts) -> StagedFiles:
        """Prepare putting in force what all files say, without a change of them. Raises `ProfilesInvalid`."""
        entries = self._entries()
        return self._staged(entries, _valid_set(*_checked([_draft(entry) for entry in entries], host)), ())

    def stage_profile(self, name: str, document: Mapping[str, Any], host: HostFacts) -> StagedFiles:
        """Prepare replacing (or adding) one profile by a document with the keys of its file.

        Raises `ProfilesInvalid` with every problem of the document and of the other files, `ProfilesReadOnly`.
        """
        source = Source(shown(f"{name}{SUFFIX}"))
        if problem := name_problem(name, source):
            raise ProfilesInvalid([problem])
        entries = self._entries()
        others = [_draft(entry) for entry in entries if entry.name != name]
        profiles = _valid_set(*_checked([*others, Draft(name, document, source)], host))
        return self._staged(entries, profiles, {name})

    def stage_edit(self, name: str, edit: ProfileEdit, host: HostFacts) -> StagedFiles:
        """Prepare changing some mappings.

        Raises `UnknownProfile`, `UnknownTask`, `ProfilesInvalid`, `ProfilesReadOnly`.
        """
        profiles = self.load(host).profiles
        if name not in profiles:
            raise UnknownProfile(name, tuple(profiles))
        for task in edit.tasks:
            if task not in profiles[name].tasks:
                raise UnknownTask(task, tuple(profiles[name].tasks))
        return self.stage_profile(name, to_file_document(edit.of(profiles[name])), host)

    def stage_set(
        self, profiles: ProfileSet, host: HostFacts, in_force: ProfileSet | None = None
    ) -> StagedFiles:
        """Prepare making the files say exactly `profiles` (a rollback): other profiles' files are removed.

        A file that does not say what is `in_force` is somebody's work. It is left alone where it is broken and its
        profile does not change; else what it says is kept in a file beside it. `warnings` tell of both.
        Raises `ProfilesReadOnly`, and `ProfilesInvalid` also for a file outside the set that is broken: it may be
        somebody's unfinished work.
        """
        wanted = profiles.profiles
        drafts = [Draft(name, to_file_document(wanted[name]), Source(f"{name}{SUFFIX}")) for name in wanted]
        entries = self._entries()
        others = [_draft(entry) for entry in entries if entry.name not in wanted]
        if unfinished := [problem for draft in others for problem in _faults(draft)]:
            raise ProfilesInvalid(unfinished)
        valid = _valid_set(*_checked(drafts, host))
        if in_force is None:
            return self._staged(entries, valid, wanted.keys())
        stay = {name for name, profile in wanted.items() if in_force.profiles.get(name) == profile}
        work = [each for each in entries if each.name in stay and _said(each) != wanted[each.name]]
        broken = {problem.file for problem in _checked([_draft(each) for each in entries], host)[1]}
        spared = [each.name for each in work if each.path.name in broken]
        staged = self._staged(entries, valid, wanted.keys() - set(spared))
        self._keep_work(staged, entries, in_force)
        staged.warnings += tuple(
            f"{name}{SUFFIX} is left as it is: it is broken, and its profile does not change."
            for name in spared
        )
        return staged

    def _read(self, host: HostFacts) -> tuple[dict[str, Profile], list[Problem]]:
        return _checked([_draft(entry) for entry in self._entries()], host)

    def _entries(self) -> list[_Entry]:
        """Read all files, again if they changed meanwhile: a ConfigMap swaps all of them at one moment."""
        entries: list[_Entry] = []
        try:
            for _ in range(READ_ATTEMPTS):
                self._end_publishes()
                paths = self._paths()
                before = [_identity(path) for path in paths]
                entries = [self._entry(path) for path in paths[: MAX_FILES + 1]]
                # In this order: the intent of a publish that is half done lies there until its last file is written.
                publishing = self._standstill is not None and intents(self._directory)
                if not publishing and before == [_identity(path) for path in self._paths()]:
                    break
        except OSError as error:
            message = f"The directory of the profiles cannot be read: {error.strerror}."
            fix = "Create it, or set NEURONODE_PROFILES."
            problem = Source(self._directory.name).problem(Code.UNREADABLE, (), message, fix)
            return [_Entry("", self._directory, problem=problem)]
        return entries

    def _end_publishes(self) -> None:
        if self._standstill is None or not intents(self._directory):
            return
        with self._standstill() as committed:  # waits for a publisher that lives
            for intent in intents(self._directory):
                try:
                    end(intent, committed)
                except OSError as error:
                    message = f"A publish that was cut short cannot be ended: {error.strerror or error}."
                    raise ProfilesReadOnly(message, fix=_MEND) from error

    def _paths(self) -> list[Path]:
        with os.scandir(self._directory) as found:
            names = [entry.name for entry in found if entry.name.endswith((SUFFIX, ".yml"))]
        return [self._directory / name for name in sorted(names) if not name.startswith(".")]

    def _entry(self, path: Path) -> _Entry:
        source = Source(shown(path.name))
        if path.suffix != SUFFIX:
            fix = f"Rename it to {path.stem}{SUFFIX}."
            problem = source.problem(Code.BAD_NAME, (), f"Profile files end in {SUFFIX}.", fix)
            return _Entry(path.stem, path, problem=problem)
        try:
            real = path.resolve(strict=True)
            if not real.is_relative_to(self._directory.resolve()):
                message = "The file is a symbolic link that leads out of the directory."
                problem = source.problem(Code.LEADS_OUTSIDE, (), message, "Copy the file here.")
                return _Entry(path.stem, path, problem=problem)
            return _Entry(path.stem, path, raw=_read_regular(real), problem=name_problem(path.stem, source))
        except (OSError, RuntimeError) as error:  # resolve() raises RuntimeError for a loop of links
            message = f"The file cannot be read: {getattr(error, 'strerror', None) or error}."
            problem = source.problem(
                Code.UNREADABLE, (), message, "Check that it is a file and its permissions."
            )
            return _Entry(path.stem, path, problem=problem)

    def _staged(
        self, entries: Sequence[_Entry], profiles: ProfileSet, rewritten: Collection[str]
    ) -> StagedFiles:
        """Return the changes after which `rewritten` say what `profiles` has, and no other of `entries` exist."""
        existing = {entry.name: entry for entry in entries}
        if unusable := [entry.problem for entry in existing.values() if entry.problem]:
            raise ProfilesInvalid(unusable)
        changes: list[FileChange] = []
        left = {name: entry.raw for name, entry in existing.items()}
        for name in sorted({*rewritten, *(existing.keys() - profiles.profiles.keys())}):
            entry = existing.get(name)
            before = entry.raw if entry else None
            after = _rewritten(entry, profiles.profiles[name]) if name in profiles.profiles else None
            if after is None:
                del left[name]
            else:
                left[name] = after
            if after != before:
                changes.append(FileChange(_target(self._directory / f"{name}{SUFFIX}"), before, after))
        for change in changes:
            if not os.access(change.path.parent, os.W_OK):
                raise ProfilesReadOnly(f"The directory of {change.path.name} cannot be written.")
        content = hash_of((f"{name}{SUFFIX}", raw) for name, raw in left.items())
        staged = StagedFiles(profiles, tuple(changes), self._directory)
        if self._memory is not None:
            staged.stands = partial(self._memory.keep, content)
        return staged

    def _keep_work(self, staged: StagedFiles, entries: Sequence[_Entry], in_force: ProfileSet) -> None:
        """Have `staged` keep the bytes of all files it changes that do not say what is in force."""
        changed = {change.path for change in staged.changes}
        for entry in entries:
            if _target(entry.path) not in changed or _said(entry) == in_force.profiles.get(entry.name):
                continue
            # The same bytes have the same name, so that nothing that was kept is written over.
            beside = entry.path.with_name(
                f"{entry.path.name}.kept-{hashlib.sha256(entry.raw).hexdigest()[:12]}"
            )
            if not beside.exists():
                kept = FileChange(beside, None, entry.raw, rights_of(entry.path))
                staged.changes = (kept, *staged.changes)
            staged.warnings += (
                f"{entry.path.name} said what is not in force; that is kept in {beside.name}.",
            )


def _valid_set(profiles: Mapping[str, Profile], problems: list[Problem]) -> ProfileSet:
    if problems:
        raise ProfilesInvalid(problems)
    return ProfileSet(profiles)


def _checked(drafts: list[Draft], host: HostFacts) -> tuple[dict[str, Profile], list[Problem]]:
    if not drafts:
        message = "There is no profile at all."
        fix = f"Put the shipped profiles (*{SUFFIX}) into the directory."
        return {}, [Source("").problem(Code.NO_PROFILE, (), message, fix)]
    profiles, problems = check_drafts(drafts[:MAX_FILES], host)
    if len(drafts) > MAX_FILES:
        message = f"There are more than {MAX_FILES} profiles."
        fix = "Remove those that nobody uses."
        problems.append(Source(drafts[MAX_FILES].source.file).problem(Code.TOO_MANY_FILES, (), message, fix))
    return profiles, sorted(problems, key=lambda problem: (problem.file, problem.line, problem.column))


def _draft(entry: _Entry) -> Draft:
    if entry.problem is not None:
        return Draft(entry.name, None, Source(entry.problem.file), (entry.problem,))
    reading = read_yaml(entry.raw, entry.path.name, caps=CAPS)
    return Draft(entry.name, reading.document, reading.source, reading.problems)


def _faults(draft: Draft) -> Sequence[Problem]:
    """Return what is wrong with a draft by itself, whatever the host and the other profiles are."""
    if draft.problems or draft.document is None:
        return draft.problems
    return to_profile(draft.name, draft.document, draft.source)[1]


def _said(entry: _Entry) -> Profile | None:
    """Return the profile that a file describes; None where it is broken."""
    draft = _draft(entry)
    if draft.problems or draft.document is None:
        return None
    return to_profile(draft.name, draft.document, draft.source)[0]


def _rewritten(entry: _Entry | None, profile: Profile) -> bytes:
    """Return the content of a profile's file that says `profile`, with as little changed as possible."""
    reading = read_yaml(entry.raw, entry.path.name, caps=CAPS) if entry else None
    if entry is None or reading is None or reading.document is None or reading.problems:
        return dump(to_file_document(profile)).encode()
    if to_profile(profile.name, reading.document, reading.source)[0] == profile:
        return entry.raw
    spelt_out = {key for key, value in reading.document.items() if not value}
    try:
        return revise(entry.raw.decode(), to_file_document(profile, keep=spelt_out)).encode()
    except NotUnderstood:
        return dump(to_file_document(profile)).encode()


def _read_regular(path: Path) -> bytes:
    """Return at most one byte more than a profile may have. Raises `OSError`, for pipes and devices too."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError("it is no regular file")
        return file.read(CAPS.bytes + 1)


def _target(path: Path) -> Path:
    """Follow a link inside the directory, so that the file behind it is replaced and not the link."""
    return path.resolve() if path.is_symlink() else path


def _identity(path: Path) -> tuple[str, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (path.name, 0, 0, 0)
    return (path.name, found.st_ino, found.st_mtime_ns, found.st_size)
