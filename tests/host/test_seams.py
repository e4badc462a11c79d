"""Every seam of LiteLLM that we use: it exists, has the signature, and behaves (real LiteLLM, no network)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import litellm
import pytest
from litellm.proxy import proxy_server
from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth
from litellm.proxy.utils import ProxyLogging

from neuronode_router.access import Principal, Role, key_hash
from neuronode_router.auto.router import AutoRouter
from neuronode_router.classifier import Classifier, lexicon
from neuronode_router.domain.names import TASK_ALIASES, Tier
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.rules import Stickiness
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin import releases, seams
from neuronode_router.litellm_plugin.auth.identity import Identity
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks.admission import Admission
from neuronode_router.litellm_plugin.hooks.admission_host import AdmissionHost
from neuronode_router.litellm_plugin.hooks.answer_headers import AnswerHeaders
from neuronode_router.litellm_plugin.hooks.chosen_group import Renaming
from neuronode_router.litellm_plugin.router.aliases import RouterAliases
from neuronode_router.litellm_plugin.router.bridge import bridge_of
from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.litellm_plugin.router.location import Locations
from neuronode_router.litellm_plugin.seams import Part
from neuronode_router.routing.snapshot import build_snapshot
from tests.host.admitted import keeper_over, unbudgeted
from tests.host.routers import bridged, change, group_of
from tests.support.control import make_profile

GROUPS = ("chat_premium", "chat_balanced")


def entry(group: str) -> dict[str, Any]:
    return {
        "model_name": group,
        "litellm_params": {"model": f"openai/{group}", "api_key": "none", "api_base": "http://127.0.0.1:9"},
        "model_info": {"id": f"id-{group}", "neuronode_embedded": group == "chat_balanced"},
    }


@pytest.fixture
def router() -> Any:
    return litellm.Router(
        model_list=[entry(group) for group in GROUPS], model_group_alias={"mine": "chat_premium"}
    )


@pytest.fixture
def callbacks() -> Iterator[list[Any]]:
    before = list(litellm.callbacks)
    yield litellm.callbacks
    litellm.callbacks[:] = before


async def allow(*_: object) -> bool:
    return True


def admission(max_tier: Tier = Tier.COMPLEX, current: CurrentSnapshot | None = None) -> Admission:
    return Admission(
        AdmissionHost(
            principal=lambda _: Principal("somebody", Role.MEMBER, max_tier=max_tier),
            served_by=lambda _: (None, False),
            tags=lambda: True,
            spent=lambda *_: None,
            may_use=allow,
            fallbacks=dict,
            grants=allow,
            named=lambda name: name,
            noted_tier=lambda _: None,
            places=Locations(lambda: ()),
            costs=lambda _: True,
            guard=lambda *_: None,
            within=unbudgeted,
            place_of=lambda _: None,
        ),
        AutoRouter(classifier=Classifier(lexicon.shipped(), None), statuses=dict),
        current or CurrentSnapshot(),
        keeper_over(lambda _: None),
    )


def test_the_installed_litellm_is_one_we_build_on() -> None:
    """The installed release is in range and lacks no seam."""
    version = releases.installed_version()

    releases.check_version(version)
    assert releases.warning_about(version) is None
    assert seams.lacking() == {}


def test_litellm_sees_our_hooks(callbacks: list[Any]) -> None:
    """LiteLLM looks for overrides in the class itself: all three of ours are found."""
    ours = admission()

    litellm.logging_callback_manager.add_litellm_callback(ours)
    litellm.logging_callback_manager.add_litellm_callback(AnswerHeaders(ours.answer_headers))

    found = ProxyLogging.callback_capabilities()
    assert ours in found.resolved_callbacks
    assert found.has_pre_call_override
    assert found.has_post_call_response_headers
    assert found.listed_models_filters
    assert not found.has_iterator_override, "a stream hook would cost every chunk"


def test_an_alias_map_is_replaced_and_the_operators_aliases_stay(router: Any) -> None:
    """Our names come in beside the operator's alias, resolve in the router, and leave when we drop them."""
    aliases = RouterAliases(bridged(router))

    aliases.replace({"chat": "chat_premium", "old": "chat_premium"})
    aliases.replace({"chat": "chat_balanced"})

    assert bridged(router).aliases() == {"mine": "chat_premium", "chat": "chat_balanced"}
    assert group_of(router, "chat") == "chat_balanced"
    assert aliases.foreign() == {"mine": "chat_premium"}


def test_a_replaced_map_drops_litellms_caches(router: Any) -> None:
    """What LiteLLM remembers of a name belongs to the old map: budgets must not be judged by it."""
    aliases = RouterAliases(bridged(router))
    aliases.replace({"chat": "chat_premium"})
    before = group_of(router, "chat")

    aliases.replace({"chat": "chat_balanced"})

    assert (before, group_of(router, "chat")) == ("chat_premium", "chat_balanced")


def test_drift_is_put_back_and_counted(router: Any) -> None:
    """A router that comes new, with its own aliases, gets our names beside them, and that is counted once."""
    another = litellm.Router(
        model_list=[entry(group) for group in GROUPS],
        model_group_alias={"chat": "chat_balanced", "theirs": "chat_balanced"},
    )
    live = [router]
    aliases = RouterAliases(bridge_of(lambda: live[0]))
    aliases.replace({"chat": "chat_premium"})

    live[0] = another

    assert aliases.heal()
    assert not aliases.heal()
    assert bridged(another).aliases() == {"chat": "chat_premium", "theirs": "chat_balanced"}
    assert aliases.drifts == 1
    change(router, model_group_alias={"chat": "chat_balanced"})
    assert bridged(router).aliases() == {"chat": "chat_balanced"}, "the old router is left as it was"


def test_what_writes_settings_writes_our_names_too(router: Any) -> None:
    """There is no moment without our names, nothing to put back and nothing to count; the writer's own stay."""
    aliases = RouterAliases(bridged(router))
    aliases.replace({"chat": "chat_premium"})

    change(router, model_group_alias={"chat": "chat_balanced", "theirs": "chat_balanced"})
    written = bridged(router).aliases()
    change(router, num_retries=3)

    assert written == {"chat": "chat_premium", "theirs": "chat_balanced"}
    assert not aliases.heal()
    assert aliases.drifts == 0


def test_without_a_mirror_the_map_stays_the_operators(router: Any) -> None:
    """Where LiteLLM's router takes no map from us it is left alone, by switches and by the guard."""
    bridge = bridged(router)
    aliases = RouterAliases(bridge, mirrors=False)

    aliases.replace({"chat": "chat_premium"})
    healed = aliases.heal()
    change(router, model_group_alias={"mine": "chat_balanced"})
    aliases.release()

    assert not healed
    assert bridge.aliases() == aliases.foreign() == {"mine": "chat_balanced"}


def test_a_router_that_is_left_takes_maps_as_they_come(router: Any) -> None:
    """After the release a map is written as anybody writes it."""
    aliases = RouterAliases(bridged(router))
    aliases.replace({"chat": "chat_premium"})

    aliases.release()
    change(router, model_group_alias={"chat": "chat_balanced"})

    assert bridged(router).aliases() == {"chat": "chat_balanced"}


@pytest.mark.parametrize("source", ["database", "file"])
async def test_litellms_own_settings_sync_brings_our_names(router: Any, source: str) -> None:
    """LiteLLM's periodic settings code writes its own map, from either source, and ours is in it: no drift."""
    aliases = RouterAliases(bridged(router))
    aliases.replace({"chat": "chat_premium"})
    theirs = {"model_group_alias": {"chat": "chat_balanced", "stored": "chat_balanced"}}
    settings = proxy_server.ProxyConfig()
    settings.router_settings.load_yaml(theirs if source == "file" else {})

    class Table:
        async def find_first(self, **_: Any) -> Any:
            return SimpleNamespace(param_value=theirs if source == "database" else {})

    await settings._add_router_settings_from_db_config(
        llm_router=router, prisma_client=SimpleNamespace(db=SimpleNamespace(litellm_config=Table()))
    )

    assert bridged(router).aliases() == {"chat": "chat_premium", "stored": "chat_balanced"}
    assert not aliases.heal()
    assert aliases.drifts == 0


def test_a_name_of_ours_that_the_operator_hides_stays_hidden(router: Any) -> None:
    """An entry `{model:, hidden:}` keeps its form through our writes, LiteLLM's own and a switch, and is no drift."""
    bridge = bridged(router)
    aliases = RouterAliases(bridge)
    hidden = {"model": "chat_premium", "hidden": True}
    change(router, model_group_alias={"chat": hidden, "mine": "chat_premium"})

    aliases.replace({"chat": "chat_balanced"})
    assert bridge.aliases() == {"chat": {**hidden, "model": "chat_balanced"}, "mine": "chat_premium"}

    change(router, model_group_alias={"chat": hidden})
    assert bridge.aliases() == {"chat": {**hidden, "model": "chat_balanced"}}
    assert not aliases.heal()
    aliases.replace({})
    assert bridge.aliases() == {}


def test_facts_and_serving_group_come_from_the_live_list(router: Any) -> None:
    """Groups, embedded groups and the group behind a deployment id are what the router says now."""
    deployments = Deployments(bridged(router))

    assert deployments.facts(frozenset({"mine"})).groups == set(GROUPS)
    assert deployments.embedded_groups() == ("chat_balanced",)
    assert deployments.served_by({"model_id": "id-chat_balanced"}) == ("chat_balanced", True)
    assert deployments.served_by({"model_id": "gone"}) == (None, False)
    assert deployments.served_by({}) == (None, False)


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (LitellmUserRoles.PROXY_ADMIN, Role.ADMIN),
        (LitellmUserRoles.PROXY_ADMIN_VIEW_ONLY, Role.VIEWER),
        (LitellmUserRoles.INTERNAL_USER, Role.MEMBER),
        (None, Role.MEMBER),
    ],
)
def test_litellms_roles_become_ours(role: LitellmUserRoles | None, expected: Role) -> None:
    """Only LiteLLM's two admin roles carry rights; the name is an alias, never a key."""
    identity = Identity(proxy=SimpleNamespace(master_key="x"), access=None)

    principal = identity.principal(
        UserAPIKeyAuth(api_key="sk-canary-0123456789", user_role=role, key_alias="ci", team_id="t1")
    )

    assert principal == Principal("ci", expected, team="t1", id=key_hash("sk-canary-0123456789"))


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        ({"api_key": "sk-one", "key_alias": "trader"}, key_hash("sk-one")),
        ({"api_key": "sk-two", "key_alias": "trader", "user_id": key_hash("sk-one")}, key_hash("sk-two")),
        ({"user_id": "trader"}, "user:trader"),
        ({}, "unknown"),
    ],
)
def test_callers_are_told_apart_by_what_they_cannot_choose(caller: dict[str, str], expected: str) -> None:
    """The identity is the key's hash, else LiteLLM's user id, marked as one: no alias, and nobody's hash as an id."""
    identity = Identity(proxy=SimpleNamespace(master_key="x"), access=None)

    principal = identity.principal(UserAPIKeyAuth(**caller))

    assert principal.identity == expected
    assert principal.name in principal.signature


def test_a_key_without_a_name_is_shown_by_its_hash() -> None:
    """A nameless key appears by the start of its hash; the dashboard's session team is no team."""
    identity = Identity(proxy=SimpleNamespace(master_key="x"), access=None)

    principal = identity.principal(
        UserAPIKeyAuth(api_key="sk-canary-0123456789", team_id="litellm-dashboard")
    )

    assert principal.name.startswith("key-")
    assert "canary" not in principal.name
    assert principal.team is None


async def test_the_first_request_waits_for_the_first_snapshot_and_then_goes_on() -> None:
    """A worker without a snapshot lets its first requests wait; once opened without one, they fail open."""
    handler = admission()
    data: dict[str, Any] = {"model": "chat", "metadata": {}}

    waiting = asyncio.create_task(handler.async_pre_call_hook(UserAPIKeyAuth(), None, data, "acompletion"))
    await asyncio.sleep(0)
    assert not waiting.done()
    handler.open()

    assert await waiting is None
    assert data["model"] == "chat"
    assert handler.failures.total == 1
    assert handler.answer_headers(data, UserAPIKeyAuth(), None) == {"x-neuronode-reason": "fail_open"}


@pytest.mark.parametrize("session", [7, {"a": 1}, ["x"], None, "s-1"])
async def test_a_session_id_of_any_kind_leads_past_no_cap(session: object) -> None:
    """What a client writes there neither fails admission nor sends its request LiteLLM's way, around the cap."""
    groups = {Tier.FAST: "small", Tier.MEDIUM: "middle", Tier.COMPLEX: "large"}
    profile = replace(
        make_profile("balanced"),
        tasks=dict.fromkeys(TASK_ALIASES, "middle"),
        tiers={tier: (group,) for tier, group in groups.items()},
        stickiness=Stickiness.TIER,
    )
    state = ControlState(1, "balanced", ProfileSet({"balanced": profile}), committed_at=0.0)
    current = CurrentSnapshot()
    handler = admission(max_tier=Tier.FAST, current=current)
    current.take(build_snapshot(state, HostFacts(groups=frozenset(groups.values()))))
    data: dict[str, Any] = {"model": "auto:complex", "metadata": {}, "litellm_session_id": session}

    await handler.async_pre_call_hook(UserAPIKeyAuth(), None, data, "acompletion")
    await Renaming().async_pre_call_hook(UserAPIKeyAuth(), None, data, "acompletion")

    assert (data["model"], data["fallbacks"], handler.failures.total) == ("small", [], 0)


async def test_calls_outside_the_router_are_not_touched() -> None:
    """A pass-through body goes on byte for byte: it is not ours to stamp."""
    handler = admission()
    body = {"model": "chat", "metadata": {"user_id": "u", "neuronode": 1}}

    result = await handler.async_pre_call_hook(UserAPIKeyAuth(), None, body, "pass_through_endpoint")

    assert result is None
    assert body == {"model": "chat", "metadata": {"user_id": "u", "neuronode": 1}}


def test_a_router_that_refuses_the_map_does_not_fail_the_swap(
    router: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When LiteLLM's own code fails to take the map, the swap goes on and the guard tries again until it is in."""
    bridge = bridged(router)
    aliases = RouterAliases(bridge)

    def refuse(*_: Any) -> None:
        raise RuntimeError("not now")

    with monkeypatch.context() as broken:
        broken.setattr(type(bridge), "write_aliases", refuse)
        aliases.replace({"chat": "chat_premium"})
        aliases.heal()
    healed = aliases.heal()

    assert healed
    assert bridged(router).aliases()["chat"] == "chat_premium"


@pytest.mark.parametrize("seam", seams.in_use(), ids=lambda seam: f"{seam.part}: {seam.path}")
def test_each_seam_of_the_table_is_there(seam: seams.Seam) -> None:
    """Every entry of the table, one by one: a release that lacks one turns its part off, and this test red."""
    assert seam.lack() is None


def test_a_missing_seam_turns_its_part_off_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that has renamed something starts; what is off for it is a problem with the name in it."""
    gone = seams.Seam(Part.CHOICE, "litellm.router_api:Router.was_renamed")
    changed = seams.Seam(Part.USAGE, "litellm:acompletion", ("a_parameter_it_never_had",))
    monkeypatch.setattr(seams, "SEAMS", (*seams.SEAMS, gone, changed))

    off = seams.lacking()

    assert set(off) == {Part.CHOICE, Part.USAGE}
    told = seams.problems(off, "1.111.0")
    assert {problem.code for problem in told} == {"part_off"}
    assert ["was_renamed" in problem.message for problem in told].count(True) == 1


async def test_nothing_of_ours_uses_what_litellm_has_deprecated(router: Any) -> None:
    """LiteLLM counts every use of an old member by code that is not its own: ours are none."""
    deprecated = pytest.importorskip("litellm.router_deprecated").DEPRECATED_ROUTER_MEMBER_USES
    before = dict(deprecated)
    bridge = bridged(router)
    aliases, deployments = RouterAliases(bridge), Deployments(bridge)

    aliases.replace({"chat": "chat_premium"})
    aliases.heal()
    deployments.facts(frozenset())
    deployments.embedded_groups()
    bridge.set_access_check(bridge.access_check())
    bridge.strategy("chat_premium", {})
    bridge.allowed_seconds("id-chat_premium", streams=True)
    read = (bridge.cooling(), bridge.filters_by_tag(), bridge.checks_before_calls(), bridge.has_group("x"))

    assert read == (frozenset(), False, False, False)
    assert dict(deprecated) == before
