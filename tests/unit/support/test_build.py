"""LiteLLM's database mode is built once, however many ask for it at a time."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from tests.support.database_mode import build


def test_who_asks_while_it_is_built_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CI builds it beside the tests that need it."""
    built: list[Path] = []
    other = Thread(target=build.built)

    def make(place: Path, schema: Path) -> None:
        built.append(place)
        if len(built) == 1:
            other.start()
            other.join(0.2)  # it would be through, if it did not wait

    monkeypatch.setattr(build, "CACHE", tmp_path)
    monkeypatch.setattr(build, "_build", make)

    place = build.built()
    other.join()

    assert len(built) == 1
    assert place.is_dir()
