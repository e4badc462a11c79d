"""Data stays where profile, key and team have it: every way of a request through LiteLLM, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import litellm
import pytest
from fastapi import HTTPException
from litellm.caching.caching import DualCache
from litellm.integrations.custom_logger import CustomLogger
from litellm.llms.vertex_ai.vertex_llm_base import VertexBase
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth
from litellm.types.router import Deployment
from litellm.types.utils import CallTypes, CredentialItem

from neuronode_router.access import Principal, Role
from neuronode_router.auto.judge import AnswerJudge, GroupFailed, GroupQuestion
from neuronode_router.domain.names import STABLE_ALIAS_PROFILE, TASK_ALIASES, Tier
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileSet
from neuronode_router.domain.rules import PersonalDataRule
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import (
    DoesNotFit,
    HoldsPersonalData,
    InvalidRequest,
    LeavesResidency,
    NeuronodeError,
    NotAllowed,
    UnknownTier,
)
from neuronode_router.litellm_plugin.auth.group_access import GroupAccess
from neuronode_router.litellm_plugin.auth.identity import PERSONAL_DATA, RESIDENCY, Identity
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks import calls, gate, personal
from neuronode_router.litellm_plugin.hooks.refusing import answer
from neuronode_router.litellm_plugin.hooks.request_metadata import PLACES, RIVAL
from neuronode_router.litellm_plugin.hooks.response_state import CONTINUES
from neuronode_router.litellm_plugin.hooks.usage import Groups, UsageHooks
from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.litellm_plugin.router.judging import JudgedGroups
from neuronode_router.litellm_plugin.router.location import Locations, location_of, servers_of
from neuronode_router.litellm_plugin.router.model_facts import with_model_facts
from neuronode_router.routing.fallback_chain import DeploymentStatus
from neuronode_router.routing.inventory import read_inventory
from neuronode_router.routing.residency import NOTHING_REQUIRED, required
from neuronode_router.routing.snapshot import build_snapshot
from neuronode_router.routing.targets import FALLBACK_FIELDS
from neuronode_router.usage.buffer import UsageBuffer
from neuronode_router.usage.finished import FinishedRequest
from tests.host.admitted import admission_over
from tests.host.routers import bridged, deployment, router
from tests.host.test_fit import response_id
from tests.host.test_gate import FAILS, SENTIMENT, Sampled, Way, guarded

HERE = "http://127.0.0.1:9"
FRANKFURT = {"model": "bedrock/anthropic.claude", "aws_region_name": "eu-central-1"}
ELSEWHERE = {"own": None, "german": "de", "american": "us", "unknown": "No Place!", "provider": "openai"}
"""Groups of one deployment each, and what is noted of its location."""

APART = "classification"
"""The task that the profile `strict` alone has answered elsewhere."""

DEPLOYMENTS = [*ELSEWHERE, "mixed-own", "mixed-american"]
WITHIN = {"local": {"own", "mixed-own"}, "eu": {"own", "mixed-own", "german"}}


@dataclass
class Kept:
    """What a test has profiles and keys require."""

    profiles: Mapping[str, tuple[str, ...]]
    keys: Mapping[str, tuple[str, ...]]
    personal: Mapping[str, PersonalDataRule] = field(default_factory=dict)
    own: PersonalDataRule = PersonalDataRule.ALLOW
    """Of the key."""


def entries() -> list[dict[str, Any]]:
    """Return the model list: everything fails, so that every fallback is tried."""

    def made(group: str, name: str, place: str | None) -> dict[str, Any]:
        note = {} if place is None else {"neuronode": {"location": place}}
        return deployment(group, name, HERE, mock_response=FAILS, info=note)

    alone = [made(group, group, place) for group, place in ELSEWHERE.items()]
    return [*alone, made("mixed", "mixed-own", None), made("mixed", "mixed-american", "us")]


def profile(name: str, residency: tuple[str, ...]) -> Profile:
    return Profile(
        name=name,
        description="",
        cost_level="low",
        performance_level="good",
        tasks=dict.fromkeys(TASK_ALIASES, "american")
        | {APART: "german" if name == "strict" else "american"}
        | {"chat": "own", "summary": "mixed", "sentiment": "auto"},
        tiers={Tier.FAST: ("american", "own"), Tier.MEDIUM: ("mixed",), Tier.COMPLEX: ("german", "provider")},
        allowed_teams=("everybody",),
        residency=residency,
    )


@pytest.fixture
def kept(request: pytest.FixtureRequest) -> Kept:
    """Nothing but the key `confined` requires anything, unless a test says so."""
    return getattr(request, "param", Kept({}, {"confined": ("local",), "european": ("eu",)}))


@pytest.fixture
def way(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    """A proxy's hooks over groups in several places."""
    live = router(entries(), disable_cooldowns=True)
    monkeypatch.setattr("litellm.proxy.proxy_server.llm_router", live)
    names = ("active", "strict", STABLE_ALIAS_PROFILE)
    made = {name: profile(name, kept.profiles.get(name, ())) for name in names}
    rules = {name: kept.personal.get(name, PersonalDataRule.ALLOW) for name in names}
    profiles = ProfileSet({name: replace(made[name], personal_data=rules[name]) for name in names})
    groups = frozenset({*ELSEWHERE, "mixed"})
    current = CurrentSnapshot()
    current.take(
        build_snapshot(ControlState(1, "active", profiles, committed_at=0.0), HostFacts(groups=groups))
    )
    bridge = bridged(live)
    access = GroupAccess(bridge, proxy=proxy_server, group_of=Deployments(bridge).group_of)
    admission = admission_over(
        bridge,
        current,
        access,
        lambda user: Principal(
            "somebody",
            Role.MEMBER,
            team="everybody",
            residency=kept.keys.get(user.api_key or "", ()),
            personal_data=kept.own,
        ),
        statuses=lambda: {
            group: tuple(map(DeploymentStatus, found))
            for group, found in read_inventory(with_model_facts(bridge.entries())).groups.items()
        },
    )
    with guarded(bridge, access, admission, current) as guarded_way:
        yield guarded_way


NAMES = (
    *(
        "own",
        "german",
        "american",
        "unknown",
        "provider",
        "mixed",
        "chat",
        "summary",
        "strategy",
        "sentiment",
    ),
    *(
        "auto",
        "auto:complex",
        "task_chat",
        "@profile/strict",
        "strict/strategy",
        "own,american",
        "chat,summary",
    ),
    *("mixed-american", "mixed-own", "openai/american", "nothing-of-this-name"),
)
ANSWERED = {"own", "mixed", "chat", "summary", "auto", "sentiment", "mixed-own"}
"""Those of the names that lead to own machines."""


@pytest.mark.parametrize(("caller", "within"), [("confined", "local"), ("european", "eu")])
async def test_no_name_leads_a_confined_caller_elsewhere(way: Way, caller: str, within: str) -> None:
    """Groups, tasks, `auto`, overrides, lists, ids of deployments and their own names; what is within is asked."""
    for name in NAMES:
        seen = await way.ask(caller, {"model": name})

        assert seen <= WITHIN[within], name
        assert bool(seen) or name not in ANSWERED


@pytest.mark.parametrize("shape", ["names", "objects", "settings"])
async def test_no_fallback_leads_a_confined_caller_elsewhere(way: Way, shape: str) -> None:
    """In any shape and field: what is elsewhere is skipped, and what comes after it is tried."""
    targets = (*ELSEWHERE, "mixed", "strategy", "auto:complex", "american,own", "*")
    for target, key in itertools.product(targets, FALLBACK_FIELDS):
        seen = await way.ask("confined", {"model": "own", **fallbacks(shape, key, target)})

        assert "own" in seen
        assert seen <= WITHIN["local"], (target, key)
        assert key != "fallbacks" or shape != "names" or "mixed-own" in seen


def fallbacks(shape: str, field: str, target: str) -> dict[str, Any]:
    """Return the fields of a body."""
    by_group = [{"own": [target, "mixed"], "*": [target]}]
    shapes: Mapping[str, dict[str, Any]] = {
        "names": {field: by_group if field != "fallbacks" else [target, "mixed"]},
        "objects": {field: [{"model": target}, {"model": "mixed"}]},
        "settings": {"router_settings_override": {field: by_group}},
    }
    return shapes[shape]


async def test_who_is_not_confined_goes_anywhere(way: Way) -> None:
    """Without a requirement nothing is held back, nor is anything for want of a place."""
    for name in ("american", "unknown", "provider", "german"):
        assert await way.ask("ordinary", {"model": name}) == {name}


@pytest.mark.parametrize("kept", [Kept({"active": ("local",)}, {})], indirect=True)
async def test_the_active_profile_confines_everybody_who_does_not_choose_another(way: Way) -> None:
    """Groups by their own names too; another profile decides for itself."""
    names = ("american", "strategy", "auto", "mixed", "openai/american", "provider")
    asked = {name: await way.ask("ordinary", {"model": name}) for name in names}

    answered = {"auto": WITHIN["local"], "mixed": {"mixed-own"}}
    assert {name: seen for name, seen in asked.items() if seen} == answered

    assert await way.ask("ordinary", {"model": "strict/strategy"}) == {"american"}


@pytest.mark.parametrize("kept", [Kept({"strict": ("eu",)}, {"confined": ("us",)})], indirect=True)
async def test_all_that_is_required_holds_together(way: Way) -> None:
    """A key that must stay in America under a profile that must stay in Europe: only own machines are left."""
    assert await way.ask("confined", {"model": "strategy"}) == {"american"}
    assert await way.ask("confined", {"model": "strict/strategy"}) == set()
    assert await way.ask("confined", {"model": "strict/auto:complex"}) == WITHIN["local"]
    assert await way.ask("confined", {"model": "strict/chat"}) == {"own"}


@pytest.mark.parametrize("kept", [Kept({"strict": ("eu",)}, {})], indirect=True)
async def test_a_fallback_of_a_stricter_profile_makes_the_whole_request_strict(way: Way) -> None:
    """Its data cannot be told apart from that of the first name."""
    seen = await way.ask("ordinary", {"model": "own", "fallbacks": ["strict/chat", "american"]})

    assert seen == {"own"}


@pytest.mark.parametrize("kept", [Kept({"strict": ("local",)}, {})], indirect=True)
async def test_a_profile_that_is_chosen_has_what_cannot_be_checked_refused(way: Way) -> None:
    """A field that may lead to another server is refused although the caller alone is not limited."""
    seen = await way.ask("ordinary", {"model": "strict/chat", "api_base": "http://127.0.0.1:8"})

    assert seen == set()


LOCAL_ONLY = Kept({}, {}, {"active": PersonalDataRule.LOCAL})
MAIL = "Schreib an anna.meyer@firma.de"
HOLDING: Mapping[str, dict[str, Any]] = {
    "turn": {"messages": [{"role": "user", "content": MAIL}]},
    "part": {"messages": [{"role": "user", "content": [{"type": "text", "text": MAIL}]}]},
    "system": {"messages": [{"role": "system", "content": MAIL}, {"role": "user", "content": "hi"}]},
    "tool result": {
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "a", "type": "function", "function": {}}],
            },
            {"role": "tool", "tool_call_id": "a", "content": MAIL},
        ]
    },
    "user": {"user": "anna.meyer@firma.de"},
    "stop": {"stop": ["anna.meyer@firma.de"]},
}


@pytest.mark.parametrize("kept", [LOCAL_ONLY], indirect=True)
@pytest.mark.parametrize("place", HOLDING)
async def test_personal_data_goes_to_own_machines_only(way: Way, place: str) -> None:
    """Wherever it stands: tasks and `auto` lead to a local group instead, and what cannot is refused."""
    for name in NAMES:
        seen = await way.ask("ordinary", {"model": name, **HOLDING[place]})

        assert seen <= WITHIN["local"] or name.startswith(("strict/", "@profile/")), name
        assert bool(seen) or name not in {*ANSWERED, "strategy"}


@pytest.mark.parametrize("kept", [LOCAL_ONLY], indirect=True)
async def test_without_personal_data_a_request_goes_anywhere(way: Way) -> None:
    """The rule holds nothing back that is not personal."""
    for name in ("strategy", "american", "provider"):
        assert await way.ask("ordinary", {"model": name}) == {"american" if name == "strategy" else name}


@pytest.mark.parametrize("kept", [LOCAL_ONLY], indirect=True)
async def test_a_fallback_is_kept_local_too(way: Way) -> None:
    """Of the client's fallbacks those elsewhere are skipped."""
    body = {"model": "own", "fallbacks": ["american", "strategy", "mixed"], **HOLDING["turn"]}

    assert await way.ask("ordinary", body) == {"own", "mixed-own"}


@pytest.mark.parametrize("kept", [LOCAL_ONLY], indirect=True)
async def test_what_a_fallback_says_itself_is_kept_local(way: Way) -> None:
    """A fallback may bring messages of its own, which go nowhere else either."""
    away = {"model": "american", "messages": [{"role": "user", "content": MAIL}]}

    assert await way.ask("ordinary", {"model": "own", "fallbacks": [away]}) == {"own"}
    assert await way.ask("ordinary", {"model": "own", "fallbacks": ["american"]}) == {"own", "american"}


@pytest.mark.parametrize("kept", [Kept({}, {}, own=PersonalDataRule.LOCAL)], indirect=True)
@pytest.mark.parametrize("place", HOLDING)
async def test_a_key_of_its_own_rule_is_kept_local_whatever_decides(way: Way, place: str) -> None:
    """Also under a profile that was chosen, and by the own name of a group; what holds nothing goes anywhere."""
    for name in NAMES:
        assert await way.ask("ordinary", {"model": name, **HOLDING[place]}) <= WITHIN["local"], name
    assert await way.ask("ordinary", {"model": "american"}) == {"american"}


@pytest.mark.parametrize(
    ("kept", "strictest"),
    [
        (Kept({}, {}, {"active": theirs}, own=own), PersonalDataRule.strictest(theirs, own))
        for theirs in PersonalDataRule
        for own in PersonalDataRule
    ],
    indirect=["kept"],
)
async def test_the_strictest_rule_wins(way: Way, strictest: PersonalDataRule) -> None:
    """Whether the profile or the key has it."""
    seen = await way.ask("ordinary", {"model": "strategy", **HOLDING["turn"]})

    assert (
        seen
        <= {
            PersonalDataRule.ALLOW: {"american"},
            PersonalDataRule.LOCAL: WITHIN["local"],
            PersonalDataRule.REFUSE: set(),
        }[strictest]
    )
    assert bool(seen) is (strictest is not PersonalDataRule.REFUSE)


@pytest.mark.parametrize("kept", [Kept({}, {}, {"active": PersonalDataRule.REFUSE})], indirect=True)
async def test_personal_data_is_refused_by_kind(way: Way) -> None:
    """Nobody is asked; the refusal says what was found, and not how it reads."""
    data = {"model": "chat", **HOLDING["turn"], "proxy_server_request": {"body": {}, "headers": {}}}

    assert await way.ask("ordinary", {"model": "chat", **HOLDING["turn"]}) == set()
    assert await way.ask("ordinary", {"model": "chat"}) == {"own"}
    with pytest.raises(HTTPException) as refusal:
        await way.admission.async_pre_call_hook(UserAPIKeyAuth(), DualCache(), data, "acompletion")

    assert refusal.value.status_code == 403
    assert "(email)" in str(refusal.value.detail)
    assert "anna" not in str(refusal.value.detail)
    assert refusal.value.headers == {
        "x-neuronode-refused": "refused_personal_data",
        "x-neuronode-personal-data": "email",
    }


@pytest.mark.parametrize(
    ("refusal", "word"),
    [
        (NotAllowed("x"), "refused_access"),
        (LeavesResidency("x", fix="y"), "refused_residency"),
        (HoldsPersonalData("x", fix="y", kinds=["iban"]), "refused_personal_data"),
        (DoesNotFit("x"), "refused_fit"),
        (UnknownTier("x"), "bad_request"),
        (InvalidRequest("x"), "bad_request"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_refusal_says_as_what_usage_counts_it(refusal: NeuronodeError, word: str) -> None:
    """By a header that no provider's error has."""
    told = answer(refusal)

    assert told.headers is not None
    assert told.headers["x-neuronode-refused"] == word


@pytest.mark.parametrize(
    ("kept", "text", "refused"),
    [
        (Kept({"active": ("local",)}, {}), "hi", "refused_access"),
        (Kept({}, {}, own=PersonalDataRule.LOCAL), MAIL, "refused_access"),
        (Kept({}, {}, {"active": PersonalDataRule.REFUSE}), MAIL, "refused_personal_data"),
        (Kept({}, {}, {"active": PersonalDataRule.REFUSE}), "hi", None),
        (Kept({}, {}), MAIL, None),
    ],
    indirect=["kept"],
)
@pytest.mark.parametrize("by", ["hook", "door"])
async def test_nothing_is_searched_on_the_web_that_may_not_leave(
    way: Way, text: str, refused: str | None, by: str
) -> None:
    """Nobody can tell where it would go; what holds nothing goes, also for who may not use every model."""
    user = UserAPIKeyAuth(models=["own"])
    data = {"query": text, "search_tool_name": "web"}

    with contextlib.nullcontext() if refused is None else pytest.raises(HTTPException) as refusal:
        if by == "hook":
            await way.admission.async_pre_call_hook(user, DualCache(), {**data, "metadata": {}}, "asearch")
        else:
            await way.admission.judge(user, data, web=True)

    if refused:
        assert refusal.value.headers["x-neuronode-refused"] == refused  # type: ignore[union-attr]


@pytest.mark.parametrize("kept", [Kept({"active": ("local",)}, {})], indirect=True)
@pytest.mark.parametrize("call", ["avector_store_search", "avector_store_create", "asend_something"])
async def test_what_a_store_is_searched_for_goes_nowhere_for_who_must_stay(way: Way, call: str) -> None:
    """LiteLLM asks a provider past its router: with the operator's key, and for whom the client says."""
    with pytest.raises(HTTPException) as refusal:
        await admitted(way, call, query="hi", custom_llm_provider="openai")

    assert refusal.value.status_code == 403


@pytest.mark.parametrize("call", ["call_mcp_tool", "aget_responses", "afile_content", "asend_message"])
async def test_what_is_called_within_a_request_lifts_nothing_of_it(way: Way, call: str) -> None:
    """LiteLLM runs tools in the course of a request, and sends their results on to its models."""
    user = UserAPIKeyAuth(api_key="confined")
    data = {"model": "own", "messages": [], "metadata": {}}
    await way.admission.async_pre_call_hook(user, DualCache(), data, "acompletion")
    before = gate.places()

    await way.admission.async_pre_call_hook(user, DualCache(), {"name": "x", "metadata": {}}, call)

    assert before
    assert gate.places() == before
    with pytest.raises(HTTPException):
        await way.live.acompletion(model="american", messages=[{"role": "user", "content": "hi"}])


async def test_what_a_guardrail_says_of_a_tool_stays_where_the_callers_data_does(way: Way) -> None:
    """A tool that is asked by itself is the client's wish; the models about which are asked are not."""
    gate.let(gate.Undecided(lambda: True))

    data = {"name": "x", "metadata": {}}
    await way.admission.async_pre_call_hook(
        UserAPIKeyAuth(api_key="confined"), DualCache(), data, "call_mcp_tool"
    )

    assert gate.places() == required(("local",))


RULED = [
    Kept({}, {}, {"active": PersonalDataRule.LOCAL}),
    Kept({}, {}, {"active": PersonalDataRule.REFUSE}),
    Kept({}, {}, own=PersonalDataRule.LOCAL),
    Kept({}, {}, own=PersonalDataRule.REFUSE),
]
"""Every rule, of a profile and of a key."""


async def admitted(way: Way, call: str, **body: Any) -> None:
    """Have a call admitted. Raises what it is refused with."""
    data = {"metadata": {}, **body, "proxy_server_request": {"body": body, "headers": {}}}
    await way.admission.async_pre_call_hook(UserAPIKeyAuth(), DualCache(), data, call)


@pytest.mark.parametrize("kept", RULED, indirect=True)
async def test_no_call_carries_personal_data_elsewhere(way: Way) -> None:
    """Whatever it is called by LiteLLM, and also where it names no model, so that LiteLLM has one of its own."""
    passed = []
    for call, name in itertools.product(sorted(calls.ROUTED), (None, "american")):
        try:
            await admitted(way, call, model=name, input=MAIL)
        except HTTPException as refusal:
            passed += [] if refusal.status_code == 403 else [(call, name, refusal)]
        else:
            passed.append((call, name, None))

    assert passed == []


@pytest.mark.parametrize("kept", RULED, indirect=True)
async def test_what_holds_nothing_is_admitted_by_every_call(way: Way) -> None:
    """A rule holds nothing back that is not personal."""
    for call, name in itertools.product(sorted(calls.ROUTED - calls.LATER), (None, "american")):
        await admitted(way, call, model=name, input="hi")


@pytest.mark.parametrize("kept", RULED, indirect=True)
@pytest.mark.parametrize("call", sorted(calls.LATER))
async def test_a_session_that_says_everything_later_is_refused_under_a_rule(way: Way, call: str) -> None:
    """Nobody could read it; wherever it goes."""
    for name in ("own", "american", "chat", "auto"):
        with pytest.raises(HTTPException) as refusal:
            await admitted(way, call, model=name)

        assert "cannot be checked" in str(refusal.value.detail), name


@pytest.mark.parametrize("call", sorted(calls.LATER))
async def test_a_session_is_admitted_where_nobody_has_a_rule(way: Way, call: str) -> None:
    """As every other call."""
    await admitted(way, call, model="american")


@pytest.mark.parametrize("kept", RULED, indirect=True)
@pytest.mark.parametrize("field", CONTINUES)
@pytest.mark.parametrize(
    ("said", "led"),
    [
        (response_id("own"), "own"),
        (response_id("mixed-own"), "own"),
        (response_id("nobody-has-this"), "own"),
        ("resp_made_up", "own"),
        (response_id("american"), "american"),
        (response_id("unknown"), "american"),
    ],
    ids=["own", "mixed-own", "gone", "made up", "american", "unknown"],
)
async def test_what_was_said_at_home_is_not_sent_along_elsewhere(
    way: Way, field: str, said: str, led: str
) -> None:
    """LiteLLM may add the earlier turns, which nobody reads here; what is kept elsewhere has been there."""
    seen = await way.ask("ordinary", {"model": "strategy", field: said})
    fallback = {"model": "american", field: said}
    fallen = [
        await way.ask("ordinary", {"model": "own", "fallbacks": written})
        for written in ([fallback], [{"own": [fallback]}])
    ]

    assert seen <= (WITHIN["local"] if led == "own" else {"american"})
    assert seen
    assert fallen == [{"own"} if led == "own" else {"own", "american"}] * 2


@pytest.mark.parametrize("kept", RULED, indirect=True)
async def test_a_group_elsewhere_is_refused_what_was_said_at_home(way: Way) -> None:
    """With its cause, and what to do."""
    with pytest.raises(HTTPException) as refusal:
        await admitted(way, "aresponses", model="american", previous_response_id=response_id("own"))

    assert "goes on from what was said before" in str(refusal.value.detail)
    assert "Begin a new conversation" in str(refusal.value.detail)


@pytest.mark.parametrize("kept", RULED, indirect=True)
async def test_personal_data_is_not_counted_elsewhere_than_it_is_asked(way: Way) -> None:
    """A count that LiteLLM leads elsewhere than the header wishes is read, too."""
    request = {"headers": {"x-neuronode-profile": "strict"}, "body": {}}
    body = {"model": APART, "proxy_server_request": request}

    await way.admission.judge(UserAPIKeyAuth(), {**body, "input": "hi"}, counts=True)
    with pytest.raises(HTTPException) as refusal:
        await way.admission.judge(UserAPIKeyAuth(), {**body, "input": MAIL}, counts=True)

    assert refusal.value.status_code == 403


async def test_what_a_caller_writes_for_litellm_is_not_in_the_books(way: Way) -> None:
    """At the door a body is as it was sent: a cost, tokens, a deployment or a mark of ours in it are forged."""
    counted: list[FinishedRequest] = []
    groups = Groups(lambda _: (None, False), ELSEWHERE.__contains__)
    way.admission.refused = UsageHooks(buffer=UsageBuffer(), groups=groups, watch=counted.append).failed
    payload = dict.fromkeys(("cache_hit", "error_information", "cost_breakdown", "metadata"))
    payload |= {"response_cost": 9999.0, "prompt_tokens": 10**6, "completion_tokens": 5, "stream": False}
    payload |= {"model_id": "Max Mustermann", "model_group": "x"}
    payload |= dict.fromkeys(("startTime", "endTime", "completionStartTime"), 0)

    for forged in ({"standard_logging_object": payload}, {"standard_logging_object": {}}, {}):
        marks = {"metadata": {"neuronode": {"profile": "forged", "revision": 7, "arm": "canary"}}}
        with pytest.raises(HTTPException):
            await way.admission.judge(
                UserAPIKeyAuth(), {"model": "@profile/nope", **forged, **marks}, counts=False
            )

    assert len(counted) == 3
    assert {(one.cost, one.key.deployment, one.key.profile, one.prompt_tokens) for one in counted} == {
        (None, "", "", 0)
    }


@pytest.mark.parametrize("kept", RULED, indirect=True)
async def test_what_is_refused_at_the_door_is_in_usage(way: Way) -> None:
    """Once, with its team, its caller, and what for: LiteLLM tells no hook of it. What may pass is not counted."""
    buffer, counted = UsageBuffer(), list[FinishedRequest]()
    groups = Groups(lambda _: (None, False), ELSEWHERE.__contains__)
    way.admission.refused = UsageHooks(buffer=buffer, groups=groups, watch=counted.append).failed
    user = UserAPIKeyAuth(team_id="everybody")

    await way.admission.judge(user, {"model": "own", "input": "hi"}, counts=True)
    for body, counts in (
        ({"model": "american", "input": MAIL}, True),
        ({"purpose": "batch"}, False),
        ({"model": "made up by a caller"}, False),
    ):
        with pytest.raises(HTTPException):
            await way.admission.judge(user, body, counts=counts)

    assert [(one.key.outcome, one.asked) for one in counted] == [
        ("refused_personal_data", "american"),
        ("refused_access", ""),
        ("refused_access", "other"),
    ]
    assert {(one.key.team, one.key.reason, one.caller, one.key.location) for one in counted} == {
        ("everybody", "refused", "somebody", "")
    }
    assert len(buffer.take().requests) == len(counted)  # type: ignore[union-attr]  # it has counted


@pytest.mark.parametrize(
    ("kept", "who"),
    [
        (LOCAL_ONLY, "the profile 'active'"),
        (Kept({}, {}, own=PersonalDataRule.LOCAL), "this key or its team"),
    ],
    ids=["profile", "key"],
    indirect=["kept"],
)
@pytest.mark.parametrize(
    ("body", "said", "found"),
    [
        ({"messages": [{"role": "user", "content": MAIL}]}, "holds personal data (email)", "email"),
        ({"prompt": [9906, 1917]}, "nobody can read", "unreadable"),
    ],
    ids=["mail", "tokens"],
)
async def test_what_is_kept_local_is_refused_with_its_cause(
    way: Way, who: str, body: dict[str, Any], said: str, found: str
) -> None:
    """Where no group at home can answer: not the deployments' places are to be mended."""
    data = {"model": "american", **body, "proxy_server_request": {"body": {}, "headers": {}}}

    with pytest.raises(HTTPException) as refusal:
        await way.admission.async_pre_call_hook(UserAPIKeyAuth(), DualCache(), data, "acompletion")

    assert refusal.value.status_code == 403
    assert said in str(refusal.value.detail)
    assert who in str(refusal.value.detail)
    assert "american" in str(refusal.value.detail)
    assert "location" not in str(refusal.value.detail)
    assert refusal.value.headers == {
        "x-neuronode-refused": "refused_personal_data",
        "x-neuronode-personal-data": found,
    }


@pytest.mark.parametrize(
    ("data", "personal_data"),
    [
        ({"metadata": {"user_api_key_user_email": "a@b.de", "headers": {"x-mail": "a@b.de"}}}, False),
        ({"metadata": {"requester_metadata": {"customer": "a@b.de"}}}, True),
        ({"metadata": {"requester_metadata": {"headers": {"x-mail": "a@b.de"}}}}, False),
        (
            {"metadata": {"user_id": "a@b.de"}, "litellm_metadata": {"user_api_key_user_email": "c@d.de"}},
            True,
        ),
        ({"metadata": {}, "litellm_metadata": {"user_api_key_user_email": "c@d.de"}}, False),
        ({"metadata": {"headers": "a@b.de"}, "litellm_metadata": {}}, True),
        ({"metadata": {"user_api_key_note": "a@b.de"}, "litellm_metadata": {}}, True),
        ({"metadata": '{"customer": "a@b.de"}', "litellm_metadata": {}}, True),
        ({"proxy_server_request": {"body": {"user": "a@b.de"}}, "secret_fields": {"x": "a@b.de"}}, False),
    ],
    ids=str,
)
def test_the_clients_metadata_is_sent_and_litellms_notes_are_not(
    data: dict[str, Any], personal_data: bool
) -> None:
    """Whichever of its two fields LiteLLM writes into."""
    assert bool(personal.PersonalData({}, {"model": "a", **data}).kinds) is personal_data


async def test_nothing_is_read_where_no_profile_has_a_rule(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look costs nothing where nobody asked for it."""
    monkeypatch.setattr(personal, "kinds_in", lambda _: pytest.fail("the request was read"))

    assert await way.ask("ordinary", {"model": "american", **HOLDING["turn"]}) == {"american"}


async def test_calls_within_a_request_stay_too(way: Way) -> None:
    """A guardrail's model is the operator's choice, and the data is the same."""
    litellm.callbacks.remove(way.admission)
    gate.let(gate.Free(required(["local"])))
    for group in (*ELSEWHERE, "mixed"):
        way.spy.seen = set()

        with contextlib.suppress(HTTPException, litellm.exceptions.InternalServerError):
            await way.live.acompletion(
                model=group, messages=[{"role": "user", "content": "hi"}], metadata={"own": 1}, num_retries=0
            )

        assert way.spy.seen <= WITHIN["local"]
        assert bool(way.spy.seen) is (group in ("own", "mixed"))


async def test_a_call_past_the_router_is_refused(way: Way) -> None:
    """Of what LiteLLM asks without a deployment of its list nobody can tell where it goes."""
    litellm.callbacks.remove(way.admission)
    gate.let(gate.Free(required(["eu"])))

    with pytest.raises(HTTPException) as refusal:
        await litellm.acompletion(
            model="openai/own", api_base=HERE, api_key="none", messages=[], mock_response="hi"
        )

    assert refusal.value.status_code == 403


@pytest.mark.parametrize(
    ("kept", "rival", "places"),
    [
        (Kept({"strict": ("eu",)}, {}), "german", [["eu"]]),
        (Kept({"strict": ("local",)}, {}), None, None),
        (Kept({}, {}, {"strict": PersonalDataRule.LOCAL}), None, None),
        (Kept({}, {}), "german", []),
    ],
    indirect=["kept"],
)
async def test_the_judge_compares_as_strictly_as_a_fallback_makes_the_request(
    way: Way, rival: str | None, places: list[list[str]] | None
) -> None:
    """Where its data may go is known only when its fallbacks are settled."""
    way.admission._auto.judge = cast(AnswerJudge, Sampled())
    state = way.current.snapshot.state
    tiers = {Tier.FAST: ("own",), Tier.MEDIUM: ("german",), Tier.COMPLEX: ("provider",)}
    profiles = {name: replace(each, tiers=tiers) for name, each in state.profiles.profiles.items()}
    way.current.take(
        build_snapshot(replace(state, profiles=ProfileSet(profiles)), HostFacts(groups=frozenset(ELSEWHERE)))
    )
    data = {"model": "auto", "messages": [{"role": "user", "content": f"{SENTIMENT} {MAIL}"}]}
    data |= {"fallbacks": ["strict/chat"], "proxy_server_request": {"body": {"model": "auto"}, "headers": {}}}

    await way.admission.async_pre_call_hook(UserAPIKeyAuth(), DualCache(), data, "acompletion")

    mark = data["metadata"]["neuronode"]
    assert (mark["group"], mark[RIVAL], mark.get(PLACES)) == ("own", rival, places)


@pytest.mark.parametrize("group", ["own", "american"])
async def test_the_judge_asks_only_where_the_requests_data_may_go(way: Way, group: str) -> None:
    """It runs in the background, where no request stands in the context; it brings the request's places along."""
    groups = JudgedGroups(bridged(way.live))
    places = required(["local"])
    way.spy.seen = set()

    with pytest.raises(GroupFailed):
        await groups.answer(GroupQuestion(group, [{"role": "user", "content": "hi"}], 5, None, places=places))

    assert way.spy.seen == ({"own"} if group == "own" else set())
    assert groups.stays(group, places) is (group == "own")
    assert gate.places() == NOTHING_REQUIRED


async def test_the_refusal_names_places_and_the_cure(way: Way) -> None:
    """Who is refused, and who runs the proxy, learn what is where."""
    user = UserAPIKeyAuth(api_key="confined")
    data = {"model": "strategy", "messages": [], "proxy_server_request": {"body": {"model": "strategy"}}}

    with pytest.raises(HTTPException) as refusal:
        await way.admission.async_pre_call_hook(user, DualCache(), data, "acompletion")

    text = refusal.value.detail["error"]  # type: ignore[index]
    assert (refusal.value.status_code, "'american'" in text) == (403, True)
    assert "must stay in local" in text
    assert "model_info.neuronode.location" in text


async def test_a_place_that_is_edited_counts_at_once(way: Way) -> None:
    """What the last answer found is not remembered: the next request goes nowhere else."""
    assert await way.ask("european", {"model": "german"}) == {"german"}
    bridge = bridged(way.live)
    entry = next(one for one in bridge.entries() if one["model_name"] == "german")
    entry["model_info"]["neuronode"]["location"] = "us"  # type: ignore[index]

    assert await way.ask("european", {"model": "german"}) == set()


class CallersSpy(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """Notes who asks which deployment, and how often."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[tuple[str, str]] = Counter()

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        """Note it."""
        self.asked[kwargs["metadata"]["user_api_key_auth"].api_key, kwargs["model_info"]["id"]] += 1


async def test_many_requests_at_once_keep_their_own_places(way: Way) -> None:
    """One caller's requirement is no other's."""
    spy = CallersSpy()
    litellm.callbacks.append(spy)
    asked = [way.ask(caller, {"model": "american"}) for caller in ("confined", "ordinary") * 20]

    await asyncio.gather(*asked)

    assert spy.asked == {("ordinary", "american"): 20}


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"model": "openai/gpt-4o"}, "openai"),
        ({"model": "gpt-4o"}, "openai"),
        ({"model": "*"}, None),
        ({"model": "github_copilot/gpt-4o"}, "github_copilot"),
        ({"model": "ollama_chat/llama3.1"}, "local"),
        (
            {"model": "gpt-4o", "custom_llm_provider": "azure", "api_base": "https://x.openai.azure.com"},
            "azure",
        ),
        ({"model": "bedrock/anthropic.claude", "aws_region_name": "eu-central-1"}, "de"),
        ({"model": "vertex_ai/gemini-2.0-flash", "vertex_location": "europe-west9"}, "fr"),
        ({"model": "bedrock/anthropic.claude", "region_name": "eu-central-1"}, "bedrock"),
        ({"model": "bedrock/anthropic.claude", "vertex_location": "europe-west3"}, "bedrock"),
        ({"model": "bedrock/eu-central-1/anthropic.claude"}, "bedrock"),
        ({**FRANKFURT, "model_id": "global.anthropic.claude"}, None),
        ({**FRANKFURT, "model_id": "eu.anthropic.claude"}, "eu"),
        (
            {**FRANKFURT, "model_id": "arn:aws:bedrock:eu-central-1:1:inference-profile/global.anthropic"},
            None,
        ),
        ({**FRANKFURT, "model": "bedrock/us-east-1/anthropic.claude", "model_id": "anthropic.claude"}, "de"),
        ({"model": "sagemaker_chat/x", "aws_region_name": "eu-west-1"}, "ie"),
        ({"model": "vertex_ai/gemini-2.0-flash", "region_name": "europe-west3"}, "vertex_ai"),
        ({"model": "vertex_ai/gemini-2.0-flash", "aws_region_name": "eu-central-1"}, "vertex_ai"),
        ({"model": "vertex_ai/gemini-2.0-flash", "vertex_ai_location": "europe-west3"}, "de"),
        (
            {
                "model": "vertex_ai/claude-sonnet-4",
                "vertex_location": "europe-west3",
                "vertex_count_tokens_location": "us-east5",
            },
            None,
        ),
        (
            {"model": "azure/x", "api_base": "https://x.openai.azure.com", "region_name": "swedencentral"},
            "se",
        ),
        ({"model": "openai/x", "api_base": HERE, "base_url": "https://away.example.com"}, None),
        ({"model": "openai/x", "litellm_credential_name": "here"}, "local"),
        ({"model": "openai/x", "litellm_credential_name": "away"}, None),
        ({"model": "openai/x", "litellm_credential_name": "gone"}, None),
        ({"model": "openai/x", "api_base": "http://127.0.0.1", "use_litellm_proxy": True}, None),
        ({"model": "no-such-thing-at-all"}, None),
    ],
    ids=str,
)
def test_a_place_is_read_from_what_litellm_is_told(
    monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], place: str | None
) -> None:
    """From parameters, credentials by name, and the provider; a sign-in is never begun for it."""
    monkeypatch.setattr(
        litellm,
        "credential_list",
        [
            CredentialItem(credential_name=name, credential_values={"api_base": base}, credential_info={})
            for name, base in (("here", HERE), ("away", "https://away.example.com"))
        ],
    )

    assert location_of({"model_name": "g", "litellm_params": params, "model_info": {"id": "1"}}) == place


AWAY = "https://gateway.example.com"
AROUND: list[tuple[dict[str, Any], dict[str, str], str | None]] = [
    ({"model": "openai/gpt-4o"}, {"OPENAI_BASE_URL": AWAY}, None),
    ({"model": "openai/gpt-4o"}, {"OPENAI_API_BASE": HERE}, "local"),
    ({"model": "openai/gpt-4o"}, {"OPENAI_BASE_URL": HERE, "OPENAI_API_BASE": AWAY}, None),
    ({"model": "openai/gpt-4o", "api_base": HERE}, {"OPENAI_BASE_URL": AWAY}, "local"),
    ({"model": "openai/gpt-4o"}, {"litellm.api_base": HERE}, "local"),
    ({"model": "ollama_chat/llama3.1"}, {"OLLAMA_API_BASE": AWAY}, None),
    ({"model": "ollama_chat/llama3.1"}, {"OLLAMA_CHAT_API_BASE": AWAY}, None),
    ({"model": "ollama/llama3.1", "api_base": HERE}, {"litellm.api_base": AWAY}, None),
    ({"model": "groq/llama"}, {"GROQ_BASE_URL": HERE}, None),
    ({"model": "groq/llama"}, {"GROQ_API_BASE": HERE}, "local"),
    (FRANKFURT, {"AWS_BEDROCK_RUNTIME_ENDPOINT": "https://bedrock-runtime.us-east-1.amazonaws.com"}, None),
    (FRANKFURT, {"AWS_BEDROCK_RUNTIME_ENDPOINT": "https://bedrock-runtime.eu-central-1.amazonaws.com"}, "de"),
    ({**FRANKFURT, "api_base": HERE}, {"AWS_BEDROCK_RUNTIME_ENDPOINT": AWAY}, None),
    (FRANKFURT, {"BEDROCK_API_BASE": HERE}, None),
    (FRANKFURT, {"USE_LITELLM_PROXY": "True"}, None),
    ({"model": "vertex_ai/gemini", "vertex_location": "europe-west3"}, {"VERTEXAI_API_BASE": AWAY}, None),
    ({"model": "vertex_ai/gemini", "vertex_location": "europe-west3"}, {"OPENAI_BASE_URL": AWAY}, "de"),
]


@pytest.mark.parametrize(("params", "around", "place"), AROUND, ids=str)
def test_an_address_of_the_environment_counts_as_litellm_reads_it(
    monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], around: dict[str, str], place: str | None
) -> None:
    """What it reads instead of a written one, for every deployment that has none, or perhaps: then nobody can tell."""
    for name, address in around.items():
        if name == "litellm.api_base":
            monkeypatch.setattr(litellm, "api_base", address)
        else:
            monkeypatch.setenv(name, address)

    assert location_of({"model_name": "g", "litellm_params": params}) == place


def test_a_region_of_google_is_the_one_that_litellm_asks() -> None:
    """Its price list sends what a region has not got to another one, whatever the deployment says."""
    names = [name for name in litellm.model_cost if name.startswith("vertex_ai/")]
    moved = 0
    for name in names:
        asked = VertexBase.get_vertex_region("europe-west3", name.removeprefix("vertex_ai/"))
        (server,) = servers_of({"model": name, "vertex_location": "europe-west3"})

        assert server.regions == (asked,), name
        moved += asked != "europe-west3"
    assert moved, "LiteLLM's price list moves nothing any more"
    wrong = {"model": "vertex_ai/deepseek-ai/deepseek-v3.1-maas", "vertex_location": "europe-west3"}
    assert location_of({"litellm_params": wrong}) != "de"


@pytest.mark.parametrize(
    ("call", "place"),
    [
        (CallTypes.acompletion, "de"),
        (CallTypes.aimage_generation, "de"),
        (CallTypes.aspeech, "eu"),
        (CallTypes.arerank, None),
        (None, "de"),
    ],
)
def test_a_call_that_litellm_takes_to_another_api_has_that_ones_place(
    call: CallTypes | None, place: str | None
) -> None:
    """Of Vertex deployments, whatever else they answer; what an operator noted holds for all calls."""
    params = {"model": "vertex_ai/gemini-2.5-flash", "vertex_location": "europe-west3"}
    entry = {"litellm_params": params, "model_info": {"id": "v"}}
    noted = {"litellm_params": params, "model_info": {"id": "n", "neuronode": {"location": "fr"}}}
    locations = Locations(lambda: (entry, noted, {"litellm_params": FRANKFURT, "model_info": {"id": "b"}}))

    assert [locations.of(name, call) for name in ("v", "n", "b", "none")] == [place, "fr", "de", None]


@pytest.mark.parametrize("kept", [Kept({"active": ("eu",)}, {})], indirect=True)
@pytest.mark.parametrize("asks", ["arerank", "acompletion"])
async def test_what_is_ranked_abroad_is_refused(way: Way, asks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM ranks by an API of Google's that is anywhere, also for a deployment in Frankfurt."""
    params = {"model": "vertex_ai/gemini-2.5-flash", "vertex_location": "europe-west3"}
    way.live.add_deployment(Deployment(model_name="vertex", litellm_params=params, model_info={"id": "v"}))
    user = UserAPIKeyAuth(api_key="ordinary")
    data = {
        "model": "vertex",
        "query": "q",
        "documents": ["d"],
        "messages": [{"role": "user", "content": "hi"}],
        "metadata": {},
    }
    await way.admission.async_pre_call_hook(user, DualCache(), data, asks)
    kwargs = {"model": "vertex", "model_info": {"id": "v"}}

    async def attempt() -> None:
        for callback in litellm.callbacks:
            if isinstance(callback, gate.Gate):
                await callback.async_pre_call_deployment_hook(kwargs, CallTypes(asks))

    if asks == "acompletion":
        await attempt()
    else:
        with pytest.raises(HTTPException) as refusal:
            await attempt()
        assert refusal.value.status_code == 403


@pytest.mark.parametrize(
    ("written", "read"), [(None, ()), ("eu", ("eu",)), (["de", "us"], ("de", "us")), ({"x": 1}, ("local",))]
)
def test_a_team_requires_what_its_metadata_says(written: object, read: tuple[str, ...]) -> None:
    """Only administrators write it; what the key's own metadata says counts nothing."""
    metadata = {} if written is None else {RESIDENCY: written}
    user = UserAPIKeyAuth(team_id="t", team_metadata=metadata, metadata={RESIDENCY: "us"})

    assert Identity(proxy=None, access=None).principal(user).residency == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, "allow"),
        ("allow", "allow"),
        ("local", "local"),
        ("refuse", "refuse"),
        ("lokal", "refuse"),
        ([], "refuse"),
    ],
)
def test_a_teams_metadata_says_what_becomes_of_personal_data(written: object, read: str) -> None:
    """What cannot be read is the strictest; what the key's own metadata says counts nothing."""
    metadata = {} if written is None else {PERSONAL_DATA: written}
    user = UserAPIKeyAuth(team_id="t", team_metadata=metadata, metadata={PERSONAL_DATA: "allow"})

    assert Identity(proxy=None, access=None).principal(user).personal_data == read
