"""What operators key by the names that clients send works while we choose groups: limits, fallbacks, models of keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import litellm
import pytest
from fastapi import HTTPException
from litellm.caching.caching import DualCache
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.hooks.dynamic_rate_limiter_v3 import _PROXY_DynamicRateLimitHandlerV3
from litellm.proxy.utils import ProxyLogging

from neuronode_router.access import Principal, Role, key_hash
from neuronode_router.domain.bindings import Binding
from neuronode_router.domain.names import STABLE_ALIAS_PROFILE, TASK_ALIASES, Tier
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin.auth.group_access import GroupAccess
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks.admission import Admission
from neuronode_router.litellm_plugin.hooks.callbacks import acts_on_groups, hold_order, standing_for
from neuronode_router.litellm_plugin.hooks.chosen_group import (
    LIMITER,
    Renaming,
    tell_by_group,
    tell_limiter,
)
from neuronode_router.litellm_plugin.router.aliases import RouterAliases
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.litellm_plugin.router.fallback_access import FallbackAccess
from neuronode_router.litellm_plugin.seams import Era, era
from neuronode_router.routing.snapshot import build_snapshot
from tests.host.admitted import admission_over
from tests.host.routers import bridged, change, deployment, router

URL = "http://127.0.0.1:9"
TEAM = "t1"
BOUND = "bound"
GROUPS = ("chat_active", "chat_bound", "chat_balanced", "small", "middle", "large", "rescue")
ALLOWED = 2


def profile(name: str) -> Profile:
    return Profile(
        name=name,
        description="",
        cost_level="low",
        performance_level="good",
        tasks=dict.fromkeys(TASK_ALIASES, f"chat_{name}"),
        tiers={Tier.FAST: ("small",), Tier.MEDIUM: ("middle",), Tier.COMPLEX: ("large",)},
    )


@dataclass
class Way:
    """All that happens to a request before its call, in LiteLLM's own order of hooks."""

    logging: ProxyLogging
    live: Any
    caps: dict[str, Tier] = field(default_factory=dict)

    async def ask(
        self, name: str, *, key: str = "sk-a", team: str | None = None, limits: Mapping[str, int] | None = None,
        team_limits: Mapping[str, int] | None = None, models: tuple[str, ...] = (), **body: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Return the request as it goes to the router."""
        user = UserAPIKeyAuth(
            api_key=key,
            team_id=team,
            models=list(models),
            metadata={"model_rpm_limit": dict(limits)} if limits else {},
            team_metadata={"model_rpm_limit": dict(team_limits)} if team_limits else None,
        )
        said = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
        data = {**said, "metadata": {}, "proxy_server_request": {"body": said, "headers": {}}, **body}
        return dict(await self.logging.pre_call_hook(user, data, "acompletion"))  # type: ignore[arg-type]


def access_of(bridge: RouterBridge) -> GroupAccess:
    return GroupAccess(bridge, proxy=proxy_server, group_of=Deployments(bridge).group_of)


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    """A proxy's hooks: LiteLLM's limiter, and ours put where the guard keeps them."""
    live = router([deployment(group, group, URL) for group in GROUPS])
    monkeypatch.setattr("litellm.proxy.proxy_server.llm_router", live)
    profiles = ProfileSet({name: profile(name) for name in ("active", BOUND, STABLE_ALIAS_PROFILE)})
    state = ControlState(
        1, "active", profiles, committed_at=0.0, bindings={f"team:{TEAM}": Binding(profile=BOUND)}
    )
    current = CurrentSnapshot()
    snapshot = build_snapshot(state, HostFacts(groups=frozenset(GROUPS)))
    current.take(snapshot)
    bridge = bridged(live)
    RouterAliases(bridge).replace(snapshot.aliases)
    made = Way(ProxyLogging(user_api_key_cache=DualCache()), live)
    access = access_of(bridge)
    admission = admission_over(
        bridge,
        current,
        access,
        lambda user: Principal(
            "somebody",
            Role.MEMBER,
            team=user.team_id,
            max_tier=made.caps.get(user.api_key or "", Tier.COMPLEX),
            id=user.token or "",
        ),
    )
    renaming = Renaming()
    litellm.callbacks[:] = [admission, renaming]
    made.logging._add_proxy_hooks()
    hold_order(admission, renaming)
    tell_limiter(made.logging.get_proxy_hook)
    yield made
    assert admission.failures.total == 0


async def served(way: Way, name: str, times: int, **caller: Any) -> list[Any]:
    """Return the group of each request, or the status it is refused with."""
    found: list[Any] = []
    for number in range(times):
        try:
            found.append((await way.ask(name, litellm_call_id=f"{name}-{number}", **caller))["model"])
        except Exception as refusal:  # noqa: BLE001  LiteLLM's class of refusals is another in each release
            found.append(getattr(refusal, "status_code", refusal))
    return found


@pytest.mark.parametrize("of", ["limits", "team_limits"])
@pytest.mark.parametrize(
    ("name", "limited", "team", "group"),
    [
        ("chat", "chat", None, "chat_active"),
        ("chat", "chat_active", None, "chat_active"),
        ("chat", "chat", TEAM, "chat_bound"),
        ("chat", "chat_bound", TEAM, "chat_bound"),
        ("auto:fast", "auto:fast", None, "small"),
        ("auto:fast", "small", None, "small"),
        ("small", "small", None, "small"),
    ],
)
async def test_a_limit_bites_by_the_asked_name_and_by_the_chosen_group(
    way: Way, of: str, name: str, limited: str, team: str | None, group: str
) -> None:
    """As many requests as the limit says reach the group, whoever carries the limit and whoever chose the group."""
    caller = {"team": team or "other", of: {limited: ALLOWED}}

    assert await served(way, name, ALLOWED + 1, **caller) == [group] * ALLOWED + [429]


async def test_a_limit_on_a_name_is_one_for_all_groups_it_leads_to(way: Way) -> None:
    """Another profile, or another tier, brings no new allowance."""
    limits = {"limits": {"chat": ALLOWED}}

    await served(way, "chat", 1, **limits)
    found = await served(way, "chat", 2, team=TEAM, **limits)

    assert found == ["chat_bound", 429]


async def test_a_limit_on_a_group_is_shared_by_all_names_that_lead_to_it(way: Way) -> None:
    """Neither another task nor a limit that a key's owner wrote on the name gets around it."""
    caller = {"team": "other", "team_limits": {"chat_active": ALLOWED}}

    await served(way, "chat", 1, **caller)
    await served(way, "summary", 1, **caller)
    found = await served(way, "chat", 1, **caller, limits={"chat_other": 1000})

    assert found[0] in {429, "chat_active"}
    assert await served(way, "classification", 1, **caller) == [429]


@pytest.mark.parametrize("setting", ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks"])
async def test_configured_fallbacks_of_a_name_go_along(way: Way, setting: str) -> None:
    """What the operator wrote under the asked name holds for its group, before what is written for the group."""
    configured = [{"chat_active": ["small"]}, {"chat": ["rescue"]}]
    if era() is Era.ENTRY_POINTS:
        change(way.live, **{setting: configured})
    else:  # these releases change only some of their settings later
        setattr(way.live, setting, configured)

    asked, other = await way.ask("chat"), await way.ask("summary")

    assert asked[setting] == [{"chat_active": ["rescue"]}, *configured]
    assert setting not in other


async def test_a_clients_own_fallbacks_go_before_configured_ones(way: Way) -> None:
    """As on LiteLLM alone, what the request brings replaces the configuration."""
    change(way.live, fallbacks=[{"chat": ["rescue"]}])

    assert (await way.ask("chat", fallbacks=["small"]))["fallbacks"] == ["small"]


async def test_configured_fallbacks_of_auto_follow_the_ladder_within_the_cap(way: Way) -> None:
    """Tiers above the caller's cap are no fallback either, whoever configured them."""
    change(way.live, fallbacks=[{"auto": ["large", "rescue"]}])
    way.caps[key_hash("sk-capped")] = Tier.FAST

    free = await way.ask("auto", key="sk-free")
    capped = await way.ask("auto", key="sk-capped")

    assert free["fallbacks"][-2:] == ["large", "rescue"]
    assert (capped["model"], capped["fallbacks"]) == ("small", ["rescue"])


@pytest.mark.parametrize(
    ("name", "team", "models", "expected"),
    [
        ("chat", None, ("chat_active",), "chat_active"),
        ("chat", TEAM, ("chat_active",), 403),
        ("chat", TEAM, ("chat_bound",), "chat_bound"),
        ("chat", TEAM, ("chat",), "chat_bound"),
        ("chat", TEAM, (), "chat_bound"),
        ("auto:fast", None, ("small",), "small"),
        ("auto:complex", None, ("auto:complex",), "large"),
        ("rescue", None, ("small",), "rescue"),
    ],
)
async def test_a_keys_models_hold_for_the_group_that_is_called(
    way: Way, name: str, team: str | None, models: tuple[str, ...], expected: object
) -> None:
    """A key's list grants the name itself or the group of this request, and no other profile's group.

    Groups that clients name themselves are judged by LiteLLM at the door, and not again.
    """
    told = ""
    try:
        found: object = (await way.ask(name, team=team, models=models))["model"]
    except HTTPException as refusal:
        found = refusal.status_code
        told = str(refusal.detail)

    assert found == expected
    assert found != 403 or "chat_bound" in told


async def test_another_hooks_choice_of_model_is_left_alone(way: Way) -> None:
    """An operator's hook that rewrites the model after admission has the last word."""

    class Theirs(CustomLogger):  # type: ignore[misc]
        async def async_pre_call_hook(
            self, user_api_key_dict: UserAPIKeyAuth, cache: DualCache, data: dict[str, Any], call_type: str
        ) -> dict[str, Any]:
            return {**data, "model": "rescue"}

    litellm.callbacks.insert(1, Theirs())

    assert (await way.ask("chat"))["model"] == "rescue"


def test_the_order_of_hooks_is_kept() -> None:
    """Admission comes before LiteLLM's own hooks and the renaming after all, however LiteLLM has put its list."""
    first, last = standing_for([Renaming()], called="First"), Renaming()
    logging = ProxyLogging(user_api_key_cache=DualCache())
    litellm.callbacks[:] = [last]
    logging._add_proxy_hooks()
    litellm.callbacks.append(first)

    for _ in range(2):
        hold_order(first, last)

    theirs = [one for one in litellm.callbacks if acts_on_groups(one)]
    assert litellm.callbacks.index(first) < min(map(litellm.callbacks.index, theirs))
    assert litellm.callbacks[-1] is last


def test_the_limiter_is_told_once() -> None:
    """Telling it again, as the guard does, changes nothing; a proxy without a limiter is no fault."""
    logging = ProxyLogging(user_api_key_cache=DualCache())
    tell_limiter(logging.get_proxy_hook)
    logging._add_proxy_hooks()
    tell_limiter(logging.get_proxy_hook)
    limiter: Any = logging.get_proxy_hook(LIMITER)
    told = limiter._model_group_resolver

    tell_limiter(logging.get_proxy_hook)

    assert limiter._model_group_resolver is told
    assert told("unknown") is None


@pytest.mark.parametrize(
    ("name", "team", "group"), [("chat", TEAM, "chat_bound"), ("auto:complex", None, "large")]
)
@pytest.mark.parametrize("word", [False, True], ids=["hook", "word"])
async def test_limits_by_priority_see_the_group(
    way: Way, monkeypatch: pytest.MonkeyPatch, name: str, team: str | None, group: str, *, word: bool
) -> None:
    """LiteLLM counts them by the group that answered; it looks them up there too, and the request keeps its name."""
    hook: Any = _PROXY_DynamicRateLimitHandlerV3(internal_usage_cache=DualCache())
    hook.update_variables(llm_router=way.live)
    seen: list[tuple[str, str]] = []

    async def check(*, model: str, **_: object) -> None:
        seen.append((model, asked["model"]))

    monkeypatch.setattr(hook, "_check_rate_limits", check)
    monkeypatch.setattr("litellm.litellm_core_utils.litellm_logging._in_memory_loggers", [hook])
    litellm.callbacks.insert(0, "dynamic_rate_limiter_v3" if word else hook)
    admission, renaming = (one for one in litellm.callbacks if isinstance(one, Admission | Renaming))
    hold_order(admission, renaming)
    for _ in range(2):
        tell_by_group()
    body = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
    asked: dict[str, Any] = {**body, "metadata": {}, "proxy_server_request": {"body": body, "headers": {}}}

    sent = await way.logging.pre_call_hook(UserAPIKeyAuth(api_key="sk-a", team_id=team), asked, "acompletion")

    assert seen == [(group, name)]
    assert sent["model"] == group


@pytest.mark.parametrize(
    ("models", "granted"), [(("auto",), True), (("large",), True), (("small",), False), ((), True)]
)
async def test_a_step_of_a_ladder_is_granted_to_whom_the_name_or_the_group_is(
    way: Way, models: tuple[str, ...], *, granted: bool
) -> None:
    """A key that lists only the first group of an `auto` request does not get to the others by falling back."""
    access = FallbackAccess(bridged(way.live), grants=access_of(bridged(way.live)).grants)
    request = await way.ask("auto", models=("auto",))
    request["metadata"]["user_api_key_auth"] = UserAPIKeyAuth(api_key="sk-a", models=list(models))

    assert await access.check(model="large", request_kwargs=request) is granted
