"""The routing log: each `auto` decision as a line of JSON on the standard error stream, written by another thread.

A closed set of words, names and numbers; no text of a request, no key.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
from collections.abc import Mapping
from dataclasses import replace
from logging.handlers import QueueHandler, QueueListener
from typing import Any

from neuronode_router.auto.explain import brief
from neuronode_router.auto.router import Routed

NAME = "neuronode.routing"
"""The logger: a handler of the operator's may be added to it."""

WAITING = 10_000
"""Lines that may wait for a slow terminal or pipe; further ones are dropped and counted."""


class RoutingLog:
    """A watcher of the AutoRouter. Nobody waits for its disk or terminal."""

    def __init__(self, stream: Any = None) -> None:
        self._lines: queue.Queue[logging.LogRecord] = queue.Queue(WAITING)
        self._logger = logging.getLogger(NAME)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._handler = _Dropping(self._lines)
        self._logger.addHandler(self._handler)
        self._listener = QueueListener(self._lines, logging.StreamHandler(stream or sys.stderr))
        self._listener.start()

    @property
    def dropped(self) -> int:
        """Lines that were lost because too many waited."""
        return self._handler.dropped

    def __call__(self, routed: Routed, identity: str, body: Mapping[str, Any]) -> None:
        """Log one routed request."""
        self._logger.info(_Line(routed, body.get("litellm_call_id")))

    def stop(self) -> None:
        """Write what waits, and end."""
        self._logger.removeHandler(self._handler)
        self._listener.stop()


class _Line:
    """Becomes text in the writing thread. The excerpt of the request does not get there."""

    def __init__(self, routed: Routed, call_id: object) -> None:
        self._routed = replace(routed, excerpt=None)
        self._call_id = call_id

    def __str__(self) -> str:
        line = {"call_id": self._call_id, "took_ms": round(self._routed.took_ms, 3), **brief(self._routed)}
        return json.dumps({"event": "routed", **line}, separators=(",", ":"))


class _Dropping(QueueHandler):
    def __init__(self, lines: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(lines)
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Leave the formatting to the writing thread."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1
