"""Our attributes on LiteLLM's own spans of a request, where tracing is on.

It makes no span and knows no exporter. Names and numbers only, never text of a prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

PREFIX = "neuronode."

ATTRIBUTES = ("profile", "revision", "task", "tier", "group", "reason", "steps", "arm")
"""What a span says of its request, each under `PREFIX`; what a request has not, its span leaves out."""

PROVIDER_CALL = "litellm_request"
"""LiteLLM's span of a provider's call, where it does not follow the newest conventions and name its kind."""


class Span(Protocol):
    """OpenTelemetry's span, as far as we use it."""

    def is_recording(self) -> bool:
        """Return whether anybody will see what is written."""
        ...

    def set_attributes(self, attributes: Mapping[str, str | int | Sequence[str]]) -> None:
        """Add attributes."""
        ...


def _global_provider() -> object:
    from opentelemetry.trace import get_tracer_provider

    return get_tracer_provider()


class Tracing:
    """Describes requests on their spans. `provider` returns who makes LiteLLM's spans."""

    def __init__(self, provider: Callable[[], object] = _global_provider) -> None:
        self._provider = provider
        self._inherits = False

    def describe(self, span: Span | None, mark: Mapping[str, str | int | Sequence[str] | None]) -> None:
        """Write what `mark` says of a request on its span; None, where tracing is off, costs nothing.

        LiteLLM's spans of the provider's calls, which carry OpenTelemetry's `gen_ai` attributes, will say it too.
        """
        if span is None or not span.is_recording():
            return
        if not self._inherits:
            self._inherits = _let_inherit(self._provider())
        span.set_attributes(
            {PREFIX + n: value for n in ATTRIBUTES if (value := mark.get(n)) not in (None, [])}
        )


def _let_inherit(provider: object) -> bool:
    """Let calls of providers say what the request's span says. Returns False where `provider` takes nobody in."""
    add: Callable[[object], None] | None = getattr(provider, "add_span_processor", None)
    if add is None:
        return False
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import SpanKind, get_current_span

    class Inheriting(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            if span.kind is SpanKind.CLIENT or span.name == PROVIDER_CALL:
                said = getattr(get_current_span(parent_context), "attributes", None) or {}
                span.set_attributes({name: value for name, value in said.items() if name.startswith(PREFIX)})

    add(Inheriting())
    return True
