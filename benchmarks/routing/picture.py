"""Draws cost against quality into a small SVG. It must not know how either was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.routing.curves import COST_LARGE, COST_SMALL, Floats, Outcomes, recovered

WIDTH, HEIGHT, LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT = 720, 380, 60, 20, 400, 310
COLOURS = ("#1f5fbf", "#c2571a", "#3a8a3a", "#8a5ab0", "#b03a6a", "#0a8a8a")
POINTS = 60


def draw(
    curves: Mapping[str, Floats],
    marks: Mapping[str, tuple[float, float]],
    outcomes: Outcomes,
    path: Path,
) -> None:
    """Draw a curve per score over all shares of the large deployment, and a mark (cost, quality) per decision."""
    low, gap = float(outcomes.small.mean()), float((outcomes.large - outcomes.small).mean())
    top = low + gap * 1.15

    def at(cost: float, quality: float) -> tuple[float, float]:
        x = LEFT + (cost - COST_SMALL) / (COST_LARGE - COST_SMALL) * PLOT_WIDTH
        return x, TOP + (1 - (quality - low) / (top - low)) * PLOT_HEIGHT

    parts = [_frame(low, top)]
    for number, (name, score) in enumerate({"random mix": None, **curves}.items()):
        colour = COLOURS[number % len(COLOURS)] if score is not None else "#888888"
        share = np.linspace(0, 1, POINTS)
        closed = share if score is None else _sampled(recovered(score, outcomes), share)
        points = [
            at(COST_SMALL + s * (COST_LARGE - COST_SMALL), low + gap * q)
            for s, q in zip(share.tolist(), closed.tolist(), strict=True)
        ]
        parts += [_line(points, colour), _label(number, name, colour)]
        if name in marks:
            x, y = at(*marks[name])
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
    style = 'font-family="sans-serif" font-size="12"'
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{"".join(parts)}</svg>\n')


def _sampled(curve: Floats, share: Floats) -> Floats:
    return np.interp(share, np.linspace(0, 1, len(curve)), curve)


def _frame(low: float, top: float) -> str:
    bottom, right = TOP + PLOT_HEIGHT, LEFT + PLOT_WIDTH
    return (
        f'<rect x="{LEFT}" y="{TOP}" width="{PLOT_WIDTH}" height="{PLOT_HEIGHT}" fill="none" stroke="#444444"/>'
        f'<text x="{LEFT - 6}" y="{TOP + 10}" text-anchor="end">{top:.2f}</text>'
        f'<text x="{LEFT - 6}" y="{bottom}" text-anchor="end">{low:.2f}</text>'
        f'<text x="{LEFT}" y="{bottom + 18}">cost {COST_SMALL:.0f}</text>'
        f'<text x="{right}" y="{bottom + 18}" text-anchor="end">{COST_LARGE:.0f}</text>'
        f'<text x="{LEFT}" y="{bottom + 36}">share of items solved over mean cost; dots: the tiers decided</text>'
    )


def _line(points: Sequence[tuple[float, float]], colour: str) -> str:
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _label(number: int, name: str, colour: str) -> str:
    x, y = LEFT + PLOT_WIDTH + 12, TOP + 14 + number * 18
    return f'<text x="{x}" y="{y}" fill="{colour}">{name}</text>'
