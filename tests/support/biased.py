"""Weights that say one label whatever they read, so that a test sees which weights answer.

It must not know how weights are kept or taken up.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuronode_router.classifier import weights
from neuronode_router.classifier.artefacts import SCHEME
from neuronode_router.classifier.observed import scheme
from neuronode_router.classifier.training import artefact
from neuronode_router.classifier.training.fit import Fitted

PROMPT = "Was gibt es heute in der Kantine zu essen, wenn der Koch wieder da ist?"
"""A prompt without clear cues: the weights decide."""


def write_biased(folder: Path, label: str, *, features: str | None = None) -> None:
    """Write weights that answer `label`; `features` names the features they claim to be fitted to."""
    shipped = weights.load(weights.shipped_folder())
    bias = shipped.table.bias.copy()
    bias[weights.COLUMNS.index(label)] += 50
    table = shipped.table.cells.astype(np.float32) * shipped.table.scale
    about = {"trained_on": {"own_labels": 7}, SCHEME: features or scheme()}
    fitted = Fitted(table, bias, shipped.table.known)
    artefact.write(folder, fitted, shipped.calibration, shipped.decisions, about)
