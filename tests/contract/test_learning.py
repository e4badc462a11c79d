"""Training in one process, seen in another: the worker follows within a second, there and back."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuronode_router.classifier.artefacts import ArtefactStore
from tests.unit.classifier.test_retrain import own_words

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "Glumbatz Zollpapier aus Tor eins für Okafor"
FOLLOWS_SECONDS = 3.0
"""A worker looks every half second; the rest is for a busy machine and the end of the command."""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker process on the state directory `tmp_path`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.learning_process", str(tmp_path), PROMPT],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def neuronode(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from neuronode_router.cli.main import main; main()", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.campaign
def test_a_worker_follows_what_another_process_trained(worker: subprocess.Popen[str], tmp_path: Path) -> None:
    """`neuronode train` puts better weights in use and `--back` the former ones; the worker is never restarted."""
    assert worker.stdout is not None
    labels = tmp_path / "labels.jsonl"
    labels.write_text("\n".join(json.dumps({"text": t, "label": "extraction"}) for t in own_words(250)))
    before = worker.stdout.readline()
    assert before.startswith("shipped ")
    assert "extraction" not in before

    trained = neuronode("train", "--from", labels, "--state-dir", tmp_path)

    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert "In use: weights" in trained.stdout
    assert worker.stdout.readline() == "trained extraction\n"
    installed = ArtefactStore(tmp_path).pointers()[-1].since
    assert time.time() - installed < FOLLOWS_SECONDS

    back = neuronode("train", "--back", "--state-dir", tmp_path)

    assert back.returncode == 0, back.stderr
    assert "the shipped weights" in back.stdout
    assert worker.stdout.readline() == before
