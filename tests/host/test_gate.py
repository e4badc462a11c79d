"""No request of a limited caller reaches a group that it may not, whatever its body says: LiteLLM in this process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import litellm
import pytest
from fastapi import HTTPException
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from litellm.caching.caching import DualCache
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server
from litellm.proxy._types import LiteLLM_UserTable, UserAPIKeyAuth
from litellm.proxy.route_llm_request import route_request
from litellm.proxy.utils import ProxyLogging

from neuronode_router.access import Principal, Role
from neuronode_router.auto.judge import AnswerJudge
from neuronode_router.domain.names import STABLE_ALIAS_PROFILE, TASK_ALIASES, Tier
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin.auth.group_access import GroupAccess
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks import gate
from neuronode_router.litellm_plugin.hooks.admission import Admission
from neuronode_router.litellm_plugin.hooks.asking import Asking
from neuronode_router.litellm_plugin.hooks.calls import MAX_ASKED, MAX_NAMES
from neuronode_router.litellm_plugin.hooks.chosen_group import Renaming
from neuronode_router.litellm_plugin.hooks.request_metadata import RIVAL
from neuronode_router.litellm_plugin.router.aliases import RouterAliases
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.litellm_plugin.router.fallback_access import FallbackAccess
from neuronode_router.litellm_plugin.router.location import Locations, location_of
from neuronode_router.routing.passage import Passage
from neuronode_router.routing.snapshot import build_snapshot
from neuronode_router.routing.targets import FALLBACK_FIELDS
from tests.host.admitted import admission_over
from tests.host.routers import bridged, deployment, router

GROUPS = ("small", "middle", "large", "chat_active", "chat_other", "chat_balanced", "rescue")
SENTIMENT = "Wie ist die Stimmung in diesem Text: bullish oder bearish?"
FAILS = "litellm.InternalServerError"
"""What LiteLLM is told to raise instead of calling: every fallback is tried."""

WITHIN = {
    "capped": {"small", "chat_active", "chat_balanced", "rescue"},
    "listed": {"small", "rescue"},
    "ordinary": {"small", "middle", "large", "chat_active", "chat_balanced", "rescue"},
}
"""What each caller may reach by these names. Nobody may choose the profile `other`."""


@dataclass(eq=False)
class Spy(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """Notes which deployments are asked: it stands behind the gate."""

    seen: set[str] = field(default_factory=set)

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        """Note it."""
        self.seen.add(kwargs["model_info"]["id"])


@dataclass
class Way:
    """All that happens to a request behind the door."""

    logging: ProxyLogging
    live: Any
    spy: Spy
    admission: Admission
    current: CurrentSnapshot

    async def ask(self, caller: str, body: dict[str, Any]) -> set[str]:
        """Return which groups were asked."""
        user = UserAPIKeyAuth(api_key=caller, models=["small", "rescue"] if caller == "listed" else [])
        data = {
            "metadata": {"user_api_key_auth": user},
            "messages": [{"role": "user", "content": "hi"}],
        } | body
        # As if LiteLLM had judged another name, as it does where the called one stands in the path.
        data["proxy_server_request"] = {"body": {**body, "model": "small"}, "headers": {}}
        self.spy.seen = set()
        try:
            admitted = await self.logging.pre_call_hook(user, data, "acompletion")  # type: ignore[call-overload]
            await (await route_request(admitted, self.live, None, "acompletion"))
        except Exception:  # noqa: BLE001  LiteLLM's classes differ by release; here it counts who was asked
            pass
        return self.spy.seen


def profile(name: str) -> Profile:
    return Profile(
        name=name,
        description="",
        cost_level="low",
        performance_level="good",
        tasks=dict.fromkeys(TASK_ALIASES, f"chat_{name}"),
        tiers={Tier.FAST: ("small",), Tier.MEDIUM: ("middle",), Tier.COMPLEX: ("large",)},
    )


async def anybody(**_: object) -> bool:
    return True


@contextlib.contextmanager
def guarded(
    bridge: RouterBridge, access: GroupAccess, admission: Admission, current: CurrentSnapshot
) -> Iterator[Way]:
    """Hold all our hooks over a router, with a spy behind them; LiteLLM has its own again at the end."""
    spy, places = Spy(), Locations(bridge.entries)
    bridge.set_access_check(anybody)  # LiteLLM's own may be switched off
    FallbackAccess(bridge, grants=access.grants, places=places).hold()
    guard = gate.Gate(
        group_of=Deployments(bridge).group_of,
        grants=access.grants,
        lists=lambda: True,
        place_of=location_of,
        places=places,
    )
    before = list(litellm.callbacks)
    litellm.callbacks[:] = [admission, Renaming(), guard, spy]
    yield Way(ProxyLogging(user_api_key_cache=DualCache()), bridge.live(), spy, admission, current)
    litellm.callbacks[:] = before
    gate.let(gate.FREE)


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    """A proxy's hooks over a router whose deployments all fail."""
    live = router([deployment(group, group, "http://127.0.0.1:9", mock_response=FAILS) for group in GROUPS])
    monkeypatch.setattr("litellm.proxy.proxy_server.llm_router", live)
    profiles = ProfileSet({name: profile(name) for name in ("active", "other", STABLE_ALIAS_PROFILE)})
    snapshot = build_snapshot(
        ControlState(1, "active", profiles, committed_at=0.0), HostFacts(groups=frozenset(GROUPS))
    )
    current = CurrentSnapshot()
    current.take(snapshot)
    bridge = bridged(live)
    RouterAliases(bridge).replace(snapshot.aliases)
    deployments = Deployments(bridge)
    access = GroupAccess(bridge, proxy=proxy_server, group_of=deployments.group_of)
    caps = {"capped": Tier.FAST}
    admission = admission_over(
        bridge,
        current,
        access,
        lambda user: Principal("somebody", Role.MEMBER, max_tier=caps.get(user.api_key or "", Tier.COMPLEX)),
    )
    with guarded(bridge, access, admission, current) as guarded_way:
        yield guarded_way


TURN = {"role": "user", "content": "hi"}
BEGUN = [TURN, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "go on"}]


@pytest.mark.parametrize("name", ["chat", "auto"])
@pytest.mark.parametrize(
    ("caller", "heavy", "stays"),
    [("capped", "small", True), ("capped", "large", False), ("ordinary", "large", True)],
)
async def test_a_conversation_above_a_cap_moves_with_the_switch(
    way: Way, name: str, caller: str, heavy: str, *, stays: bool
) -> None:
    """What granted its group was the mapping of a profile that is not in force any more."""
    after = profile("other")
    tiers = {**after.tiers, Tier.FAST: (heavy,)}
    before = replace(profile("active"), tasks=dict.fromkeys(TASK_ALIASES, heavy), tiers=tiers)
    profiles = ProfileSet({"active": before, "other": after, STABLE_ALIAS_PROFILE: after})

    async def asked(revision: int, active: str, messages: list[Any]) -> str:
        state = ControlState(revision, active, profiles, committed_at=time.time())
        way.current.take(build_snapshot(state, HostFacts(groups=frozenset(GROUPS))))
        data = {"model": name, "messages": messages, "metadata": {}}
        data["proxy_server_request"] = {"body": {"model": name}, "headers": {}}
        await way.admission.async_pre_call_hook(
            UserAPIKeyAuth(api_key=caller), DualCache(), data, "acompletion"
        )
        return str(data["metadata"]["neuronode"]["group"])

    assert await asked(1, "active", [TURN]) == heavy
    assert (await asked(2, "other", BEGUN) == heavy) is stays


class Sampled:
    """A judge that would have every answer compared."""

    def samples(self) -> bool:
        return True


@pytest.mark.parametrize(("caller", "rival"), [("ordinary", "middle"), ("capped", None), ("listed", None)])
async def test_only_who_is_denied_nothing_is_compared(way: Way, caller: str, rival: str | None) -> None:
    """The judge would take the request to a group that this caller may not reach, or of which nobody knows."""
    way.admission._auto.judge = cast(AnswerJudge, Sampled())
    user = UserAPIKeyAuth(api_key=caller, models=["auto", "small"] if caller == "listed" else [])
    data: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": SENTIMENT}]}
    data["proxy_server_request"] = {"body": {"model": "auto"}, "headers": {}}

    await way.admission.async_pre_call_hook(user, DualCache(), data, "acompletion")

    mark = data["metadata"]["neuronode"]
    assert (mark["group"], mark[RIVAL]) == ("small", rival)


NAMES = st.sampled_from(
    [
        *(group for group in GROUPS if group != "chat_other"),
        "chat",
        "auto",
        "auto:complex",
        "task_chat",
        "@profile/other",
        "other/chat",
        "openai/large",
        "none",
    ]
)
TARGETS = st.recursive(
    NAMES,
    lambda inner: st.fixed_dictionaries(
        {"model": NAMES},
        optional={
            "fallbacks": st.lists(inner, max_size=2),
            "metadata": st.just({}),
            "litellm_metadata": st.just({}),
            "deployment_id": NAMES,
            "specific_deployment": st.just(value=True),
            "model_info": st.fixed_dictionaries({"id": NAMES}),
        },
    ),
    max_leaves=3,
)
ENTRIES = st.lists(
    TARGETS | st.dictionaries(NAMES | st.just("*"), st.lists(TARGETS, max_size=3), max_size=2), max_size=3
)
FIELDS = {
    "fallbacks": ENTRIES,
    "context_window_fallbacks": ENTRIES,
    "content_policy_fallbacks": ENTRIES,
}
BODIES = st.fixed_dictionaries(
    {"model": st.lists(NAMES, min_size=1, max_size=3).map(",".join)},
    optional=FIELDS
    | {
        "router_settings_override": st.fixed_dictionaries({}, optional=FIELDS),
        "deployment_id": NAMES,
        "extra_body": st.fixed_dictionaries({}, optional={"model": NAMES, "models": st.lists(NAMES)}),
        "tools": st.lists(st.fixed_dictionaries({"type": st.just("advisor"), "model": NAMES}), max_size=2),
        "model_id": NAMES,
        "engine": NAMES,
    },
)


@pytest.mark.parametrize("caller", WITHIN)
@settings(
    max_examples=settings().max_examples // 4,
    deadline=None,
    phases=[Phase.generate],  # each example is a walk through all fallbacks: shrinking takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(BODIES)
def test_no_request_reaches_what_its_caller_may_not(way: Way, caller: str, body: dict[str, Any]) -> None:
    """Judged by the deployments that LiteLLM was about to ask, where all of them fail."""
    seen = asyncio.run(way.ask(caller, body))
    reached = asyncio.run(way.ask(caller, {"model": "small"}))

    assert reached == {"small"}, "the way is open"
    assert seen <= WITHIN[caller]
    assert way.admission.failures.total == 0


@pytest.fixture
async def owned() -> AsyncIterator[UserAPIKeyAuth]:
    """A key without a list, of a user who has one in LiteLLM's database."""
    user = LiteLLM_UserTable(user_id="owner", user_email="owner@example.com", models=["small", "auto"])
    await proxy_server.user_api_key_cache.async_set_cache("owner", user.model_dump())
    yield UserAPIKeyAuth(api_key="owned", user_id="owner")
    proxy_server.user_api_key_cache.delete_cache("owner")


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        ({"model": "large"}, False),
        ({"model": "small,large"}, False),
        ({"model": "small", "tools": [{"type": "advisor", "model": "large"}]}, False),
        ({"model": "small", "tools": [{"type": "advisor", "model": "small"}]}, True),
        ({"model": "auto"}, True),
    ],
)
async def test_a_name_that_litellm_has_not_judged_at_the_door_is_judged_whoever_asks(
    way: Way, owned: UserAPIKeyAuth, body: dict[str, Any], *, allowed: bool
) -> None:
    """Lists of users and of a team's members are no list of the key, and the path or a tool is no body's model."""
    data = {"metadata": {}, "messages": [TURN], **body}
    data["proxy_server_request"] = {"body": {**body, "model": "small"}, "headers": {}}

    call = way.admission.async_pre_call_hook(owned, DualCache(), data, "acompletion")
    with contextlib.nullcontext() if allowed else pytest.raises(HTTPException) as refusal:
        assert await call

    assert allowed or refusal.value.status_code == 403  # type: ignore[union-attr]
    assert way.admission.failures.total == 0


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        *((name, True) for name in ("small\n", "sm\x85all", "\x7f", "small\u2028")),
        *((name, False) for name in ("small\xa0", "sm\u200ball", "Büro klein", "small\u3000")),
    ],
)
async def test_a_name_is_refused_for_control_characters_only(way: Way, name: str, *, refused: bool) -> None:
    """Of a name with a space of another kind LiteLLM says that it knows no such model, as without us."""
    data = {"model": name, "metadata": {}, "messages": [TURN]}
    data["proxy_server_request"] = {"body": {"model": name}, "headers": {}}

    call = way.admission.async_pre_call_hook(UserAPIKeyAuth(), DualCache(), data, "acompletion")
    with pytest.raises(HTTPException, match="control") if refused else contextlib.nullcontext():
        assert await call

    assert way.admission.failures.total == 0


async def test_a_fallback_that_the_users_list_has_not_is_left_out(way: Way, owned: UserAPIKeyAuth) -> None:
    """LiteLLM looks at the lists of key and team before a fallback, and at no user's."""
    data = {"model": "small", "metadata": {}, "messages": [TURN], "fallbacks": ["large", "small"]}
    data["proxy_server_request"] = {"body": {"model": "small"}, "headers": {}}

    admitted = await way.admission.async_pre_call_hook(owned, DualCache(), data, "acompletion")

    assert admitted is not None
    assert admitted["fallbacks"] == ["small"]


@pytest.mark.parametrize("broken", ["no state", "error"])
@pytest.mark.parametrize(
    ("caller", "body", "status"),
    [
        ("ordinary", {"model": "chat"}, None),
        ("capped", {"model": "chat"}, 503),
        ("listed", {"model": "small"}, 503),
        ("ordinary", {"model": "@profile/other"}, 503),
        ("ordinary", {"model": "chat,@profile/other"}, 503),
        ("ordinary", {"model": "chat", "fallbacks": [{"chat": [{"model": "@profile/other"}]}]}, 503),
    ],
)
async def test_who_is_limited_is_refused_where_nobody_can_decide(
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
    caller: str,
    body: dict[str, Any],
    status: int | None,
    *,
    broken: str,
) -> None:
    """Without a control state, as when the store is down at the start, and where admission fails; others go on."""
    way.admission.open()
    if broken == "no state":
        monkeypatch.setattr(way.current, "snapshot", None)
    else:
        monkeypatch.setattr("neuronode_router.litellm_plugin.hooks.asking.admit", None)
    user = UserAPIKeyAuth(api_key=caller, models=["small"] if caller == "listed" else [])
    data = {"metadata": {}, "messages": [], **body}

    call = way.admission.async_pre_call_hook(user, DualCache(), data, "acompletion")
    if status is None:
        assert await call is None
    else:
        with pytest.raises(HTTPException) as refusal:
            await call
        assert refusal.value.status_code == status
    assert way.admission.failures.total == 1


@pytest.mark.parametrize("caller", WITHIN)
@pytest.mark.parametrize("group", GROUPS)
async def test_the_last_gate_stands_without_the_first(way: Way, caller: str, group: str) -> None:
    """Where admission has let a request through that it should not have, no deployment out of reach is asked."""
    litellm.callbacks.remove(way.admission)
    user = UserAPIKeyAuth(api_key=caller, models=["small", "rescue"] if caller == "listed" else [])
    tiers = {"small": Tier.FAST, "middle": Tier.MEDIUM, "large": Tier.COMPLEX}
    cap = Tier.FAST if caller == "capped" else Tier.COMPLEX
    asks = gate.Passing(user, Passage(cap, tier_of=tiers.get), listed=caller == "listed")
    gate.let(gate.FREE if caller == "ordinary" else asks)

    with pytest.raises((HTTPException, litellm.exceptions.InternalServerError)) as refusal:
        await way.live.acompletion(
            model=group,
            messages=[{"role": "user", "content": "hi"}],
            metadata={"user_api_key_auth": user},
            num_retries=2,
        )

    within = {"capped": set(GROUPS) - {"middle", "large"}, "listed": {"small", "rescue"}}
    allowed = group in within.get(caller, GROUPS)
    assert way.spy.seen == ({group} if allowed else set())
    assert (getattr(refusal.value, "status_code", None) == 403) is not allowed


@pytest.mark.parametrize("caller", WITHIN)
@pytest.mark.parametrize("group", GROUPS)
async def test_what_nobody_has_decided_reaches_nothing_for_who_is_limited(
    way: Way, caller: str, group: str
) -> None:
    """A call of LiteLLM's that comes by no hook of ours: the door says who came in, and that is all that is known."""
    litellm.callbacks.remove(way.admission)
    gate.let(gate.Undecided(lambda: caller != "ordinary"))
    way.spy.seen = set()

    with pytest.raises((HTTPException, litellm.exceptions.InternalServerError)):
        await way.live.acompletion(model=group, messages=[{"role": "user", "content": "hi"}], num_retries=0)

    assert way.spy.seen == ({group} if caller == "ordinary" else set())


@pytest.mark.parametrize("caller", WITHIN)
@pytest.mark.parametrize("call_type", ["acompletion", "aresponses", "acreate_interaction", "a new call"])
async def test_a_call_that_names_no_model_is_not_for_who_is_limited(
    way: Way, caller: str, call_type: str
) -> None:
    """Whatever LiteLLM would take in its place, nobody has decided about it."""
    user = UserAPIKeyAuth(api_key=caller, models=["small"] if caller == "listed" else [])
    refused = caller in ("capped", "listed")

    with pytest.raises(HTTPException) if refused else contextlib.nullcontext() as found:
        await way.admission.async_pre_call_hook(user, DualCache(), {"metadata": {}}, call_type)

    assert not refused or found.value.status_code == 403  # type: ignore[union-attr]


SAID = {
    "as a tool's model": {"tools": [{"type": "advisor", "model": "large"}]},
    "by another name": {"tools": [{"type": "advisor", "settings": {"use": ["auto:complex"]}}]},
    "as a key": {"extra": {"large": 1}},
    "among thousands": {"extra": ["x"] * 30_000},
}


@pytest.mark.parametrize("body", [*SAID.values(), {"tools": [{"type": "function"}]}], ids=[*SAID, "nowhere"])
async def test_a_call_within_a_request_is_the_operators_only_where_the_client_says_nothing_of_it(
    way: Way, body: dict[str, Any]
) -> None:
    """A guardrail may ask a group that the caller may not; a tool of the client's, which looks alike, may not."""
    user = UserAPIKeyAuth(api_key="capped")
    snapshot = way.current.snapshot
    assert snapshot is not None
    asking = Asking(way.admission._host, snapshot, user, {"model": "small", **body})
    gate.let(asking.passing())
    litellm.callbacks.remove(way.admission)
    way.spy.seen = set()

    with pytest.raises((HTTPException, litellm.exceptions.InternalServerError)):
        await way.live.acompletion(
            model="large", messages=[{"role": "user", "content": "hi"}], metadata={"own": 1}, num_retries=0
        )

    assert way.spy.seen == (set() if body in SAID.values() else {"large"})


@pytest.mark.parametrize(
    "body",
    [
        {"extra_headers": {"Authorization": "Bearer of-mine"}},
        {"headers": {"X-Api-Key ": "of-mine"}},
        {"extra_body": {"extra_headers": {"api-key": "of-mine"}}},
        {"router_settings_override": {"headers": {"host": "elsewhere"}}},
        {"fallbacks": [{"model": "rescue", "extra_headers": {"authorization": "of-mine"}}]},
    ],
)
async def test_nobody_sets_what_a_deployment_is_known_by(way: Way, body: dict[str, Any]) -> None:
    """A wrong key from a client would be the deployment's failure, and its cooldown everybody's."""
    seen = await way.ask("ordinary", {"model": "small", **body})

    assert seen == ({"small"} if "fallbacks" in body else set())


async def test_a_model_field_holds_so_many_names(way: Way) -> None:
    """The body is read for each of them, and nothing else is served meanwhile."""

    async def admitted(count: int) -> None:
        data = {"model": ",".join(["auto"] * count), "messages": [{"role": "user", "content": SENTIMENT}]}
        await way.admission.async_pre_call_hook(UserAPIKeyAuth(), DualCache(), data, "acompletion")

    await admitted(MAX_ASKED)
    with pytest.raises(HTTPException) as refusal:
        await admitted(MAX_ASKED + 1)

    assert refusal.value.status_code == 400


MANY = [{f"{group}": [f"{group} {number}" for number in range(60)]} for group in range(4)]


@pytest.mark.parametrize(
    "body",
    [{"model": ",".join(map(str, range(MAX_NAMES + 1)))}, {"model": "small", "fallbacks": MANY}],
    ids=["model", "fallbacks"],
)
async def test_a_call_that_comes_by_no_hook_asks_for_so_many_names(way: Way, body: dict[str, Any]) -> None:
    """Each is judged, and LiteLLM's lists are asked about it."""
    with pytest.raises(HTTPException) as refusal:
        await way.admission.judge(UserAPIKeyAuth(), body, counts=True)

    assert refusal.value.status_code == 400


@pytest.mark.parametrize("place", [None, "router_settings_override"])
@pytest.mark.parametrize("field", FALLBACK_FIELDS)
@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ("rescue", False),
        ("", False),
        (5, True),
        (True, True),
        (0, True),
        ({"chat": ["rescue"]}, True),
        ({}, True),
    ],
    ids=str,
)
async def test_fallbacks_that_are_no_list_mean_what_they_mean_to_litellm(
    way: Way, given: object, field: str, place: str | None, *, refused: bool
) -> None:
    """LiteLLM passes over a text, and the operator's fallbacks stand; anything else it refuses with 400."""
    user = UserAPIKeyAuth(api_key="ordinary")
    data = {"metadata": {}, "messages": [], "model": "chat"} | (
        {place: {field: given}} if place else {field: given}
    )

    call = way.admission.async_pre_call_hook(user, DualCache(), data, "acompletion")
    if refused:
        with pytest.raises(HTTPException) as refusal:
            await call
        assert refusal.value.status_code == 400
    else:
        admitted = await call
        assert admitted is not None
        assert field not in admitted
    assert way.admission.failures.total == 0
