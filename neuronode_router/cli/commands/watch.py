"""Follows a proxy's event stream over lost connections, and ends quietly on Ctrl-C.

It must not know what is done with the events.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator

from neuronode_router.backoff import Backoff
from neuronode_router.cli.http import Connection, Event, Refused, Unreachable
from neuronode_router.cli.terminal import note
from neuronode_router.errors import NeuronodeError

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
"""Seconds between two attempts to reach a proxy that is gone."""


@contextlib.contextmanager
def following(connection: Connection, after: int, *, every: float = 2.0) -> Iterator[Iterator[Event | None]]:
    """Yield an iterator of the revisions after `after`: none is missed over a lost connection.

    Where nothing has come for `every` seconds, None comes. Ctrl-C ends the block, not the command. Raises what a
    proxy that answers refuses.
    """
    reader = _EventReader(connection, after)
    threading.Thread(target=reader.run, daemon=True).start()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield reader.events(every)
    finally:
        reader.stop.set()


class _EventReader:
    """Reads the stream in a thread of its own, so that whoever watches may also look at the clock."""

    def __init__(self, connection: Connection, after: int) -> None:
        self.stop = threading.Event()
        self._connection = connection
        self._last = after
        self._queue: queue.SimpleQueue[Event | NeuronodeError] = queue.SimpleQueue()

    def events(self, every: float) -> Iterator[Event | None]:
        """Yield what the thread reads. Raises what ended it."""
        while True:
            try:
                found = self._queue.get(timeout=every)
            except queue.Empty:
                yield None
                continue
            if isinstance(found, NeuronodeError):
                raise found
            yield found

    def run(self) -> None:
        """Read until stopped; connect again after a pause, which grows while the proxy stays away."""
        backoff = Backoff(first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        while not self.stop.is_set():
            try:
                for event in self._connection.events(self._last):
                    backoff.reset()
                    if event is not None:
                        self._last = event.revision
                        self._queue.put(event)
            except NeuronodeError as error:
                if self.stop.is_set():
                    return
                if not (isinstance(error, Unreachable | Refused) and error.passing):
                    self._queue.put(error)
                    return
                note(f"neuronode: {error.message} Trying again.")
            self.stop.wait(backoff.next())
