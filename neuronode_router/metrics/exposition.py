"""Writes the metrics of all workers of this host down, in Prometheus' text format.

It must not know who counts, nor HTTP. Reading the workers' files blocks: call it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Metric, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from neuronode_router.metrics.catalogue import PREFIX, Catalogue, shared_directory

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


Samples: TypeAlias = Mapping[tuple[str, ...], float]
"""By the values of the labels."""


def gauge(name: str, about: str, labels: Sequence[str], samples: Samples) -> Metric:
    """Return a gauge of this moment."""
    family = GaugeMetricFamily(PREFIX + name, about, labels=labels)
    for values, number in samples.items():
        family.add_metric(values, number)
    return family


def render(catalogue: Catalogue, gauges: Iterable[Metric]) -> bytes:
    """Return what is counted and `gauges` as text. Raises `OSError` where the workers' files cannot be read."""
    directory = shared_directory()
    counted = MultiProcessCollector(None, directory).collect() if directory else catalogue.registry.collect()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected((*_ours(counted), *gauges)))
    return generate_latest(registry)


class _Collected:
    """What prometheus-client takes for a collector: metrics that were collected before."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._metrics


def _ours(metrics: Iterable[Metric]) -> Iterator[Metric]:
    """Yield our metrics: LiteLLM's stand in the same files. When a series began is left out: merged files lack it."""
    for metric in metrics:
        if metric.name.startswith(PREFIX):
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
