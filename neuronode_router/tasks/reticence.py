"""Which model groups refuse to tell logprobs, and whether the next answer is one of theirs.

It must not know who asks, nor for what.
"""

from __future__ import annotations

from collections.abc import Callable

REMEMBERED_SECONDS = 3600.0
"""After that a group is asked for them again: another deployment may stand behind its name."""


class Reticence:
    """What was learned so far. `clock` is seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._refused: dict[str, float] = {}
        """Group -> when it last refused."""
        self._answering: dict[str, str] = {}
        """Name that was asked -> the group that answered last."""

    def refused(self, group: str) -> None:
        """Learn that a group refused a request that it took without logprobs."""
        self._refused[group] = self._clock()

    def answered(self, name: str, group: str) -> None:
        """Learn which group stands behind a name now."""
        self._answering[name] = group

    def expected(self, name: str) -> bool:
        """Return whether the group that answered last for `name` would refuse."""
        since = self._refused.get(self._answering.get(name, ""))
        return since is not None and self._clock() - since < REMEMBERED_SECONDS
