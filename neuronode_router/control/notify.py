"""File-system events of one directory, from watchdog's thread: inotify, or polling where there is none.

It must not know what the files mean. Events may be lost or doubled; whoever listens looks for himself.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""Pause of the polling that stands in where the kernel gives no events."""

CHANGES: tuple[type[FileSystemEvent], ...] = (
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    FileClosedEvent,
)
"""Events that can mean new content. Opening and reading are not among them: the reader would wake itself."""

WRITES: tuple[type[FileSystemEvent], ...] = (FileCreatedEvent, FileModifiedEvent)
"""Events of a write in place: one for each, where `CHANGES` also tells of the closing."""


class DirectoryEvents:
    """Calls `on_event`, in a thread of its own, for changes in `directory` (not below it), without any delay."""

    def __init__(
        self,
        directory: Path,
        *,
        kinds: Sequence[type[FileSystemEvent]] = CHANGES,
        native: Callable[[], BaseObserver] = Observer,
    ) -> None:
        self._directory = directory
        self._kinds = list(kinds)
        self._native = native
        self._observer: BaseObserver | None = None
        self._writes = _Writes()
        self.mode = "off"

    def start(self, on_event: Callable[[], None]) -> None:
        """Begin to listen; `mode` then tells how: "inotify", "poll", or "off" when the directory cannot be watched."""
        handler = _Handler(on_event, self._writes)
        for make in (self._native, lambda: PollingObserver(timeout=POLL_SECONDS)):
            try:
                observer = make()
                observer.schedule(handler, str(self._directory), event_filter=self._kinds)
                observer.start()
            except OSError as error:
                logger.warning("%s cannot be watched this way: %s", self._directory, error)
            else:
                self._observer = observer
                self.mode = (
                    type(observer).__name__.removesuffix("Observer").lower().replace("polling", "poll")
                )
                return

    def being_written(self) -> frozenset[str]:
        """Return the names of files that were written in place and not closed since; none where no closing is told."""
        return self._writes.unclosed() if self.mode == "inotify" else frozenset()

    def forget_writes(self) -> None:
        """Take all files for closed: an event may have been lost, or a writer keeps its file open for good."""
        self._writes.forget()

    def stop(self) -> None:
        """Stop listening. Blocks until the watching threads have ended: call it in a thread."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None
        self.mode = "off"


class _Handler(FileSystemEventHandler):
    def __init__(self, on_event: Callable[[], None], writes: _Writes) -> None:
        self._on_event = on_event
        self._writes = writes

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._writes.note(event)
        self._on_event()


class _Writes:
    """The files that somebody has begun to write and not closed yet, by name; of two threads."""

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self._lock = threading.Lock()

    def note(self, event: FileSystemEvent) -> None:
        name = Path(os.fsdecode(event.src_path)).name
        with self._lock:
            if isinstance(event, FileModifiedEvent):
                self._begun.add(name)
            else:  # a file that is made has not been written yet, and a link never will be
                self._begun.discard(name)

    def unclosed(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._begun)

    def forget(self) -> None:
        with self._lock:
            self._begun.clear()
