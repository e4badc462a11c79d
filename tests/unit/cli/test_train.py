"""`neuronode train`: figures and exit codes; the fitting itself is tested in tests/unit/classifier."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from neuronode_router.classifier.artefacts import ArtefactStore
from neuronode_router.classifier.training import retrain as retraining
from tests.support.biased import write_biased
from tests.unit.classifier.test_retrain import own_words
from tests.unit.cli.conftest import Terminal


def labelled_file(directory: Path) -> Path:
    """Write 250 requests in a company's own words."""
    file = directory / "labels.jsonl"
    file.write_text("\n".join(json.dumps({"text": text, "label": "extraction"}) for text in own_words(250)))
    return file


def test_a_dry_run_tells_the_figures_and_changes_nothing(
    neuronode: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 0 because the weights would be accepted; the store stays empty."""
    general = retraining._rehearsed()[::8]  # an eighth of the phrases: how well it learns is not asked here
    monkeypatch.setattr(retraining, "_rehearsed", lambda: general)
    monkeypatch.setattr(retraining, "JUDGED", retraining.JUDGED * 8)
    done = neuronode(
        "train", "--from", labelled_file(tmp_path), "--dry-run", "--json", "--state-dir", tmp_path / "state"
    )

    document = json.loads(done.out)
    assert (done.code, document["accepted"], document["dry_run"], document["installed"]) == (
        0,
        True,
        True,
        None,
    )
    assert document["tasks"]["before"] < document["tasks"]["after"]
    assert document["general_after"] > 0.8
    assert ArtefactStore(tmp_path / "state").pointers() == ()


def test_without_lessons_training_is_refused(neuronode: Terminal, tmp_path: Path) -> None:
    """Exit code 1 with the reason; nothing is installed."""
    done = neuronode("train", "--state-dir", tmp_path / "state")

    assert done.code == 1
    assert "0 lessons to judge by, 25 are needed" in done.out
    assert "0 decisions, 0 judged, 0 with text" in done.out
    assert "Refused" in done.out
    assert "NEURONODE_HISTORY=on" in done.err
    assert ArtefactStore(tmp_path / "state").pointers() == ()


def test_back_goes_one_step(neuronode: Terminal, tmp_path: Path) -> None:
    """Each call leads to what was in use before, the shipped weights at last; then there is no way back."""
    store = ArtefactStore(tmp_path)
    for label in ("maths", "code"):
        with store.workplace() as made:
            write_biased(made, label)
            store.install(made, now=1.0)
    first = store.pointers()[0].digest

    shown = neuronode("train", "--back", "--state-dir", tmp_path)
    shipped = neuronode("train", "--back", "--json", "--state-dir", tmp_path)
    refused = neuronode("train", "--back", "--state-dir", tmp_path)

    assert first[:12] in shown.out
    assert json.loads(shipped.out) == {"in_use": None}
    assert [one.code for one in (shown, shipped, refused)] == [0, 0, 1]
    assert "nothing to go back to" in refused.err


def test_a_missing_extra_is_told_with_its_mend(
    neuronode: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installation without the training libraries says what to install, in one line."""
    monkeypatch.delitem(sys.modules, "neuronode_router.classifier.training.retrain", raising=False)
    monkeypatch.setitem(sys.modules, "scipy", None)

    done = neuronode("train", "--state-dir", tmp_path)

    assert done.code == 1
    assert done.err == (
        "neuronode: Training needs scipy, which is not installed. "
        "Run scripts/install --train, or build the image with WITH_TRAINING=yes.\n"
    )


def test_a_file_that_cannot_be_used_is_named(neuronode: Terminal, tmp_path: Path) -> None:
    """The line is named, and what to write there."""
    (tmp_path / "bad.jsonl").write_text('{"text": "a", "label": "chat"}\nnonsense\n')

    done = neuronode("train", "--from", tmp_path / "bad.jsonl", "--state-dir", tmp_path)

    assert done.code == 1
    assert "bad.jsonl:2 is not JSON" in done.err


def test_it_is_told_what_a_file_teaches(neuronode: Terminal, tmp_path: Path) -> None:
    """Otherwise nobody knows why difficulty was not learned: a medium tier says nothing of it."""
    rows = [
        {"text": "Plane es", "label": "strategy", "tier": "medium"},
        {"text": "Und?", "tier": "fast"},
        {"text": "a"},
    ]
    (tmp_path / "few.jsonl").write_text("\n".join(map(json.dumps, rows)))
    arguments = ("train", "--from", tmp_path / "few.jsonl", "--dry-run", "--state-dir", tmp_path)

    shown, told = neuronode(*arguments), json.loads(neuronode(*arguments, "--json").out)

    assert "3 rows, 1 with a label, 1 easy, 0 hard, 1 teach nothing" in shown.out
    assert told["file"] == {"rows": 3, "labels": 1, "easy": 1, "hard": 0, "nothing": 1}
    assert told["history"] is None


def test_a_folder_is_named_as_it_was_given(
    neuronode: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last part of `.` is empty."""
    monkeypatch.chdir(tmp_path)

    assert "neuronode: . cannot be read" in neuronode("train", "--from", ".", "--state-dir", tmp_path).err


def test_back_goes_with_nothing_else(neuronode: Terminal, tmp_path: Path) -> None:
    """A contradiction is wrong usage."""
    assert neuronode("train", "--back", "--dry-run", "--state-dir", tmp_path).code == 2
    assert neuronode("train", "--back", "--from", "file", "--state-dir", tmp_path).code == 2
