"""Our attributes on a span, with the real OpenTelemetry SDK."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import Span, SpanKind, set_span_in_context

from neuronode_router.domain.decisions import Decision, Reason, Step
from neuronode_router.domain.names import Tier
from neuronode_router.litellm_plugin.hooks import request_metadata
from neuronode_router.litellm_plugin.hooks.tracing import Tracing

ROUTED = Decision(
    original_model="auto",
    group="tier_fast",
    reason=Reason.ACTIVE_PROFILE,
    revision=7,
    profile="premium",
    tier=Tier.FAST,
    steps=(Step.CLASSIFIED,),
)


def mark_of(decision: Decision) -> dict[str, str]:
    """Return what admission leaves on a request."""
    bucket: dict[str, dict[str, str]] = {}
    request_metadata.stamp(bucket, decision, tags=False)
    return bucket[request_metadata.KEY]


def span_of(exporter: InMemorySpanExporter, sampler: Sampler = ALWAYS_ON) -> Span:
    """Return a span that begins now."""
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("test").start_span("request")


def test_a_span_says_how_its_request_was_routed() -> None:
    """Each attribute under our prefix; what the request has not is left out."""
    exporter = InMemorySpanExporter()
    span = span_of(exporter)

    Tracing(object).describe(span, mark_of(ROUTED))
    span.end()

    (told,) = exporter.get_finished_spans()
    assert dict(told.attributes or {}) == {
        "neuronode.profile": "premium",
        "neuronode.revision": 7,
        "neuronode.tier": "fast",
        "neuronode.group": "tier_fast",
        "neuronode.reason": "active_profile",
        "neuronode.steps": ("classified",),
    }


@pytest.mark.parametrize("ended", [True, False])
def test_nothing_is_written_where_nobody_looks(caplog: pytest.LogCaptureFixture, *, ended: bool) -> None:
    """Without tracing, without a sample, or after the span's end: no attribute, and no complaint of the SDK."""
    exporter = InMemorySpanExporter()
    span = span_of(exporter, ALWAYS_ON if ended else ALWAYS_OFF)
    if ended:
        span.end()

    Tracing(object).describe(None, mark_of(ROUTED))
    Tracing(object).describe(span, mark_of(ROUTED))

    assert [dict(told.attributes or {}) for told in exporter.get_finished_spans()] == [{}] * ended
    assert not caplog.records


def test_spans_of_providers_calls_say_it_too() -> None:
    """Those that carry OpenTelemetry's own attributes, in either of LiteLLM's ways; other spans of a request do not."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer, tracing = provider.get_tracer("test"), Tracing(lambda: provider)
    request = tracer.start_span("request")

    tracing.describe(request, mark_of(ROUTED))
    tracing.describe(request, mark_of(ROUTED))
    request.end()  # LiteLLM tells of a call when it is over
    for name, kind in (
        ("chat tier_fast", SpanKind.CLIENT),
        ("litellm_request", SpanKind.INTERNAL),
        ("router", SpanKind.INTERNAL),
    ):
        tracer.start_span(name, set_span_in_context(request), kind).end()
    tracer.start_span("chat alone", kind=SpanKind.CLIENT).end()

    told = {
        span.name: (span.attributes or {}).get("neuronode.group") for span in exporter.get_finished_spans()
    }
    assert told == {
        "request": "tier_fast",
        "chat tier_fast": "tier_fast",
        "litellm_request": "tier_fast",
        "router": None,
        "chat alone": None,
    }
