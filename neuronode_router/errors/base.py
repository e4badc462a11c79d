"""What every error of this package carries, and what several of them list.

It must not know any of them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in one place of a document."""

    code: str
    """Stable, for programs."""
    message: str
    fix: str
    """What to do about it."""
    file: str = ""
    """The profile file; empty for a request."""
    line: int = 0
    """From 1; 0 is unknown."""
    column: int = 0
    """From 1; 0 is unknown."""
    path: str = ""
    """Where in the document, such as `tasks.classification`."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        place = " ".join(part for part in (where, self.path) if part)
        return f"{place}: {self.message} Fix: {self.fix}" if place else f"{self.message} Fix: {self.fix}"


class NeuronodeError(Exception):
    """Base of every error of this package."""

    code = "internal"
    fix = "Look into the proxy's log; report it with the log line."
    problems: tuple[Problem, ...] = ()
    """Each thing that is wrong, where one error stands for several."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if fix is not None:
            self.fix = fix
