"""A Metering over parts that a test chooses, and its text read back.

It must not know LiteLLM.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from neuronode_router.domain.receipts import WorkerStatus
from neuronode_router.health.monitor import HealthMonitor, MonitorSources
from neuronode_router.metrics.metering import Metering, MeteringSources
from neuronode_router.stats.memory import MemoryStatistics

Series = Mapping[str, str]


def metering(**changes: Any) -> Metering:
    """Return a Metering of a worker that knows nothing; `changes` replaces fields of its `MeteringSources`."""
    statistics = changes.pop("statistics", None) or MemoryStatistics()
    monitor = changes.pop("monitor", None) or monitor_of(statistics, ())
    fields: dict[str, Any] = {
        "report": dict,
        "snapshot": lambda: None,
        "workers": tuple,
        "rules": dict,
        "host_version": "1.0",
        "monitor": monitor,
        "statistics": statistics,
    }
    return Metering(MeteringSources(**fields | changes))


def monitor_of(statistics: MemoryStatistics, groups: tuple[str, ...]) -> HealthMonitor:
    """Return a monitor over a router with one deployment of each group, `id-<group>`; refresh it before use."""

    entries = [{"model_name": group, "model_info": {"id": f"id-{group}"}} for group in groups]
    return HealthMonitor(MonitorSources(entries=lambda: entries, statistics=statistics, cooling=frozenset))


def worker_at(
    revision: int, *, host: str = socket.gethostname(), live: bool = True, **report: Any
) -> WorkerStatus:
    """Return a worker as the store knows it."""
    return WorkerStatus(
        instance=f"w-{revision}", host=host, pid=1, version="1", started_at=0.0, heartbeat_at=0.0, live=live,
        revision=revision, applied_at=None, detail="", report=report,
    )  # fmt: skip


def value(text: bytes, name: str, **labels: str) -> float | None:
    """Return one sample of the text format, None where there is none."""
    found = [sample.value for sample in _samples(text, name) if sample.labels == labels]
    assert len(found) <= 1, f"{name}{labels} stands {len(found)} times"
    return found[0] if found else None


def requests_of(text: bytes, **labels: str) -> int:
    """Return the requests of all series that have these labels."""
    samples = _samples(text, "requests_total")
    return round(sum(sample.value for sample in samples if labels.items() <= sample.labels.items()))


def _samples(text: bytes, name: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text.decode()):
        yield from (sample for sample in family.samples if sample.name == f"neuronode_{name}")
