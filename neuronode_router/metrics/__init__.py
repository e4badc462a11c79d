"""The `neuronode_*` metrics: what is counted under which names, and how it is written down for Prometheus."""

from neuronode_router.metrics.catalogue import PREFIX, Catalogue
from neuronode_router.metrics.exposition import CONTENT_TYPE, gauge, render

__all__ = ["CONTENT_TYPE", "PREFIX", "Catalogue", "gauge", "render"]
