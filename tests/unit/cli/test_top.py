"""`neuronode top`: the figures of the last minutes as rates, once or on a screen that is drawn again."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from neuronode_router.errors import NotReady
from neuronode_router.usage.finished import RequestOutcome
from tests.support.servers import wait_until
from tests.support.usage import finished
from tests.unit.cli.conftest import Remote, Terminal
from tests.unit.cli.test_terminal import screen


def count(remote: Remote, times: int, **changes: Any) -> None:
    """Let requests end now."""
    for _ in range(times):
        remote.world.buffer.count(finished(at=time.time(), **changes))


def test_it_tells_rates_of_each_task(remote: Remote, neuronode: Terminal) -> None:
    """The busiest first; the cost is that of an hour, and what nobody has set a price for is unpriced."""
    count(remote, 29, cost=0.01)
    count(remote, 10, task="summary", cost=None, latency_ms=500.0)
    count(remote, 10, task="summary", cost=None, outcome=RequestOutcome.TIMEOUT, latency_ms=None)

    found = json.loads(neuronode("top", "--json").out)
    lines = neuronode("top", "--once").out.splitlines()

    first, second = found["lines"]
    assert (first["name"], second["name"]) == ("chat", "summary")
    assert first["requests"] == 30  # one is there from the start
    assert first["requests_per_second"] == pytest.approx(30 / found["seconds"])
    assert 300 <= found["seconds"] <= 361
    assert first["cost_usd_per_hour"] == pytest.approx(0.29 * 3600 / found["seconds"], rel=1e-3)
    assert (second["error_rate"], second["cost_usd_per_hour"]) == (0.5, None)
    assert lines[0].split() == ["profile", "premium,", "revision", "1"]
    (summary,) = (line.split() for line in lines if line.startswith("summary"))
    assert "50.0%" in summary
    assert summary[-1] == "unpriced"
    assert lines[-1].startswith("total")


@pytest.mark.parametrize(("by", "name"), [("profile", "premium"), ("group", "chat_premium")])
def test_a_row_can_stand_for_a_profile_or_a_group(
    remote: Remote, neuronode: Terminal, by: str, name: str
) -> None:
    """A group is the one that answered."""
    found = json.loads(neuronode("top", "--by", by, "--json").out)

    assert [line["name"] for line in found["lines"]] == [name]


def test_without_a_terminal_it_is_printed_once(remote: Remote, neuronode: Terminal) -> None:
    """A script that forgets `--once` does not hang."""
    outcome = neuronode("top")

    assert outcome.code == 0
    assert outcome.out.splitlines()[-1].startswith("total")


def test_the_screen_follows_and_q_leaves_it(remote: Remote, tmp_path: Path) -> None:
    """What ends while it is shown appears; leaving is no error."""
    with screen(remote, tmp_path, "top") as terminal:
        wait_until(lambda: terminal.shows("chat"), what="the first screen")
        assert not terminal.shows("summary")

        count(remote, 5, task="summary")
        wait_until(lambda: terminal.shows("summary"), what="the next screen")
        terminal.type("q")
        assert terminal.process.wait(10) == 0

        assert not terminal.shows("Traceback")


def test_figures_stay_while_the_proxy_is_away(remote: Remote, tmp_path: Path) -> None:
    """They are told to be old, and new ones come by themselves; Ctrl-C leaves as q does."""
    with screen(remote, tmp_path, "top") as terminal:
        wait_until(lambda: terminal.shows("chat"), what="the first screen")

        remote.world.closed = NotReady("It starts.")
        wait_until(lambda: terminal.shows("These are the figures of"), what="the word that it is away")
        remote.world.closed = None
        count(remote, 5, task="summary")
        wait_until(lambda: terminal.shows("summary"), what="new figures")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(10) == 0

        assert not terminal.shows("Traceback")
