"""The artefact: loaded by hash, refused when altered (T25)."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neuronode_router.classifier import Classifier, Layer, features, lexicon, weights
from neuronode_router.errors import ArtefactRefused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the shipped artefact that a test may spoil."""
    return Path(shutil.copytree(weights.shipped_folder(), tmp_path / "artefact"))


def test_the_shipped_artefact_loads_and_is_small() -> None:
    """The whole artefact stays under two megabytes, and the digest is the manifest's."""
    loaded = weights.load(weights.shipped_folder())

    assert loaded.digest == loaded.manifest["sha256"][weights.TABLE]
    assert sum(path.stat().st_size for path in weights.shipped_folder().iterdir()) <= 2_000_000


@pytest.mark.parametrize("position", [0, 1000, -1])
def test_one_flipped_byte_is_refused(folder: Path, position: int) -> None:
    """A table that differs in one byte from the manifest is not used."""
    table = folder / weights.TABLE
    payload = bytearray(table.read_bytes())
    payload[position] ^= 1
    table.write_bytes(payload)

    with pytest.raises(ArtefactRefused, match="sha256"):
        weights.load(folder)


def test_another_artefact_than_expected_is_refused(folder: Path) -> None:
    """Weights named by hash are those weights or none."""
    with pytest.raises(ArtefactRefused, match="not 000000"):
        weights.load(folder, expected="0" * 64)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"format": 99, "columns": []}', "\x00"])
def test_a_strange_manifest_is_refused(folder: Path, manifest: str) -> None:
    """No manifest, or one of another format: nothing is loaded."""
    (folder / weights.MANIFEST).write_text(manifest)

    with pytest.raises(ArtefactRefused):
        weights.load(folder)


def test_a_table_of_another_shape_is_refused(folder: Path) -> None:
    """Even with a fitting hash, a table must be what this version reads."""
    np.savez(
        folder / "other.npz",
        table=np.zeros((2, 2), np.int8),
        scale=np.zeros(2),
        bias=np.zeros(2),
        known=np.zeros(1, np.uint8),
    )
    (folder / "other.npz").replace(folder / weights.TABLE)
    _vouch(folder)

    with pytest.raises(ArtefactRefused, match="shape"):
        weights.load(folder)


def test_an_array_that_needs_pickle_is_refused(folder: Path) -> None:
    """An artefact cannot carry objects, so loading it cannot run code."""
    np.savez(
        folder / "other.npz", table=np.array([{"a": 1}], dtype=object), scale=np.zeros(2), bias=np.zeros(2)
    )
    (folder / "other.npz").replace(folder / weights.TABLE)
    _vouch(folder)

    with pytest.raises(ArtefactRefused, match="cannot be read"):
        weights.load(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    """A wheel without its weights says so."""
    (folder / weights.TABLE).unlink()

    with pytest.raises(ArtefactRefused, match="missing"):
        weights.load(folder)


def test_without_weights_cues_take_over() -> None:
    """A refused artefact costs quality, not requests: the lexicon answers alone."""
    said = Classifier(lexicon.shipped(), None).classify("Fasse den Artikel zusammen.")

    assert (said.task, said.source) == ("summary", Layer.LEXICON)


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_characters="\n"), max_size=60), st.booleans()),
        min_size=1,
        max_size=6,
    )
)
@example([("?!", False), ("is it cold?", True), ("", False), ("...", True)])  # texts without words
@example([("a" * features.MAX_CHARS, False), ("beyond the bound", True), ("so is this", False)])
@example([("a b " * features.MAX_CHARS, False), ("", False)])
def test_features_are_worth_the_same_laid_out_and_kept(texts: list[tuple[str, bool]]) -> None:
    """What is scored at once has the very scores of the features that are kept to learn from."""
    table = _shipped().table
    given_texts = [text for text, _ in texts]
    cues = [features.cue_rows("summary", "tldr") if has_cue else () for _, has_cue in texts]

    kept = table.scores(features.hash_rows(given_texts, cues))

    np.testing.assert_array_equal(table.scores_of(features.hash_lines(given_texts, cues)), kept)


def test_a_part_of_one_piece_is_merged_as_if_it_stood_alone() -> None:
    """A window without further pieces is worth its own shares, whoever merges it."""
    shares = weights.probabilities(np.random.default_rng(0).normal(size=(3, len(weights.COLUMNS))))

    for number, labels in enumerate(weights.alone(shares)):
        np.testing.assert_array_equal(labels, weights.combine(shares[number : number + 1]))


def test_combined_shares_are_a_distribution() -> None:
    """Whatever the pieces say, the labels' shares of a turn are not negative and add up to 1."""
    rng = np.random.default_rng(0)

    for pieces in (1, 2, 13):
        shares = weights.combine(weights.probabilities(rng.normal(size=(pieces, len(weights.COLUMNS)))))
        assert shares.min() >= 0
        assert shares.sum() == pytest.approx(1, abs=1e-5)


def test_calibration_is_monotone() -> None:
    """A larger share never means less confidence."""
    calibration = weights.load(weights.shipped_folder()).calibration

    confidences = [calibration(share) for share in np.linspace(0, 1, 101)]

    assert confidences == sorted(confidences)
    assert 0 <= confidences[0] <= confidences[-1] <= 1


@cache
def _shipped() -> weights.Weights:
    return weights.load(weights.shipped_folder())


def _vouch(folder: Path) -> None:
    """Make the manifest name the files that lie there."""
    import hashlib

    manifest = json.loads((folder / weights.MANIFEST).read_text())
    manifest["sha256"][weights.TABLE] = hashlib.sha256((folder / weights.TABLE).read_bytes()).hexdigest()
    (folder / weights.MANIFEST).write_text(json.dumps(manifest))


def test_calibration_draws_straight_lines_between_its_knots() -> None:
    """Between knots the confidence is in between, and beyond them it stays."""
    calibration = weights.Calibration((0.2, 0.4, 0.4, 0.8), (0.1, 0.3, 0.5, 0.9))

    assert [calibration(share) for share in (0.0, 0.2, 0.3, 0.6, 0.8, 1.0)] == pytest.approx(
        [0.1, 0.1, 0.2, 0.7, 0.9, 0.9]
    )
