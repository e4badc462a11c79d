"""Write the weights as files: the int8 table, and a manifest with its hash and the small decisions.

It must not fit anything.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuronode_router.classifier.decisions import Decisions
from neuronode_router.classifier.training.fit import Fitted
from neuronode_router.classifier.weights import COLUMNS, FORMAT, MANIFEST, TABLE, Calibration

LIMIT = 2_000_000
"""Bytes that the table may have."""


def write(
    folder: Path,
    fitted: Fitted,
    calibration: Calibration,
    decisions: Decisions,
    about: Mapping[str, Any],
) -> None:
    """Write table and manifest into the folder; `about` is what the manifest says of the training."""
    payload = _table(fitted)
    if len(payload) > LIMIT:
        raise ValueError(f"{TABLE} has {len(payload)} bytes, more than {LIMIT}.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TABLE).write_bytes(payload)
    manifest = {
        "format": FORMAT,
        "columns": COLUMNS,
        "sha256": {TABLE: hashlib.sha256(payload).hexdigest()},
        "calibration": {"raw": calibration.raw, "right": calibration.right},
        "decisions": decisions.written(),
        **about,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _table(fitted: Fitted) -> bytes:
    table, buffer = fitted.quantised(), io.BytesIO()
    np.savez(buffer, table=table.cells, scale=table.scale, bias=table.bias, known=np.packbits(table.known))
    return buffer.getvalue()
