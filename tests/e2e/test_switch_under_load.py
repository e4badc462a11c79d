"""Many switches under load on a proxy with two workers, judged by the history checker."""

from __future__ import annotations

import itertools

import pytest

from tests.support.place import PROFILES
from tests.support.proxy import Proxy
from tests.support.traffic import driving

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(240)
@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.campaign)])
async def test_switches_break_no_promise(proxy: Proxy, count: int) -> None:
    """No failed, cut or mixed answer, none under an older revision after a full receipt, one audit row each."""
    async with driving(proxy) as driver:
        others = itertools.cycle(p for p in PROFILES if p != driver.history.first_profile)

        async with driver.load(plain=4, streams=4):
            receipts = [await driver.switch(next(others)) for _ in range(count)]
        audit = await driver.audit()

    assert [r for r in receipts if not (r["changed"] and r["complete"])] == []
    assert {len(receipt["workers"]) for receipt in receipts} == {2}
    assert len(driver.history.switches) == count
    assert len({seen.revision for seen in driver.history.requests}) > count / 4
    assert driver.history.faults(audit) == []
