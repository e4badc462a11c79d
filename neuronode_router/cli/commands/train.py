"""`neuronode train`: let the classifier learn from judged decisions or from a labelled file, or go back.

It must not know how weights are fitted or kept. It works on the state directory; running workers follow by themselves.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from neuronode_router.cli.options import (
    config_option,
    dry_run_option,
    json_option,
    settings_with,
    state_dir_option,
)
from neuronode_router.cli.terminal import answer, facts, note, print_json, show
from neuronode_router.errors import ArtefactRefused, NeuronodeError

if TYPE_CHECKING:
    from neuronode_router.classifier.artefacts import ArtefactStore, Pointer
    from neuronode_router.classifier.history import Counts
    from neuronode_router.classifier.training.lessons import Lesson, Taught
    from neuronode_router.classifier.training.retrain import LabelPart, Verdict
    from neuronode_router.classifier.weights import Weights

HISTORY = "history"
GIVERS = 5
EXTRA = "Run scripts/install --train, or build the image with WITH_TRAINING=yes."


@click.command("train")
@click.option(
    "--from",
    "source",
    default=HISTORY,
    show_default=True,
    help="The history, or a JSONL file: text, label, tier.",
)
@click.option("--back", is_flag=True, help="Use again what was in use before.")
@dry_run_option
@state_dir_option
@config_option
@json_option
def command(*, source: str, back: bool, dry_run: bool, as_json: bool, **paths: Path | None) -> None:
    """Learn from what was judged, and use it if it is clearly better on what was held out.

    Exit code 1: the new weights were refused; the ones in use stay in use.
    """
    from neuronode_router.classifier.artefacts import ArtefactStore

    if back and (dry_run or source != HISTORY):
        raise click.UsageError("--back goes with neither --from nor --dry-run.")
    state_dir = settings_with(paths).state_dir
    store = ArtefactStore(state_dir)
    if back:
        _go_back(store, as_json=as_json)
    else:
        _learn(store, source, state_dir, dry_run=dry_run, as_json=as_json)


def _go_back(store: ArtefactStore, *, as_json: bool) -> None:
    pointer = store.back()
    again = f"In use again: {_name(pointer)}. Running workers follow within a second."
    answer({"in_use": _digest(pointer)}, lambda: [again], as_json=as_json)


def _learn(store: ArtefactStore, source: str, state_dir: Path, *, dry_run: bool, as_json: bool) -> None:
    try:
        from neuronode_router.classifier.training.retrain import retrain
    except ImportError as error:
        raise NeuronodeError(
            f"Training needs {error.name or 'libraries'}, which is not installed.",
            fix=EXTRA,
        ) from error
    in_use = _in_use(store)
    lessons, counts = _lessons(source, state_dir, in_use)
    installed = None
    with store.workplace() as made:
        verdict = retrain(lessons, made, in_use=in_use)
        if verdict.accepted and not dry_run:
            installed = store.install(made, now=time.time())
    givers = Counter(lesson.giver for lesson in lessons if lesson.giver).most_common(GIVERS)
    if as_json:
        told = {
            "history": asdict(counts) if source == HISTORY else None,
            "file": None if source == HISTORY else asdict(counts),
            "feedback_by": dict(givers),
            "dry_run": dry_run,
        }
        outcome = {"accepted": verdict.accepted, "why": verdict.why, **asdict(verdict)}
        print_json(outcome | told | {"installed": _digest(installed)})
    else:
        _show(verdict, counts, givers=givers, installed=installed)
    sys.exit(0 if verdict.accepted else 1)


def _in_use(store: ArtefactStore) -> Weights:
    """Return the weights that workers use. Raises `ArtefactRefused` when not even the shipped ones are whole."""
    from neuronode_router.classifier import weights

    try:
        found = store.load()
    except ArtefactRefused as refusal:
        note(f"{refusal.message} The shipped weights are learned from.")
        found = None
    return found.weights if found else weights.load(weights.shipped_folder())


def _lessons(source: str, state_dir: Path, in_use: Weights) -> tuple[list[Lesson], Counts | Taught]:
    from neuronode_router.classifier.history import History
    from neuronode_router.classifier.training.lessons import from_file, from_history

    if source != HISTORY:
        return from_file(Path(source), in_use)
    history = History(state_dir)
    counts = history.counts()
    if not counts.kept:
        note("The history is empty: a proxy with NEURONODE_HISTORY=on keeps one in its state directory.")
    return from_history(history), counts


def _show(
    verdict: Verdict, counts: Counts | Taught, *, givers: Sequence[tuple[str, int]], installed: Pointer | None
) -> None:
    rows = [
        _learned_from(counts),
        ("tasks", _part(verdict.tasks)),
        ("difficulty", _part(verdict.difficulty)),
        ("general phrases", f"{verdict.general_before:.1%} -> {verdict.general_after:.1%}"),
    ]
    if givers:
        rows.append(("feedback by", ", ".join(f"{giver} {count}" for giver, count in givers)))
    show(facts(rows), "")
    if not verdict.accepted:
        show(f"Refused: {verdict.why}. What was in use stays in use.")
    elif installed is None:
        show("Would be accepted. Nothing was changed.")
    else:
        show(
            f"In use: {_name(installed)}. Running workers follow within a second. Back: neuronode train --back"
        )


def _learned_from(counts: Counts | Taught) -> tuple[str, str]:
    from neuronode_router.classifier.training.lessons import Taught

    if isinstance(counts, Taught):
        says = f"{counts.rows} rows, {counts.labels} with a label, {counts.easy} easy, {counts.hard} hard"
        return "file", says + (f", {counts.nothing} teach nothing" if counts.nothing else "")
    return "history", f"{counts.kept} decisions, {counts.judged} judged, {counts.texts} with text"


def _part(part: LabelPart) -> str:
    if not part.before and not part.after:
        return f"kept: {part.why}"
    figures = (
        f"{part.before:.1%} -> {part.after:.1%} of {part.held_out} held out, {part.learned_from} learned from"
    )
    return figures if part.better else f"{figures}; kept: {part.why}"


def _name(pointer: Pointer | None) -> str:
    return f"weights {pointer.digest[:12]}" if pointer else "the shipped weights"


def _digest(pointer: Pointer | None) -> str | None:
    return pointer.digest if pointer else None
