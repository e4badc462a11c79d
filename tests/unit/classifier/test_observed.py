"""Features without text: what is kept is what the weights read."""

from __future__ import annotations

import numpy as np
import pytest

from neuronode_router.classifier import Layer, classify, excerpt, lexicon, weights
from neuronode_router.classifier.decisions import chance
from neuronode_router.classifier.features import ROWS, WORDS
from neuronode_router.classifier.observed import observe, pack, scheme, unpack

TEXTS = ("Fasse den Bericht zusammen.\n\nDer Hafen war still. " * 40, "hi", "ß" * 3000, "x = [1]\n```\n")


@pytest.mark.parametrize("text", TEXTS)
def test_packed_features_score_the_same(text: str) -> None:
    """What comes back from the database is worth as much as what went in."""
    rows = observe(excerpt.read(text), lexicon.shipped())
    loaded = weights.load(weights.shipped_folder())

    again = unpack(pack(rows))

    np.testing.assert_array_equal(loaded.table.scores(rows), loaded.table.scores(again))
    assert set(again.words) == set(rows.words)


def test_features_are_those_of_the_classifier() -> None:
    """Scored from features, a turn gets the task that the classifier gave it, attached text and cues included."""
    text = "Bitte einmal knapp: worum geht es?\n\n" + "Die Sitzung vom Montag wurde vertagt. " * 20
    said = classify(text)
    loaded = weights.load(weights.shipped_folder())

    scores = loaded.table.scores(observe(excerpt.read(text), lexicon.shipped()))

    task, _, share = weights.best(weights.combine(weights.probabilities(scores)).tolist())
    raw = share * (1 - chance(float(scores[0, weights.FOREIGN])))
    assert said.source is Layer.TRAINED
    assert (task, loaded.calibration(raw)) == (said.task, pytest.approx(said.confidence))


def test_every_feature_fits_into_what_is_kept() -> None:
    """Rows are kept in 16 bits, owners in 8, words in 32."""
    assert ROWS <= 1 << 16
    assert WORDS <= 1 << 32
    assert observe(excerpt.read("\n".join(TEXTS) * 50), lexicon.shipped()).count.size < 256


def test_the_scheme_follows_the_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features that are computed in another way have another name."""
    before = scheme()
    monkeypatch.setattr("neuronode_router.classifier.features._ORDER_SALTS", 0)
    scheme.cache_clear()

    after = scheme()

    scheme.cache_clear()
    assert before != after
