"""Shadow comparisons from a terminal: begun, reported, ended; and what is no option."""

from __future__ import annotations

import json

import pytest

from neuronode_router.shadows.store import ShadowStanding, ShadowStore
from tests.admin_api.test_shadows import find
from tests.unit.cli.conftest import Remote, Terminal
from tests.unit.cli.test_golden import check


def running(remote: Remote) -> ShadowStanding | None:
    """Return the comparison that runs."""
    return ShadowStore(remote.world.store.database).running()


def test_a_comparison_begins_and_is_reported(remote: Remote, neuronode: Terminal) -> None:
    """The receipt first; then one sentence, and a line for each task."""
    check("shadow_start", neuronode("shadow", "start", "balanced", "--budget", "5", "-y"))
    found = running(remote)
    assert found is not None
    find(remote.world, found.shadow.id)

    check("shadow_report", neuronode("shadow", "report"), hide=found.shadow.id)
    check("shadow_stop", neuronode("shadow", "stop", "--reason", "enough", "-y"))
    check("shadow_status", neuronode("shadow", "status"), hide=found.shadow.id)


def test_every_option_is_part_of_the_plan(remote: Remote, neuronode: Terminal) -> None:
    """As the proxy takes it."""
    shape = (
        "--budget",
        "2.5",
        "--share",
        "0.5",
        "--hours",
        "2",
        "--concurrency",
        "4",
        "--judge",
        "chat_premium",
    )
    tasks = ("--task", "chat", "--task", "auto", "--sample-text")

    assert neuronode("shadow", "start", "balanced", *shape, *tasks, "-y").code == 0

    found = running(remote)
    assert found is not None
    shadow = found.shadow
    assert (shadow.share, shadow.budget_usd, shadow.concurrency) == (5, 2.5, 4)
    assert (shadow.tasks, shadow.judge, shadow.sample_text) == (("chat", "auto"), "chat_premium", True)
    assert shadow.until == pytest.approx(found.started_at + 7200, abs=60)


@pytest.mark.parametrize("wrong", [(), ("--budget", "0"), ("--budget", "1", "--share", "200")])
def test_what_is_no_option(remote: Remote, neuronode: Terminal, wrong: tuple[str, ...]) -> None:
    """It is said what is wrong, and nothing begins."""
    assert neuronode("shadow", "start", "balanced", *wrong, "-y").code == 2
    assert running(remote) is None


def test_where_nothing_was_compared(remote: Remote, neuronode: Terminal) -> None:
    """That is said; as JSON it is the proxy's own document."""
    assert [neuronode("shadow", act).code for act in ("report", "status")] == [1, 0]
    assert neuronode("shadow", "stop", "-y").code == 1
    assert json.loads(neuronode("shadow", "status", "--json").out) == {"running": None, "shadows": []}
