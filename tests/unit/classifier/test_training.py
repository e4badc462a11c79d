"""Training: own phrases, labelled prompts, folds by source, and the artefact."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from threadpoolctl import threadpool_limits

from neuronode_router.classifier import Layer, Task, classify, weights
from neuronode_router.classifier.classification import KINDS, LABELS, Classification
from neuronode_router.classifier.training import artefact, build, corpus, heldout, labelled
from neuronode_router.classifier.training.corpus import Example
from neuronode_router.classifier.training.decide import UNDECIDED
from neuronode_router.classifier.training.fit import Fitted, Recipe, fit, fit_labels
from neuronode_router.domain.names import Tier

QUICK = Recipe(per_phrase=1, iterations=8, seeds=(1,))


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit([], recipe=QUICK)


def test_every_label_has_phrases_in_both_languages() -> None:
    """The phrase files know every task and kind, and nothing else."""
    for language in corpus.LANGUAGES:
        assert {phrase.task for phrase in corpus.phrases(language)} == set(LABELS)


def test_samples_are_reproducible_and_complete() -> None:
    """The same seed gives the same texts, with every choice taken and every slot filled."""
    first, again = corpus.sample(3, per_phrase=1), corpus.sample(3, per_phrase=1)

    assert first == again
    assert first != corpus.sample(4, per_phrase=1)
    slots = {slot for language in corpus.LANGUAGES for slot in corpus.slots(language)}
    assert not [item for item in first if any(f"{{{slot}}}" in item.text for slot in slots)]


def test_samples_do_not_hang_on_the_order_of_sets() -> None:
    """Each process orders sets in its own way; the texts are the same ones."""
    told = (
        "import hashlib, random; from neuronode_router.classifier.training import corpus, situations as s;"
        "made = [s.cases(s.lines(language), random.Random(1), count=2) for language in corpus.LANGUAGES];"
        "print(hashlib.sha256(repr((corpus.sample(1, per_phrase=1), made)).encode()).hexdigest())"
    )

    said = {
        subprocess.check_output([sys.executable, "-c", told], env={**os.environ, "PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    }

    assert len(said) == 1


def test_the_same_weights_on_any_number_of_threads() -> None:
    """Threads add up in an order of their own, and a search that is cut short carries that into the weights."""
    matrix = sparse.random(2000, 60_000, density=0.002, format="csr", random_state=0)
    wanted = np.random.default_rng(0).integers(0, len(LABELS), 2000)

    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads):
            found.append(fit_labels(matrix, wanted, np.ones(2000), recipe=Recipe(iterations=20)).coef_)

    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


@pytest.mark.parametrize("language", corpus.LANGUAGES)
def test_phrases_name_slots_that_exist_and_close_their_brackets(language: str) -> None:
    """A slip in a phrase file would teach the weights braces and half choices."""
    patterns = [phrase.pattern for phrase in corpus.phrases(language)]

    assert not [pattern for pattern in patterns if pattern.count("(") != pattern.count(")")]
    named = {slot for pattern in patterns for slot in re.findall(r"\{([a-z]{3,})\}", pattern)}
    assert named <= set(corpus.slots(language))


def test_quantised_weights_serve(fitted: Fitted, tmp_path: Path) -> None:
    """What is fitted on phrases alone, written and loaded again, tells clear requests apart."""
    artefact.write(tmp_path, fitted, heldout.IDENTITY, UNDECIDED, {})

    served = heldout.Classifier(heldout.lexicon.shipped(), weights.load(tmp_path))

    assert served.classify("Schreibe ein kurzes Gedicht über den Mond").detail == "drafting"
    assert served.classify("Give me your outlook for TSLA next week").task == Task.TRADING_ANALYSIS


def test_folds_never_split_a_family() -> None:
    """Every family is in exactly one fold, and the folds are of like size."""
    families = ["a"] * 50 + ["b"] * 30 + ["c"] * 20 + ["d"] * 20

    dealt = heldout.folds(families, 3)

    assert sorted(name for fold in dealt for name in fold) == ["a", "b", "c", "d"]
    assert len(dealt) == 3


def test_calibration_learns_how_often_a_share_is_right() -> None:
    """Shares that are right half of the time become confidences of a half."""
    rng = random.Random(0)
    predictions = [_prediction(rng.uniform(0.6, 0.9), right=rng.random() < 0.5) for _ in range(2000)]

    calibration = heldout.calibrate(predictions)

    assert calibration(0.75) == pytest.approx(0.5, abs=0.06)


def test_calibration_error_is_the_gap() -> None:
    """Confidence .9 that is right 6 of 10 times errs by .3."""
    predictions = [_prediction(0.9, right=number < 6) for number in range(10)]

    assert heldout.calibration_error(predictions) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("nonsense", ":1 is not JSON"),
        ("[1]", "not an object"),
        ('{"text": "a", "label": "poetry"}', "poetry"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    """A labelled file that cannot be used is refused with the place and the mend."""
    path = tmp_path / "history.jsonl"
    path.write_text(line)

    with pytest.raises(labelled.LabelError, match=complaint) as caught:
        labelled.examples(labelled.read_rows(path))
    assert "label" in caught.value.fix


def test_rows_of_unknown_type_teach_nothing() -> None:
    """No label and no kind means unknown, not `other`."""
    rows = [{"text": "a", "task_type": None, "kind": None}, {"text": "b", "task_type": None, "kind": "code"}]

    assert [example.label for example in labelled.examples(rows)] == ["code"]


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0; input text: terms of its data set", False),
        ("MIT | tweets, see terms", False),
    ],
)
def test_only_plainly_open_rows_are_trained_on(licence: str, *, allowed: bool) -> None:
    """Rows under somebody's terms are for testing only."""
    assert bool(list(labelled.plainly_open([{"text": "a", "licence": licence}]))) == allowed


def test_sources_that_are_all_hard_teach_no_difficulty() -> None:
    """Prompts chosen for being hard have no easy counterpart, so they would teach topics."""
    prompts = [
        {"text": "a", "tier": "complex", "source": "hard-only"},
        {"text": "b", "tier": "complex", "source": "both:1"},
        {"text": "c", "tier": "fast", "source": "both:2"},
    ]

    assert [item.text for item in labelled.graded(prompts, [])] == ["b", "c"]


def _prediction(confidence: float, *, right: bool) -> heldout.Prediction:
    said = Classification(Task.CHAT, "", Tier.FAST, confidence, True, Layer.TRAINED, (), 0.5)
    return heldout.Prediction(Example("hi", "chat" if right else KINDS[0], "en", "test"), said)


def test_the_shipped_weights_are_what_the_manifest_says_they_were_trained_on() -> None:
    """The manifest tells how many prompts and phrases made the weights."""
    about = weights.load(weights.shipped_folder()).manifest["trained_on"]

    assert about["prompts"] > 1000
    assert classify("hi").source in (Layer.TRAINED, Layer.LEXICON)


def test_the_shipped_weights_were_built_of_these_phrases() -> None:
    """Phrases or cues that changed since are not in the weights yet: build them again (docs/classifier.md)."""
    about = weights.load(weights.shipped_folder()).manifest["trained_on"]

    assert about["phrases"] == build.phrases_digest()
