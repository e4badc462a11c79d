"""Two hundred switches under load on a proxy with two workers, judged by the history checker."""

from __future__ import annotations

import itertools

import pytest

from tests.support.place import PROFILES
from tests.support.proxy import Proxy
from tests.support.traffic import driving

pytestmark = pytest.mark.e2e

SWITCHES = 200


@pytest.mark.timeout(240)
async def test_two_hundred_switches_break_no_promise(proxy: Proxy) -> None:
    """No failed, cut or mixed answer, none under an older revision after a full receipt, one audit row each."""
    async with driving(proxy) as driver:
        others = itertools.cycle(p for p in PROFILES if p != driver.history.first_profile)

        async with driver.load(plain=4, streams=4):
            receipts = [await driver.switch(next(others)) for _ in range(SWITCHES)]
        audit = await driver.audit()

    assert [r for r in receipts if not (r["changed"] and r["complete"])] == []
    assert {len(receipt["workers"]) for receipt in receipts} == {2}
    assert len(driver.history.switches) == SWITCHES
    assert len({seen.revision for seen in driver.history.requests}) > SWITCHES / 4
    assert driver.history.faults(audit) == []
