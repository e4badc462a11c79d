"""The same scores as `weights.NumpyEngine`, computed by onnxruntime from the shipped ONNX graph.

Optional (extra `onnx`); it must not be imported unless the operator asks for it. One thread, so that the
event loop's other work keeps its core.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuronode_router.classifier.features import Rows
from neuronode_router.classifier.weights import GRAPH, Floats, read_checked, read_manifest
from neuronode_router.errors import ArtefactRefused


class OnnxEngine:
    """An onnxruntime session over the graph that the manifest names."""

    def __init__(self, folder: Path) -> None:
        """Load the graph. Raises `ArtefactRefused` when it is missing, altered, or onnxruntime is not installed."""
        try:
            import onnxruntime  # optional, 63 MB: only who asks for it pays for it
        except ImportError as error:
            raise ArtefactRefused(
                "onnxruntime is not installed.", fix="pip install 'neuronode-router[onnx]'"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        payload = read_checked(folder, GRAPH, read_manifest(folder))
        self._session = onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])

    def scores(self, rows: Rows) -> Floats:
        """Return one row of `weights.COLUMNS` per text, before softmax."""
        size = np.bincount(rows.owner, minlength=rows.count.size)
        order = np.argsort(rows.owner, kind="stable")
        column = np.arange(order.size) - np.repeat(np.cumsum(size) - size, size)
        padded = np.zeros((rows.count.size, int(size.max(initial=1))), dtype=np.int64)
        padded[rows.owner[order], column] = rows.row[order]
        scores: Floats = self._session.run(None, {"rows": padded, "count": rows.count})[0]
        return scores
