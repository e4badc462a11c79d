"""Build the shipped weights: `python -m neuronode_router.classifier.training.build DATA_FOLDER`.

The folder holds `prompts.jsonl` and `routing.jsonl`; only their plainly open rows are trained on, and none is copied.
"""

from __future__ import annotations

import sys
from pathlib import Path

from neuronode_router.classifier.training import artefact, heldout, labelled
from neuronode_router.classifier.training.fit import Recipe, fit
from neuronode_router.classifier.weights import shipped_folder


def build(data: Path, into: Path, recipe: Recipe = Recipe()) -> None:  # noqa: B008
    """Fit on everything allowed, calibrate on held-out sources, and write the artefact."""
    prompts = labelled.read_rows(data / "prompts.jsonl")
    outcomes = labelled.read_rows(data / "routing.jsonl")
    trainable = labelled.examples(labelled.plainly_open(prompts))
    graded = labelled.graded(labelled.plainly_open(prompts), labelled.plainly_open(outcomes))
    calibration = heldout.calibrate(heldout.predict(labelled.examples(prompts), trainable, recipe=recipe))
    about = {
        "trained_on": {"prompts": len(trainable), "graded": len(graded), "per_phrase": recipe.per_phrase}
    }
    artefact.write(into, fit(trainable, graded, recipe), calibration, about)


if __name__ == "__main__":
    build(Path(sys.argv[1]), shipped_folder())
