"""No wait of ours in the event loop's own threads, where LiteLLM begins every completion."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for room in ("neuronode_router", "admin_api") for path in (ROOT / room).rglob("*.py"))
DEFAULT_EXECUTOR = re.compile(r"\bto_thread\b|run_in_executor\(\s*None\b")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("await asyncio.to_thread(read)", True),
        ("from asyncio import to_thread", True),
        ("await loop.run_in_executor(\n    None, read)", True),
        ("await loop.run_in_executor(self._witnesses, read)", False),
        ("await in_thread(read)", False),
    ],
)
def test_the_pattern_sees_both_ways_there(line: str, found: bool) -> None:
    """What reaches the default executor is found, and nothing else."""
    assert bool(DEFAULT_EXECUTOR.search(line)) is found


def test_nothing_of_ours_waits_in_the_default_executor() -> None:
    """All that waits for a disk or a database waits in threads of our own (`neuronode_router.threads`)."""
    told = re.compile(r'""".*?"""', re.DOTALL)
    users = [str(path) for path in SOURCES if DEFAULT_EXECUTOR.search(told.sub("", path.read_text("utf-8")))]
    assert len(SOURCES) > 100
    assert users == []
