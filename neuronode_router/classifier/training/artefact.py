"""Write the weights as files: the int8 table for numpy, the same table as an ONNX graph, and a manifest with hashes.

It must not fit anything. Needs the `onnx` package (extra `train`).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from neuronode_router.classifier.training.fit import Fitted
from neuronode_router.classifier.weights import COLUMNS, FORMAT, GRAPH, MANIFEST, TABLE, Calibration, Table

OPSET = 17
LIMIT = 1_000_000
"""Bytes that each file may have."""


def write(folder: Path, fitted: Fitted, calibration: Calibration, about: Mapping[str, Any]) -> None:
    """Write table, graph and manifest into the folder; `about` is what the manifest says of the training."""
    table = fitted.quantised()
    files = {TABLE: _table(table), GRAPH: _graph(table)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, payload in files.items():
        if len(payload) > LIMIT:
            raise ValueError(f"{name} has {len(payload)} bytes, more than {LIMIT}.")
        (folder / name).write_bytes(payload)
    manifest = {
        "format": FORMAT,
        "columns": COLUMNS,
        "sha256": {name: hashlib.sha256(payload).hexdigest() for name, payload in files.items()},
        "calibration": {"raw": calibration.raw, "right": calibration.right},
        **about,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _table(table: Table) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, table=table.cells, scale=table.scale, bias=table.bias, known=np.packbits(table.known))
    return buffer.getvalue()


def _graph(table: Table) -> bytes:
    """Return rows (texts x features, padded with row 0) and counts -> scores, in operators of the core set."""
    cells = table.cells.copy()
    cells[0] = 0  # the padding row
    constants = [
        numpy_helper.from_array(cells, "table"),
        numpy_helper.from_array(table.scale, "scale"),
        numpy_helper.from_array(table.bias, "bias"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "features"),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "rows"], ["gathered"]),
        helper.make_node("Cast", ["gathered"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["numbers", "features"], ["sums"], keepdims=0),
        helper.make_node("Mul", ["sums", "scale"], ["scaled"]),
        helper.make_node("Sqrt", ["count"], ["root"]),
        helper.make_node("Unsqueeze", ["root", "features"], ["divisor"]),
        helper.make_node("Div", ["scaled", "divisor"], ["mean"]),
        helper.make_node("Add", ["mean", "bias"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "neuronode_classifier",
        [
            helper.make_tensor_value_info("rows", TensorProto.INT64, ["texts", "features"]),
            helper.make_tensor_value_info("count", TensorProto.FLOAT, ["texts"]),
        ],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["texts", len(COLUMNS)])],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(made)
    return made.SerializeToString()  # type: ignore[no-any-return]
