"""Our attributes on LiteLLM's own span of a request, where tracing is on.

It makes no span and knows no exporter. Names and numbers only, never text of a prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

PREFIX = "neuronode."

ATTRIBUTES = ("profile", "revision", "task", "tier", "group", "reason", "steps", "arm")
"""What a span says of its request, each under `PREFIX`; what a request has not, its span leaves out."""


class Span(Protocol):
    """OpenTelemetry's span, as far as we use it."""

    def is_recording(self) -> bool:
        """Return whether anybody will see what is written."""
        ...

    def set_attributes(self, attributes: Mapping[str, str | int | Sequence[str]]) -> None:
        """Add attributes."""
        ...


def describe(span: Span | None, mark: Mapping[str, str | int | Sequence[str] | None]) -> None:
    """Write what `mark` says of a request on its span; None, where tracing is off, costs nothing."""
    if span is not None and span.is_recording():
        span.set_attributes(
            {PREFIX + n: value for n in ATTRIBUTES if (value := mark.get(n)) not in (None, [])}
        )
