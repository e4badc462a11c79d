"""Watches the profiles directory and calls back when its content has changed and come to rest.

It must not know what a profile is: it compares bytes. Events only hasten it; a poll of the content heals lost ones.
What it remembers across starts tells an edit that was made meanwhile from files that others' edits left behind.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from neuronode_router.background import Failures, cancel
from neuronode_router.control.change import When
from neuronode_router.control.notify import DirectoryEvents
from neuronode_router.errors import NeuronodeError, Problem, ProfileError, ProfilesInvalid, StaleFiles
from neuronode_router.profiles.memory import FilesMemory, content_hash, counts, yaml_files
from neuronode_router.threads import in_thread

logger = logging.getLogger(__name__)

CLOCK_TICK_SECONDS = 2.0
"""The coarsest clock of a file system."""

_Signature: TypeAlias = tuple[tuple[str, int, int, int, int], ...]

TakeUp: TypeAlias = Callable[[When, str | None], Awaitable[object]]
"""Put the files in force: when, and over which set alone, by its digest; None: over any."""

TAKING_UP = "taking up the profile files"
"""What a failure to do so is called, here and where a first start does it."""


async def _nobody_knows() -> None:
    """Say nothing: the `in_force` of who follows no store."""


class ProfileWatcher:
    """Calls `on_change` (a reload) for every new content of `directory`'s YAML files, once at the start too.

    A change is reported when nothing has happened for `quiet_seconds`, at the latest `longest_seconds` after it began;
    while one of the files is open for writing, as far as events tell, at the latest after `writing_seconds`.
    `on_change` may raise `NeuronodeError`: content that is refused is tried again when it changes or what
    `circumstances` returns (all that a refusal depends on beside the files), anything else (the store is down, the
    files are stale, an error of any other class) at the next poll. What was refused is then taken up only over what
    `in_force` was when it first was: the digest of the committed set, None for none; it may raise as `on_change`.

    Content that `memory` remembers is put in force "if_empty": an edit through the API left it here, another worker
    took it up, or it was there before a start. What is found at a start where nothing is remembered is put in force
    "unless_stale", anything else "always".
    """

    def __init__(  # noqa: PLR0913  one argument per collaborator, all by keyword
        self,
        directory: Path,
        *,
        memory: FilesMemory,
        on_change: TakeUp,
        in_force: Callable[[], Awaitable[str | None]] = _nobody_knows,
        circumstances: Callable[[], object] = lambda: None,
        quiet_seconds: float = 0.15,
        longest_seconds: float = 2.0,
        writing_seconds: float = 10.0,
        poll_seconds: float = 2.0,
        events: DirectoryEvents | None = None,
        failures: Failures | None = None,
    ) -> None:
        self._directory = directory
        self._content = _Content(directory)
        self._memory = memory
        self._on_change = on_change
        self._in_force = in_force
        self._circumstances = circumstances
        self._quiet_seconds = quiet_seconds
        self._longest_seconds = longest_seconds
        self._writing_seconds = writing_seconds
        self._poll_seconds = poll_seconds
        self._events = events or DirectoryEvents(directory)
        self._failures = failures or Failures()
        self._stirred = asyncio.Event()
        self._first: str | None = None
        self._loaded: str | None = None
        self._refused: tuple[str, object] | None = None
        self._over: tuple[str, str | None] | None = None
        """Content that was refused, and the digest of what was in force when it first was."""
        self._problems: tuple[Problem, ...] = ()
        self._task: asyncio.Task[None] | None = None

    @property
    def mode(self) -> str:
        """How the directory is watched: "inotify", "poll", or "off" (then only the content is polled)."""
        return self._events.mode

    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with the files as they are now; () when they are in force."""
        return self._problems

    async def start(self) -> None:
        """Begin to watch. Never raises: a directory that is missing is looked for at every poll."""
        loop = asyncio.get_running_loop()

        def stirred() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._stirred.set)

        with self._failures.survived("watching the profile files"):
            self._events.start(stirred)
        self._stirred.set()
        self._failures.expect(TAKING_UP, self._poll_seconds)
        self._task = asyncio.create_task(self._watch(), name="neuronode-profiles")

    async def stop(self) -> None:
        """Stop watching."""
        self._failures.forget(TAKING_UP)
        await cancel(self._task)
        await in_thread(self._events.stop)

    async def _watch(self) -> None:
        while True:
            stirred = await self._stirs_within(self._poll_seconds)
            if stirred:
                await self._settle()
            with self._failures.survived(TAKING_UP):
                await self._look(sure=stirred)

    async def _settle(self) -> None:
        """Wait for the trailing edge: return when nothing stirred for a while, or when it took too long."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while loop.time() < begun + (
            self._writing_seconds if self._half_written() else self._longest_seconds
        ):
            self._stirred.clear()
            if not await self._stirs_within(self._quiet_seconds) and not self._half_written():
                return
        self._events.forget_writes()
        self._stirred.clear()

    def _half_written(self) -> bool:
        # The beginning of a profile is a valid one: the keys that guard data may be yet to come.
        return any(counts(name) for name in self._events.being_written())

    async def _stirs_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        except TimeoutError:
            return False
        return True

    async def _look(self, *, sure: bool) -> None:
        """Take up the content if it is new. `sure` reads it whatever the files' times say."""
        # Both are taken before the files are loaded: a change in between makes the next look find a difference.
        circumstances = self._circumstances()
        found = await in_thread(self._content.hash, sure=sure)
        self._first = self._first or found
        if found == self._loaded:
            self._refused, self._over, self._problems = None, None, ()  # a broken edit was undone
        if found == self._loaded or self._refused == (found, circumstances):
            return
        before = self._over if self._over is not None and self._over[0] == found else None
        try:
            in_force = await self._in_force()
            # Read last: whoever put this very content in force meanwhile has kept it.
            when = self._when(found, await in_thread(self._memory.recall))
            await self._on_change(when, None if before is None else before[1])
        except StaleFiles as error:
            self._refused = None  # tried again at every poll: a later revision may say what these files say
            self._show(error)
        except ProfileError as error:
            self._refused = (found, circumstances)
            self._over = before or (found, in_force)
            self._show(error)
        except NeuronodeError as error:
            logger.warning("The profile files could not be put in force yet: %s", error)
        else:
            self._loaded, self._refused, self._problems = found, None, ()
            await in_thread(self._memory.keep, found)

    def _when(self, found: str, remembered: str | None) -> When:
        if found == remembered:
            return "if_empty"
        return "unless_stale" if remembered is None and found == self._first else "always"

    def _show(self, error: ProfileError) -> None:
        problems = error.problems if isinstance(error, ProfilesInvalid) else (_problem(error),)
        if problems != self._problems:
            logger.warning("The profile files are refused, what is committed stays: %s", error)
        self._problems = problems


class _Content:
    """The content of a directory, read again only where a file's time, length or identity says that it may differ."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: tuple[_Signature, str] | None = None

    def hash(self, *, sure: bool) -> str:
        """Return `content_hash`. Blocks for the disk; never raises."""
        signature = _signature(self._directory)
        if not sure and self._known is not None and self._known[0] == signature:
            return self._known[1]
        found = content_hash(self._directory)
        # A file that was just written may be written again within one tick of its clock: it is read until it is old.
        old = all(time.time() - moved / 1e9 > CLOCK_TICK_SECONDS for _, moved, *_ in signature)
        self._known = (signature, found) if signature and old else None
        return found


def _signature(directory: Path) -> _Signature:
    """Return what differs when a file was written, replaced, added or taken away; () where that cannot be told."""
    try:
        found = [(path.name, path.stat()) for path in yaml_files(directory)]
    except OSError:
        return ()
    return tuple(
        (name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino) for name, stat in found
    )


def _problem(error: ProfileError) -> Problem:
    return Problem(code=error.code, message=error.message, fix=error.fix)
