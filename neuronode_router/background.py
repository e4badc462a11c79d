"""What the background loops of a worker survived: counted, logged once each, shown until it is over.

It must not know what the loops do.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

logger = logging.getLogger(__name__)

_Place: TypeAlias = tuple[type[Exception], str, int | None]


class Failures:
    """The failures of one process's loops, in whichever threads these run. `total` counts all since its start."""

    def __init__(self) -> None:
        self.total = 0
        self._counting = threading.Lock()
        self._present: dict[str, _Place] = {}

    def present(self) -> tuple[str, ...]:
        """Return a line for each activity whose last attempt failed: no text of the error, which may hold anything."""
        return tuple(
            f"{activity} failed ({kind.__name__}), tried again; this worker's log has the traceback"
            for activity, (kind, _, _) in list(self._present.items())  # a copy: other threads note and forget
        )

    @contextmanager
    def survived(
        self, activity: str, *, but: type[Exception] | tuple[type[Exception], ...] = ()
    ) -> Iterator[None]:
        """Keep whatever the body raises, `but` excepted, from ending the caller's loop, which then tries again.

        The same failure in a row is logged once, with its traceback.
        """
        try:
            yield
        except but:
            raise
        except Exception as error:  # noqa: BLE001  a loop that ended would leave this worker behind for good and in silence
            self._note(activity, error)
        else:
            self._present.pop(activity, None)

    def _note(self, activity: str, error: Exception) -> None:
        with self._counting:
            self.total += 1
        # Not the error's text: where that differs each time, every attempt would be logged.
        origin = traceback.extract_tb(error.__traceback__)[-1]
        place = (type(error), origin.filename, origin.lineno)
        if self._present.get(activity) != place:
            logger.error("neuronode: %s failed and is tried again", activity, exc_info=error)
        self._present[activity] = place
