"""Build the shipped weights: `python -m neuronode_router.classifier.training.build DATA_FOLDER [INTO]`.

The folder holds `prompts.jsonl` and `routing.jsonl`; only their plainly open rows are trained on, and none is copied.
On the same processor and the same releases of NumPy, SciPy and scikit-learn, built again they are the same bytes.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from neuronode_router.classifier.artefacts import SCHEME
from neuronode_router.classifier.observed import scheme
from neuronode_router.classifier.training import artefact, decide, heldout, labelled
from neuronode_router.classifier.training.fit import Recipe, fit
from neuronode_router.classifier.weights import shipped_folder


def build(data: Path, into: Path, recipe: Recipe = Recipe()) -> None:  # noqa: B008
    """Fit on everything allowed, decide and calibrate on held-out lines and sources, and write the artefact."""
    prompts = labelled.read_rows(data / "prompts.jsonl")
    outcomes = list(labelled.plainly_open(labelled.read_rows(data / "routing.jsonl")))
    trainable = labelled.examples(labelled.plainly_open(prompts))
    graded = labelled.graded(labelled.plainly_open(prompts), outcomes)
    tried = labelled.tried(outcomes)
    quick = replace(recipe, seeds=recipe.seeds[:1])
    unseen = heldout.unseen(labelled.examples(prompts), trainable, graded=graded, recipe=quick)
    asked = [item for number, fold in enumerate(unseen) for item in decide.ask(number, fold.fitted)]
    decisions = decide.decisions(asked, decide.of_models(tried))
    calibration = heldout.calibrate(heldout.predictions(unseen, decisions))
    about = {
        "trained_on": {
            "prompts": len(trainable),
            "graded": len(graded),
            "per_phrase": recipe.per_phrase,
            "phrases": phrases_digest(),
        },
        "built_with": {name: version(name) for name in ("numpy", "scipy", "scikit-learn")},
        SCHEME: scheme(),
    }
    fitted = fit(trainable, graded, recipe, tried=tried)
    artefact.write(into, fitted, calibration, decisions, about)


def phrases_digest() -> str:
    """Return the sha256 of our own part of what is learned from: the phrase files and the cues."""
    written = (Path(__file__).parent / "phrases").glob("*.txt")
    whole = b"".join(path.read_bytes() for path in (*sorted(written), shipped_folder().parent / "cues.txt"))
    return hashlib.sha256(whole).hexdigest()


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else shipped_folder())
