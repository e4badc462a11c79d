"""`neuronode policy` and the options of a switch that belong to it."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Remote, Terminal

POLICY = """\
default: premium
schedule:
  - name: always
    zone: UTC
    then: {profile: premium}
"""


def told(shown: str) -> str:
    """Return the line that says why."""
    (line,) = [line for line in shown.splitlines() if line.startswith("why ")]
    return line.removeprefix("why ").strip()


def test_a_file_is_checked_without_a_proxy(neuronode: Terminal, tmp_path: Path) -> None:
    """Each problem has its line; the exit code says whether there are any."""
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    good = neuronode("policy", "check", str(file))
    file.write_text(POLICY + "spelled: wrong\n")
    bad = neuronode("policy", "check", str(file))

    assert (good.code, good.out) == (0, "policy.yaml is valid.\n")
    assert bad.code == 1
    assert "policy.yaml:6" in bad.out


def test_a_switch_is_held_shown_and_released(
    neuronode: Terminal, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status and policy say in one line, the same, why the profile is active."""
    remote.use(monkeypatch)
    switched = neuronode("profile", "switch", "balanced", "--until", "2h", "--yes", "--json")
    status, shown = neuronode("status"), neuronode("policy", "show")
    preview = neuronode("policy", "preview", "--days", "1", "--json")
    released = neuronode("policy", "release", "--yes", "--json")

    assert json.loads(switched.out)["profile"] == "balanced"
    assert told(status.out) == told(shown.out)
    assert told(status.out).startswith("balanced: held by ")
    assert told(status.out).endswith(", then premium")
    assert re.search(r"^then +premium *$", shown.out, re.MULTILINE)
    assert re.search(r"^file +/\S", shown.out, re.MULTILINE)
    assert "emergency > manual > rollout > rule > schedule > default" in shown.out
    assert [one["profile"] for one in json.loads(preview.out)["stretches"]] == ["balanced", "premium"]
    assert json.loads(released.out)["profile"] == "premium"
    assert neuronode("policy", "release", "--yes").code == 1


@pytest.mark.parametrize("text", ["yesterday", "25:00", "2020-01-01T08:00"])
def test_what_is_no_time_to_come_is_refused(neuronode: Terminal, text: str) -> None:
    """Nothing is asked of a proxy."""
    assert neuronode("profile", "switch", "balanced", "--until", text).code == 2


def test_a_time_of_day_is_the_next_one(
    neuronode: Terminal, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is over for today is tomorrow's."""
    remote.use(monkeypatch)
    earlier = datetime.now().astimezone() - timedelta(minutes=2)
    neuronode("profile", "switch", "balanced", "--until", f"{earlier:%H:%M}", "--yes")

    hold = json.loads(neuronode("policy", "show", "--json").out)["now"]["hold"]
    assert 22 * 3600 < hold["until"] - time.time() < 26 * 3600
