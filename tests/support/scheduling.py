"""How the whole suite is dealt to several processes (pytest-xdist): what shares a proxy stays together, long first.

It must not know what is tested. A name that is missing here costs time and nothing else.
"""

from __future__ import annotations

from xdist.scheduler.loadscope import LoadScopeScheduling

SHARED = ("tests/browser", "tests/e2e", "tests/database", "tests/host")
"""Folders whose tests share servers, or LiteLLM as a library: started or imported once, in one process."""

APART = frozenset(
    f"tests/{name}.py"
    for name in (
        *("e2e/test_campaign", "e2e/test_fit", "e2e/test_gate", "e2e/test_metrics", "e2e/test_openapi"),
        *("e2e/test_plain_litellm", "e2e/test_proof", "e2e/test_providers", "e2e/test_serve"),
        *("e2e/test_survival", "e2e/test_usage"),
        "database/test_tutorial",
    )
)
"""Files of those folders that start servers of their own."""

LONG = (*SHARED, *sorted(APART), "tests/unit/classifier/test_retrain.py", "tests/contract")
"""What comes first, so that nothing long is left for one process when the others have ended."""


LOUD = frozenset({"tests/e2e/test_redis_faults.py", "tests/e2e/test_switch_under_load.py"})
"""Files that leave the deployments of a shared proxy looking overloaded: they come after the others that share it."""


def unit_of(nodeid: str) -> str:
    """Return what a test is dealt together with: its file, or its whole folder."""
    file = nodeid.partition("::")[0]
    return file if file in APART else next((folder for folder in SHARED if _in(file, folder)), file)


def turn_of(nodeid: str) -> tuple[int, bool]:
    """Return when a test comes, lowest first."""
    unit = unit_of(nodeid)
    places = [unit] if unit in LONG else LONG
    turn = next((LONG.index(place) for place in places if _in(unit, place)), len(LONG))
    return turn, is_loud(nodeid)


def is_loud(nodeid: str) -> bool:
    """Return whether a test disturbs those that share its proxy and come after it."""
    return nodeid.partition("::")[0] in LOUD


class SharedStarts(LoadScopeScheduling):
    """Deals units in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def _in(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}/")
