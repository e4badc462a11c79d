"""docs/operations.md names every metric with its type and labels, and every fault, and nothing that is gone."""

from __future__ import annotations

import re
from pathlib import Path

from neuronode_router.litellm_plugin.hooks.tracing import ATTRIBUTES
from neuronode_router.metrics.metering import FAULTS
from tests.deploy.told import told

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
ROWS = re.findall(r"^\| `(neuronode_\w+)` \| (\w+) \| (.*?) ?\| .+ \|$", PAGE, re.MULTILINE)


async def test_the_table_of_metrics_is_the_one_in_force() -> None:
    """Name, type and labels, row by row."""
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROWS}

    assert len(documented) == len(ROWS)
    assert documented == await told()


def test_every_fault_is_explained() -> None:
    """Whoever is alerted looks here."""
    section = PAGE[PAGE.index("| fault |") : PAGE.index("**Several workers** of a host")]

    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(FAULTS.values())


def test_every_attribute_of_a_span_is_named() -> None:
    """The first with its prefix, the others behind it."""
    section = PAGE[PAGE.index("## Traces") :].split("\n## ")[0]

    assert set(re.findall(r"`(?:neuronode)?\.(\w+)`", section)) == set(ATTRIBUTES)
