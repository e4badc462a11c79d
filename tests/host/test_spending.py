"""A spent budget pays for nothing that costs, whatever LiteLLM's map says of the name; what is free is served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import litellm
import pytest
from fastapi import HTTPException, Request
from litellm.proxy._types import ProxyErrorTypes, ProxyException, UserAPIKeyAuth
from litellm.proxy.auth.auth_checks import is_model_cost_zero
from litellm.proxy.common_utils.http_parsing_utils import _safe_set_request_parsed_body, read_request_body

from neuronode_router.access import Principal, Role
from neuronode_router.background import Failures
from neuronode_router.domain.bindings import Binding
from neuronode_router.domain.names import STABLE_ALIAS_PROFILE, TASK_ALIASES, Tier
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin.auth.name_at_the_door import NameAtTheDoor
from neuronode_router.litellm_plugin.auth.spending import ModelBudgets, Spending
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks import gate, purse
from neuronode_router.litellm_plugin.hooks.admission import Admission
from neuronode_router.litellm_plugin.hooks.request_metadata import PROFILE_HEADER, TIER_HEADER
from neuronode_router.litellm_plugin.router.aliases import RouterAliases
from neuronode_router.litellm_plugin.router.costs import GroupCosts
from neuronode_router.routing.snapshot import build_snapshot
from tests.host.admitted import admission_over
from tests.host.routers import bridged, deployment, router
from tests.host.test_chosen_group import access_of

URL = "http://127.0.0.1:9"
FREE = {"input_cost_per_token": 0, "output_cost_per_token": 0}
PAID = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}
GROUPS = {"free": FREE, "paid": PAID, "mixed": PAID}
OVER = "Budget has been exceeded!"


def profile(name: str, group: str, *, light: str = "free") -> Profile:
    return Profile(
        name=name,
        description="",
        cost_level="low",
        performance_level="good",
        tasks=dict.fromkeys(TASK_ALIASES, group),
        tiers={Tier.FAST: (light,), Tier.MEDIUM: (light,), Tier.COMPLEX: (group,)},
    )


@dataclass
class Budgeted:
    """The door and admission of a proxy whose callers have budgets; the judge is LiteLLM's, but for who calls."""

    live: Any
    current: CurrentSnapshot
    admission: Admission
    spending: Spending
    aliases: RouterAliases
    judged: list[bool] = field(default_factory=list)
    """Of each time that LiteLLM judged, whether it looked at budgets."""

    async def ask(self, name: str, *, spent: bool, team: str | None = None, **headers: str) -> Any:
        """Return the group that answers and the groups tried after it, or the status of the refusal."""
        user = UserAPIKeyAuth(api_key="sk-a", team_id=team)

        async def judge() -> UserAPIKeyAuth:
            looks = not is_model_cost_zero(model=name, llm_router=self.live)
            self.judged.append(looks)
            if looks and spent:
                raise ProxyException(OVER, ProxyErrorTypes.budget_exceeded, None, 422)
            return user

        body = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
        data = {**body, "metadata": {}, "proxy_server_request": {"body": body, "headers": headers}}
        try:
            await self.spending.judged(request(body), judge)
            gate.let(gate.Undecided(purse.is_spent))
            await self.admission.async_pre_call_hook(user, None, data, "acompletion")
        except (HTTPException, ProxyException) as refusal:
            return refusal.status_code if isinstance(refusal, HTTPException) else int(refusal.code)
        finally:
            purse.hold(None)
        ladders: Any = data.get("fallbacks") or ()
        group = data["metadata"]["neuronode"]["group"]  # type: ignore[index]
        return group, tuple(ladders)


def request(body: dict[str, Any]) -> Request:
    """Return a chat request as FastAPI hands it to a dependency."""
    sent = iter([{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}])

    async def receive() -> Any:
        return next(sent)

    headers = [(b"content-type", b"application/json")]
    path = "/v1/chat/completions"
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": headers,
        "query_string": b"",
        "state": {},
    }
    return Request({**scope, "app": SimpleNamespace()}, receive)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Budgeted]:
    """A proxy whose active profile is free but for its heaviest tier; others are paid, or free altogether."""
    entries = [deployment(group, group, URL, info=costs, **costs) for group, costs in GROUPS.items()]
    live = router(entries)
    monkeypatch.setattr("litellm.proxy.proxy_server.llm_router", live)
    profiles = ProfileSet(
        {
            "active": profile("active", "free"),
            "paying": profile("paying", "paid", light="paid"),
            "steep": profile("steep", "paid"),
            STABLE_ALIAS_PROFILE: profile(STABLE_ALIAS_PROFILE, "paid"),
        }
    )
    bindings = {f"team:{name}": Binding(profile=name) for name in profiles.profiles}
    current, bridge = CurrentSnapshot(), bridged(live)
    access = access_of(bridge)
    admission = admission_over(
        bridge, current, access, lambda user: Principal("somebody", Role.ADMIN, team=user.team_id)
    )
    spending = Spending(current, GroupCosts(bridge), Failures())
    made = Budgeted(live, current, admission, spending, RouterAliases(bridge))
    made_active(made, profiles, "active", bindings)
    yield made
    assert admission.failures.total == 0


def made_active(proxy: Budgeted, profiles: ProfileSet, name: str, bindings: Any) -> None:
    """Have a profile answer the plain names, in LiteLLM's map as well."""
    state = ControlState(1, name, profiles, committed_at=0.0, bindings=bindings)
    snapshot = build_snapshot(state, HostFacts(groups=frozenset(GROUPS)))
    proxy.current.take(snapshot)
    proxy.aliases.replace(snapshot.aliases)


def switched(proxy: Budgeted, name: str) -> None:
    """Have another profile answer the plain names."""
    snapshot = proxy.current.snapshot
    assert snapshot is not None
    made_active(proxy, snapshot.state.profiles, name, snapshot.state.bindings)


@pytest.mark.parametrize(
    ("active", "name", "team", "headers", "found"),
    [
        ("active", "summary", None, {}, ("free", ())),
        ("active", "summary", "paying", {}, 422),
        ("active", "summary", None, {PROFILE_HEADER: "paying"}, 422),
        ("paying", "summary", "active", {}, ("free", ())),
        ("paying", "summary", None, {}, 422),
        ("paying", "summary", None, {PROFILE_HEADER: "active"}, ("free", ())),
        ("steep", "auto", None, {TIER_HEADER: "complex"}, 422),
        ("steep", "auto", None, {TIER_HEADER: "fast"}, ("free", ())),
        ("active", "auto", "steep", {TIER_HEADER: "complex"}, 422),
        ("active", "auto", "paying", {}, 422),
        ("active", "auto", "steep", {TIER_HEADER: "fast"}, ("free", ())),
        ("active", "paid", None, {}, 422),
        ("active", "free", None, {}, ("free", ())),
        ("active", "summary,paid", None, {}, 422),
    ],
)
async def test_a_spent_budget_pays_for_nothing_that_costs(
    proxy: Budgeted, active: str, name: str, team: str | None, headers: dict[str, str], found: Any
) -> None:
    """The group that answers decides, not the one that LiteLLM's map has for the name; ladders are free altogether."""
    switched(proxy, active)

    assert await proxy.ask(name, spent=True, team=team, **headers) == found


async def test_who_has_money_left_is_judged_once_and_keeps_his_ladder(proxy: Budgeted) -> None:
    """The steps of a ladder that cost are judged at the door already: the success path costs no second look."""
    switched(proxy, "steep")

    found = await proxy.ask("auto", spent=False, **{TIER_HEADER: "fast"})

    assert found == ("free", ("paid",))
    assert proxy.judged == [True]


async def test_a_budget_is_looked_at_once_more_where_the_map_has_something_free(proxy: Budgeted) -> None:
    """Whoever is led from a free group to one that costs, with money left, is served."""
    assert await proxy.ask("summary", spent=False, team="paying") == ("paid", ())
    assert proxy.judged == [False, True]


@pytest.mark.parametrize(
    ("name", "team", "found"),
    [("summary", None, ("free", ())), ("summary", "paying", 503), ("auto:fast", "steep", ("free", ()))],
)
async def test_where_litellm_cannot_be_told_nothing_that_costs_is_asked(
    proxy: Budgeted, monkeypatch: pytest.MonkeyPatch, name: str, team: str | None, found: Any
) -> None:
    """A release without the memory by which it is told: a name that is free by its map leads to what is free only."""
    monkeypatch.setattr("neuronode_router.litellm_plugin.router.bridge.COSTLESS", "gone")

    assert await proxy.ask(name, spent=False, team=team) == found


async def test_a_call_that_admission_does_not_route_is_refused_to_whom_the_door_let_in_poor(
    proxy: Budgeted,
) -> None:
    """Who was let in for what is free only gets nothing that nobody has judged."""
    refusal = purse.BudgetExceededError(422, {"error": OVER})
    purse.hold(purse.Purse(refusal=refusal))
    try:
        with pytest.raises(HTTPException, match="exceeded"):
            await proxy.admission.async_pre_call_hook(UserAPIKeyAuth(), None, {"messages": []}, "acompletion")
    finally:
        purse.hold(None)


@pytest.mark.parametrize("of", ["key", "user", "team", "end_user"])
async def test_a_budget_of_a_group_holds_for_names_that_lead_to_it(of: str) -> None:
    """Each of LiteLLM's budgets of single models is asked about the group, and its refusal is LiteLLM's."""
    asked: list[tuple[str, str]] = []

    class Limiter:
        def __getattr__(self, check: str) -> Any:
            async def refuse(*, model: str, **_: object) -> None:
                asked.append((check, model))
                raise litellm.BudgetExceededError(current_cost=2.0, max_budget=1.0)

            return refuse

    budget = {"paid": {"budget_limit": 1.0, "time_period": "1d"}}
    caller = UserAPIKeyAuth(api_key="sk-a", user_id="u", team_id="t", end_user_id="e")
    setattr(caller, "model_max_budget" if of == "key" else f"{of}_model_max_budget", budget)

    with pytest.raises(purse.BudgetExceededError, match="exceeded"):
        await ModelBudgets(SimpleNamespace(model_max_budget_limiter=Limiter())).within(caller, "paid")

    assert asked == [(f"is_{of}_within_model_budget", "paid")]


async def test_where_litellm_sends_whom_a_model_budget_stops_the_request_stays_sent(proxy: Budgeted) -> None:
    """LiteLLM writes the operator's other model into the body while it is told the group: the name does not return."""

    class Naming(NameAtTheDoor):
        def _may_lead_elsewhere(self, request: Request) -> bool:
            return True

        async def _group(self, request: Request, keys: Any) -> str | None:
            return "paid"

    parts: dict[str, Any] = dict.fromkeys(("proxy", "identity", "access", "asking"))
    naming = Naming(**parts, current=proxy.current, failures=Failures())
    left, stopped = request({"model": "summary"}), request({"model": "summary"})

    async with naming.told(left, {}):
        assert (await read_request_body(left))["model"] == "paid"
    async with naming.told(stopped, {}):
        _safe_set_request_parsed_body(stopped, {"model": "cheaper"})

    assert (await read_request_body(left))["model"] == "summary"
    assert (await read_request_body(stopped))["model"] == "cheaper"
