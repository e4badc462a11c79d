"""docs/statistics.md names every state, reason and key there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuronode_router.domain.decisions import Step
from neuronode_router.domain.rules import OnOverload
from neuronode_router.routing.fit import Misfit
from neuronode_router.routing.inventory import Note
from neuronode_router.routing.overload import Health

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "statistics.md").read_text()


@pytest.mark.parametrize("word", [*Health, *Step, *Misfit, *OnOverload, *Note.model_fields])
def test_every_word_is_documented(word: str) -> None:
    """An operator who meets the word finds it on the page."""
    assert f"`{word}`" in PAGE
