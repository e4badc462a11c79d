"""A minute of the campaign of faults: two proxies with one PostgreSQL and one Redis, clients and an operator."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.campaign.course import run
from tests.campaign.ground import entered, running_ground, running_proxies
from tests.campaign.judging import judge

FAULTS = (
    *("SQL cut off from one", "proxy killed", "proxy restarted", "Redis killed"),
    "providers that do every wrong",
)
"""Of each kind one; each comes once, in an order of the seed's."""


@pytest.mark.servers
async def test_no_promise_is_broken_in_a_minute_of_faults(capsys: pytest.CaptureFixture[str]) -> None:
    """No failed, mixed or stale answer, no lying receipt, no lost switch; the audit log holds, and so do the books."""
    # Not below pytest's own directory: run by root, PostgreSQL is another user.
    with (
        tempfile.TemporaryDirectory(prefix="neuronode-") as name,
        running_ground(Path(name), afresh=False, upgrade=False) as ground,
        running_proxies(ground, 2) as made,
    ):
        async with entered(ground, made, seed=17, pause=0.5, operators=2) as campaign:
            await run(
                campaign,
                FAULTS,
                over=lambda: sum(map(len, campaign.healed.values())) >= len(FAULTS) or bool(campaign.lost),
                seconds=2.0,
            )
            broken = await judge(campaign, ground.upstream)

    assert not broken, capsys.readouterr().out
    assert set(campaign.healed) == {*FAULTS, "the end"}
