"""A team with a profile of its own, through the real proxy: its requests follow, others stay, a rollback ends it."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest

from tests.e2e.asking import answered_by, chat, decision
from tests.e2e.conftest import ADMIN
from tests.support.proxy import Proxy
from tests.support.servers import wait_until

pytestmark = pytest.mark.e2e


def bind(admin: httpx.Client, subject: str, profile: str) -> None:
    """Bind in every worker."""
    answer = admin.put(f"/admin/bindings/{subject}", json={"profile": profile})
    assert answer.raise_for_status().json()["complete"]


@pytest.mark.parametrize("subject", ["team/research", "key/researcher"])
def test_a_bound_caller_gets_its_profile_and_others_the_active_one(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], subject: str
) -> None:
    """Task aliases and `auto` resolve through the bound profile; stable aliases and other callers do not change."""
    bind(admin, subject, "ultra_fast")
    with proxy.client(keys["researcher"]) as mine, proxy.client(keys["ordinary"]) as other:
        own = chat(mine, "extraction")
        routed = chat(mine, "auto:fast")
        second = chat(mine, "task_extraction")
        foreign = chat(other, "extraction")
        admin.delete(f"/admin/bindings/{subject}").raise_for_status()
        after = chat(mine, "extraction")

    assert (answered_by(own), decision(own)["reason"]) == ("extraction_ultra_fast", "binding")
    assert (decision(routed)["profile"], decision(routed)["reason"]) == ("ultra_fast", "binding,forced_tier")
    assert answered_by(second) == "extraction_balanced"
    assert decision(foreign)["profile"] == decision(after)["profile"] == "premium"


def test_who_manages_a_team_switches_it_and_nothing_else(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str]
) -> None:
    """Within allowed_teams; the active profile stays out of reach."""
    document = admin.get(f"{ADMIN}/specialized").json() | {"allowed_teams": ["research"]}
    admin.put(f"{ADMIN}/specialized", json=document, headers={"If-Match": "*"}).raise_for_status()

    with proxy.client(keys["researcher"]) as manager:
        own = manager.put("/admin/bindings/team/research", json={"profile": "specialized"})
        seen = chat(manager, "synthesis")
        beyond = manager.put("/admin/bindings/team/research", json={"profile": "balanced"})
        switch = manager.post(f"{ADMIN}/switch", json={"profile": "specialized"})
        ended = manager.delete("/admin/bindings/team/research")

    assert (own.status_code, beyond.status_code, switch.status_code, ended.status_code) == (
        200,
        403,
        403,
        200,
    )
    assert answered_by(seen) == "synthesis_specialized"


def test_beyond_its_budget_a_team_gets_the_other_profile(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str]
) -> None:
    """Every request costs something here: with a budget of next to nothing, our sums soon say that it is spent."""
    rule = {"share": 0.5, "profile": "cost_effective", "monthly_usd": 0.000001}
    with proxy.client(keys["researcher"]) as mine:
        chat(mine, "extraction").raise_for_status()
        admin.put("/admin/bindings/team/research", json={"beyond": rule}).raise_for_status()

        wait_until(
            lambda: decision(chat(mine, "extraction"))["profile"] == "cost_effective",
            seconds=90,
            what="the other profile",
        )
        admin.delete("/admin/bindings/team/research").raise_for_status()
        assert decision(chat(mine, "extraction"))["profile"] == "premium"
