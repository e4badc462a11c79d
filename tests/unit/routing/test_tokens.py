"""The estimate of tokens beside what real tokenizers counted, for every kind of text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronode_router.routing.tokens import WINDOW, WINDOWS, estimate

SAMPLES: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "testdata" / "tokens" / "samples.json").read_text(encoding="utf-8")
)
BELOW, BELOW_UNSEEN, ABOVE = 0.95, 0.9, 1.56
"""What the estimate may be of the largest count: benchmarks/tokens.py prints the figures."""
HELD_OUT = "held out: "
"""Kinds of text, or texts, that the weights were not fitted to."""


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_estimate_is_hardly_below_and_not_wastefully_above(kind: str) -> None:
    """Of six tokenizers none counts over a twentieth more, nor over a tenth where nobody fitted anything."""
    sample = SAMPLES[kind]
    most = max(sample["tokens"].values())

    assert (
        (BELOW_UNSEEN if kind.startswith(HELD_OUT) else BELOW) * most
        <= estimate([sample["text"]])
        <= ABOVE * most
    )


@pytest.mark.parametrize("kind", SAMPLES)
def test_long_texts_are_sampled_as_well_as_short_ones_are_read(kind: str) -> None:
    """A text that is as long as a book is judged by its windows, however it is cut into turns."""
    text = SAMPLES[kind]["text"] + "\n"
    times = 200_000 // len(text)

    whole, turns = estimate([text * times]), estimate([text] * times)

    assert whole == pytest.approx(estimate([text]) * times, rel=0.12)
    assert turns == pytest.approx(whole, rel=0.12)


def test_kinds_mixed_in_one_request_are_all_seen() -> None:
    """A book's quarter in another script is a quarter of the sample."""
    parts = [SAMPLES[kind]["text"] * 60 for kind in ("english", "chinese", "csv", "python")]

    assert estimate(parts) == pytest.approx(sum(estimate([part]) for part in parts), rel=0.05)


@settings(deadline=None)
@given(
    st.lists(st.text(st.characters(codec=None), max_size=40), max_size=8), st.integers(1, WINDOWS * WINDOW)
)
def test_no_text_is_too_strange(texts: list[str], times: int) -> None:
    """Any characters, lone surrogates among them, are estimated, and more of them are no fewer tokens."""
    once = estimate(texts)

    assert (once > 0) == any(texts)
    assert estimate([*texts, "word " * times]) >= once
