"""Figures over answers: accuracy with intervals by language and source, tiers, ranking of difficulty."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from neuronode_router.classifier import Task
from neuronode_router.classifier.training.heldout import task_name

Row = Mapping[str, Any]
TASKS = [task.value for task in Task]


def wanted(row: Row) -> str:
    """Return the task a row has: rows with a kind are `other`."""
    return task_name(row["task_type"] or row["kind"])


def accuracy(rows: Sequence[Row], right: Sequence[bool]) -> str:
    """Return accuracy and its 95 % interval, resampling sources (not rows: rows of one source are alike)."""
    grouped: dict[str, list[bool]] = defaultdict(list)
    for row, ok in zip(rows, right, strict=True):
        grouped[row["source"]].append(ok)
    rng, groups = random.Random(0), list(grouped.values())
    means = sorted(
        float(np.mean([*chain.from_iterable(rng.choices(groups, k=len(groups)))])) for _ in range(300)
    )
    return f"{np.mean(right):.3f} [{means[7]:.3f}, {means[292]:.3f}]"


def tier_by_policy(rows: Sequence[Row], tiers: Sequence[str]) -> str:
    """Return how often the task's default tier was met, and recall and false alarms of `complex`."""
    pairs = [(row["tier_policy"], tier) for row, tier in zip(rows, tiers, strict=True) if row["tier_policy"]]
    hard = [tier == "complex" for want, tier in pairs if want == "complex"]
    false = [tier == "complex" for want, tier in pairs if want != "complex"]
    met, recall = np.mean([want == tier for want, tier in pairs]), np.mean(hard) if hard else float("nan")
    return f"{met:.3f}, complex recall {recall:.3f}, false complex {np.mean(false):.3f}"


def macro_f1(want: Sequence[str], said: Sequence[str]) -> float:
    """Return the mean F1 of the tasks that occur."""
    pairs = Counter(zip(want, said, strict=True))
    scores = []
    for task in sorted(set(want)):
        hits = pairs[task, task]
        scores.append(2 * hits / (list(want).count(task) + list(said).count(task)))
    return float(np.mean(scores))


def auc(score: Sequence[float], hard: Sequence[bool]) -> float:
    """Return the chance that a hard prompt scores above an easy one (ties count half)."""
    values, labels = np.array(score), np.array(hard)
    above = (values[labels][:, None] > values[~labels][None, :]).mean()
    same = (values[labels][:, None] == values[~labels][None, :]).mean()
    return float(above + same / 2)


def apgr(score: Sequence[float], small: Sequence[int], large: Sequence[int]) -> float:
    """Return the average performance gap recovered when the highest scores go to the large deployment first."""
    gain = np.array(large, dtype=float) - np.array(small, dtype=float)
    values = np.array(score)
    mean = {value: gain[values == value].mean() for value in set(values.tolist())}
    ordered = np.array([mean[value] for value in np.sort(values)[::-1].tolist()])
    recovered = np.concatenate([[0.0], np.cumsum(ordered)]) / gain.sum()
    return float(((recovered[1:] + recovered[:-1]) / 2).mean())


def confusion(want: Sequence[str], said: Sequence[str]) -> str:
    """Return the confusion matrix as text: rows are what was asked for."""
    pairs = Counter(zip(want, said, strict=True))
    head = " " * 17 + " ".join(f"{task[:8]:>8}" for task in TASKS)
    lines = [f"{row:17}" + " ".join(f"{pairs[row, column]:8}" for column in TASKS) for row in TASKS]
    return "\n".join([head, *lines])


def picture(want: Sequence[str], said: Sequence[str], path: Path) -> None:
    """Draw the confusion matrix, each row as shares, into an SVG file of a few kilobytes."""
    pairs, cell, left, top = Counter(zip(want, said, strict=True)), 44, 130, 100
    parts = []
    for i, row in enumerate(TASKS):
        total = max(1, list(want).count(row))
        y = top + i * cell
        parts.append(f'<text x="{left - 6}" y="{y + 27}" text-anchor="end">{row}</text>')
        for j, column in enumerate(TASKS):
            share, x = pairs[row, column] / total, left + j * cell
            tone = 255 - round(200 * share)
            parts.append(
                f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="rgb({tone},{tone},255)"/>'
            )
            parts.append(f'<text x="{x + 22}" y="{y + 27}" text-anchor="middle">{share:.2f}</text>')
    for j, column in enumerate(TASKS):
        x = left + j * cell + 22
        parts.append(f'<text transform="translate({x},{top - 8}) rotate(-45)">{column}</text>')
    size = f'width="{left + 10 * cell}" height="{top + 9 * cell + 10}"'
    style = 'font-family="sans-serif" font-size="12"'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{"".join(parts)}</svg>\n')
