"""Requests that LiteLLM has answered are asked once more of another profile's groups: by its router, on no key."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import litellm
import pytest
from litellm.caching.caching import DualCache
from litellm.constants import LITTELM_INTERNAL_HEALTH_SERVICE_ACCOUNT_NAME as ACCOUNT
from litellm.integrations.custom_logger import CustomLogger
from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.route_llm_request import route_request
from litellm.proxy.utils import ProxyLogging

from neuronode_router.access import Principal, Role
from neuronode_router.background import Failures
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileSet
from neuronode_router.domain.rules import PersonalDataRule
from neuronode_router.domain.shadows import Shadow
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin.auth.group_access import GroupAccess
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks.mirroring import HELD_SECONDS, MirrorHooks
from neuronode_router.litellm_plugin.hooks.usage import Groups, UsageHooks
from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.litellm_plugin.router.judging import JudgedGroups
from neuronode_router.litellm_plugin.router.mirroring import NAME, MirroredGroups
from neuronode_router.litellm_plugin.router.model_facts import with_model_facts
from neuronode_router.routing.inventory import read_inventory
from neuronode_router.routing.snapshot import build_snapshot
from neuronode_router.shadows.mirror import Mirror
from neuronode_router.shadows.pairs import PairSums
from neuronode_router.shadows.store import SetAside, ShadowBatch, ShadowStore
from neuronode_router.usage.buffer import UsageBuffer
from tests.host.admitted import admission_over
from tests.host.routers import bridged, deployment, measured, router
from tests.host.test_gate import guarded
from tests.support.upstream import Upstream
from tests.support.waiting import eventually

PRICED = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
QUESTION = "Which city is that?"
NEVER = 4e9
SHADOW = Shadow("s-1", "other", "ab" * 16, share=1000, until=NEVER, budget_usd=1.0, concurrency=2)


def says(text: str) -> str:
    """Return what has the fake provider say a text once, as a part of a deployment's name."""
    return f"words-1-say-{base64.urlsafe_b64encode(text.encode()).decode()}"


NAMES = {
    "chat_active": "active-" + says("Berlin"),
    "chat_other": "other-" + says("The city is: berlin."),
    "claude_active": "claude-" + says("Berlin"),
    "claude_other": "claude-other-" + says("Bonn"),
    "broken": "out-fail-503",
    "narrow": "narrow",
    "unpriced": "unpriced",
    "judge": "judge-" + says('{"better": "both"}'),
    "tier": "tier",
}
"""The fake provider's name of each group's deployment."""
TASKS = {
    "active": {"chat": "chat_active", "claude": "claude_active"},
    "other": {"chat": "chat_other", "claude": "claude_other"},
}
LOST: dict[str, str] = {
    "summary": "broken",
    "strategy": "narrow",
    "research": "unpriced",
    "code": "chat_active",
}
"""Tasks that `chat_active` answers, and where the other profile sends them."""


class FakeStore(ShadowStore):
    """The store in memory: it has a budget, and adds up what it is given."""

    def __init__(self) -> None:
        self.left = 10**9
        self.most: list[int] = []
        self.found: dict[tuple[str, str], PairSums] = {}
        self.kept: list[Mapping[str, Any]] = []

    def set_aside(self, name: str, nano: int) -> SetAside:
        """Take it off the budget."""
        self.most.append(nano)
        allowed = nano <= self.left
        self.left -= nano if allowed else 0
        return SetAside.DONE if allowed else SetAside.TOO_MUCH

    def add(self, worker: str, batch: ShadowBatch) -> bool:
        """Add up."""
        for key, sums in batch.found.items():
            self.found.setdefault(key, PairSums()).merge(sums)
        self.left += batch.unspent_nano
        self.kept += [document for _, document in batch.samples]
        return True


class Spender(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """Notes who pays for which group, and under which tags."""

    def __init__(self) -> None:
        super().__init__()
        self.paid: list[tuple[Any, ...]] = []

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        request = kwargs["litellm_params"]
        about = request.get("litellm_metadata") or request["metadata"]
        keys = ("user_api_key", "user_api_key_alias", "tags")
        self.paid.append((about["model_group"], *(about.get(key) for key in keys)))


def profile(name: str) -> Profile:
    """Return one of the two profiles."""
    lost = dict.fromkeys(LOST, "chat_active") if name != "other" else LOST
    return Profile(
        name=name,
        description="",
        cost_level="low",
        performance_level="good",
        tasks=TASKS.get(name, TASKS["active"]) | lost,
        tiers=dict.fromkeys(Tier, ("tier",)),
    )


class Bench:
    """A proxy's hooks over a router, and a comparison that runs."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.live = router([self._entry(url, group, name) for group, name in NAMES.items()])
        monkeypatch.setattr("litellm.proxy.proxy_server.llm_router", self.live)
        self.bridge = bridge = bridged(self.live)
        self.current = CurrentSnapshot()
        self.deployments = Deployments(bridge)
        self.access = GroupAccess(bridge, proxy=proxy_server, group_of=self.deployments.group_of)
        self.callers: dict[str, Principal] = {}
        self.admission = admission_over(bridge, self.current, self.access, self._principal)
        self.store, self.failures = FakeStore(), Failures()
        self.mirror = Mirror(
            asks=MirroredGroups(
                bridge,
                hooks=lambda: self.hooks,
                inventory=lambda: read_inventory(with_model_facts(bridge.entries())),
                judges=JudgedGroups(bridge),
                chance=lambda: 0.1,
            ),
            store=self.store,
            worker="w",
            failures=self.failures,
        )
        self.now = 7.0
        self.hooks = MirrorHooks(self.mirror, clock=lambda: self.now)
        self.admission.mirrored = self.hooks.choose
        self.buffer, self.spender = UsageBuffer(), Spender()
        self.usage = UsageHooks(
            buffer=self.buffer, groups=Groups(self.deployments.served_by, set(NAMES).__contains__)
        )
        self.logging = ProxyLogging(user_api_key_cache=DualCache())
        self.run(SHADOW)

    def run(self, shadow: Shadow | None, **rules: Mapping[str, Any]) -> None:
        """Serve a revision by which this comparison runs; profiles have these rules for data."""
        made = {name: profile(name) for name in ("active", "other", "balanced")}
        profiles = ProfileSet({name: replace(each, **rules.get(name, {})) for name, each in made.items()})
        state = ControlState(1, "active", profiles, committed_at=0.0, shadow=shadow)
        self.current.take(build_snapshot(state, HostFacts(groups=frozenset(NAMES))))

    async def ask(
        self, task: str = "chat", wire: str = "acompletion", *, caller: str = "ordinary", **body: Any
    ) -> None:
        """Send one request and read its answer to the end."""
        bucket = "metadata" if wire == "acompletion" else "litellm_metadata"
        said = (
            {"input": QUESTION}
            if wire == "aresponses"
            else {"messages": [{"role": "user", "content": QUESTION}]}
        )
        client = {"model": task, **said, **body}
        user = UserAPIKeyAuth(api_key=caller, models=["chat", "claude_active"] if caller == "listed" else [])
        data: dict[str, Any] = {
            **client,
            bucket: {"user_api_key_auth": user, "user_api_key_hash": caller},
            "litellm_call_id": f"call-{len(self.spender.paid)}",
            "proxy_server_request": {"body": dict(client), "headers": {}},
        }
        admitted = await self.logging.pre_call_hook(user, data, wire)  # type: ignore[call-overload]
        try:
            answer = await (await route_request(admitted, self.live, None, wire))
            if body.get("stream"):
                async for _ in answer:
                    pass
        except Exception as error:  # noqa: BLE001  LiteLLM's classes differ by release
            await self.hooks.async_post_call_failure_hook(admitted, error, user)

    def move(self, group: str, place: str) -> None:
        """Note that the deployments of a group are elsewhere than here."""
        for entry in self.bridge.entries():
            if entry["model_name"] == group:
                entry["model_info"]["neuronode"] = {"location": place}

    async def settled(self, number: int) -> dict[tuple[str, str], PairSums]:
        """Wait until so many requests were counted and return what was found, by profile and task."""

        def counted() -> int:
            found = (*self.store.found.values(), *self._pending())
            return sum(sums.counts["sampled"] for sums in found)

        await eventually(lambda: counted() >= number)
        await eventually(lambda: not self.mirror.status()["shadow_running"])
        await self.mirror.flush()
        return self.store.found

    def _pending(self) -> Iterator[PairSums]:
        for found in self.mirror._found.values():
            yield from found.sums.values()

    def _principal(self, user: UserAPIKeyAuth) -> Principal:
        known = Principal("somebody", Role.MEMBER)
        return self.callers.get(user.api_key or "", known)

    @staticmethod
    def _entry(url: str, group: str, name: str) -> dict[str, Any]:
        provider = "anthropic" if group.startswith("claude") else "openai"
        info: dict[str, Any] = {"id": f"id-{group}"} | ({} if group == "unpriced" else PRICED)
        if group == "narrow":
            info["neuronode"] = {"context_window": 600}
        base = url if provider == "anthropic" else f"{url}/v1"
        return deployment(group, name, base, provider=provider, info=info)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """The fake provider."""
    with Upstream() as provider:
        yield provider


@pytest.fixture
async def bench(upstream: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Bench]:
    """One with all hooks in LiteLLM."""
    found = Bench(upstream.url, monkeypatch)
    with guarded(found.bridge, found.access, found.admission, found.current):
        for callback in (found.usage, found.hooks, found.spender):
            litellm.logging_callback_manager.add_litellm_callback(callback)
        yield found
        await found.mirror.stop()
    await close_litellm_async_clients()
    assert (found.hooks.failures.total, found.usage.failures.total, found.failures.total) == (0, 0, 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("task", ["chat", "claude"])
@pytest.mark.parametrize("wire", ["acompletion", "anthropic_messages", "aresponses"])
async def test_each_format_is_asked_once_more(
    bench: Bench, upstream: Upstream, wire: str, task: str, *, stream: bool
) -> None:
    """Once, in the client's format, on LiteLLM's own account; answers, times, and costs of both are known."""
    before = upstream.counts()
    limit = {"max_tokens": 60} if wire == "anthropic_messages" else {}

    await bench.ask(task, wire, stream=stream, **limit)
    (sums,) = (await bench.settled(1)).values()

    counts = sums.counts
    assert (counts["answered"], counts["compared.short"]) == (1, 1), counts
    assert counts["agreed.short"] == (task == "chat")
    assert counts["priced"] == 1
    assert set(sums.buckets) == {"latency.client", "latency.other", "length"} | (
        {"first_token.client", "first_token.other"} if stream else set()
    )
    after = upstream.counts()
    asked = {NAMES[f"{task}_active"], NAMES[f"{task}_other"]}
    assert {name for name in after if after[name]["requests"] > before[name]["requests"]} == asked
    # Of what an earlier test has asked LiteLLM may tell late.
    await eventually(lambda: f"{task}_other" in {paid[0] for paid in bench.spender.paid})
    assert (f"{task}_other", ACCOUNT, NAME, [NAME]) in bench.spender.paid
    batch = bench.buffer.take()
    assert batch is not None
    seen = {each.key.chosen_group: (each.key.reason, each.key.team) for each in batch.requests}
    assert (seen[f"{task}_active"], seen[f"{task}_other"]) == (("active_profile", ""), ("mirror", ""))


SKIPPED: list[tuple[str, str, dict[str, Any], str]] = [
    ("code", "acompletion", {}, "same_group"),
    ("strategy", "acompletion", {"messages": [{"role": "user", "content": "word " * 700}]}, "window"),
    ("research", "acompletion", {}, "unpriced"),
    ("chat", "acompletion", {"n": 2}, "unrepeatable"),
    ("chat", "acompletion", {"store": True}, "unrepeatable"),
    ("chat", "acompletion", {"tools": [{"type": "web_search"}]}, "unrepeatable"),
    ("chat", "acompletion", {"extra_body": {"x": 1}}, "unrepeatable"),
    ("chat", "acompletion", {"messages": [{"role": "user", "content": "word " * 40_000}]}, "too_long"),
    ("chat", "aresponses", {"store": True}, "unrepeatable"),
    ("chat", "acompletion", {"messages": [{"role": "user", "content": "fail-503"}]}, "client_failed"),
    ("chat", "acompletion", {"mock_response": "redacted-by-litellm"}, "redacted"),
]


@pytest.mark.parametrize(
    ("task", "wire", "body", "why"), SKIPPED, ids=[f"{one[3]}-{one[1]}" for one in SKIPPED]
)
async def test_what_is_not_asked_again_is_counted(
    bench: Bench, upstream: Upstream, task: str, wire: str, body: dict[str, Any], why: str
) -> None:
    """By its reason, and nobody is asked but for the client; nothing is spent."""
    before = upstream.counts()

    await bench.ask(task, wire, **body)
    (sums,) = (await bench.settled(1)).values()

    assert dict(+sums.counts) == {"sampled": 1, f"skipped.{why}": 1}
    after = upstream.counts()
    assert {name for name in after if after[name]["requests"] > before[name]["requests"]} <= {
        NAMES["chat_active"]
    }
    assert (bench.store.left, bench.store.most) == (10**9, [])


@pytest.mark.parametrize(
    ("caller", "principal", "why"),
    [
        ("capped", Principal("somebody", Role.MEMBER, max_tier=Tier.FAST), None),
        ("confined", Principal("somebody", Role.MEMBER, residency=("de",)), "residency"),
        ("local", Principal("somebody", Role.MEMBER, residency=("local",)), None),
        ("listed", Principal("somebody", Role.MEMBER), None),
    ],
)
async def test_it_goes_only_where_the_caller_may(
    bench: Bench, caller: str, principal: Principal, why: str | None
) -> None:
    """A mapping is a grant and a name on the key's list another; where the data must not go nobody is asked."""
    bench.callers[caller] = principal
    if caller == "confined":
        bench.move("chat_other", "us")

    await bench.ask("chat", caller=caller)
    (sums,) = (await bench.settled(1)).values()

    assert sums.counts[f"skipped.{why}"] == (why is not None)
    assert sums.counts["answered"] == (why is None)


@pytest.mark.parametrize(
    ("rule", "moved", "answered"),
    [("allow", True, True), ("local", False, True), ("local", True, False), ("refuse", False, False)],
)
async def test_personal_data_goes_only_where_the_other_profile_has_it(
    bench: Bench, rule: str, moved: bool, answered: bool
) -> None:
    """What that profile would keep at home or refuse is not asked of a group elsewhere, or at all."""
    bench.run(SHADOW, other={"personal_data": PersonalDataRule(rule)})
    if moved:
        bench.move("chat_other", "us")
        bench.move("tier", "us")

    await bench.ask(
        "chat", messages=[{"role": "user", "content": "Write to anna.muster@example.org, please."}]
    )
    (sums,) = (await bench.settled(1)).values()

    assert dict(+sums.counts).get("skipped.residency", 0) == (not answered)
    assert sums.counts["answered"] == answered


@pytest.mark.parametrize("moved", [True, False])
@pytest.mark.parametrize(
    "rule",
    [{"residency": ("local",)}, {"personal_data": PersonalDataRule.LOCAL}],
    ids=["residency", "personal"],
)
async def test_what_a_fallback_makes_strict_is_asked_again_as_strictly(
    bench: Bench, rule: dict[str, Any], *, moved: bool
) -> None:
    """A fallback of a stricter profile holds the whole request, and the comparison is one more way of it."""
    bench.run(SHADOW, balanced=rule)
    bench.callers["chooses"] = Principal("somebody", Role.MEMBER, profiles=("balanced",))
    for group in ("chat_other", "tier") if moved else ():
        bench.move(group, "us")

    await bench.ask(
        "chat",
        caller="chooses",
        messages=[{"role": "user", "content": "Write to anna.muster@example.org, please."}],
        fallbacks=["balanced/chat"],
    )
    (sums,) = (await bench.settled(1)).values()

    assert dict(+sums.counts).get("skipped.residency", 0) == moved
    assert sums.counts["answered"] == (not moved)


async def test_a_list_that_names_neither_keeps_the_caller_out(bench: Bench) -> None:
    """The key may ask for the group that answers it, and not for the one that the other profile would ask."""
    await bench.ask("claude", caller="listed")
    await bench.ask("chat", caller="listed")
    found = await bench.settled(2)

    assert found["active", "chat"].counts["answered"] == 1
    assert dict(+found["active", "claude"].counts) == {"sampled": 1, "skipped.access": 1}


async def test_the_gate_stands_before_what_is_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should its own question be passed over, the one gate refuses all the same."""
    monkeypatch.setattr("neuronode_router.litellm_plugin.hooks.asking.Asking.stays", lambda *_: True)
    monkeypatch.setattr("neuronode_router.litellm_plugin.router.mirroring.why_not", lambda *_: None)
    bench.callers["confined"] = Principal("somebody", Role.MEMBER, residency=("de",))
    bench.move("chat_other", "us")

    await bench.ask("chat", caller="confined")
    (sums,) = (await bench.settled(1)).values()

    assert dict(+sums.counts) == {"sampled": 1, "failed.refused_residency": 1}
    assert bench.store.left == 10**9, "who is refused here costs nothing"


async def test_a_group_that_fails_is_asked_once(bench: Bench, upstream: Upstream) -> None:
    """Without retries and fallbacks; its error is counted by its class, and all that was set aside counts as spent."""
    before = upstream.counts()["out-fail-503"]["requests"]

    await bench.ask("summary")
    (sums,) = (await bench.settled(1)).values()

    assert dict(+sums.counts) == {"sampled": 1, "failed.unavailable": 1}
    assert upstream.counts()["out-fail-503"]["requests"] - before == 1
    assert bench.store.left == 10**9 - bench.store.most[0]


async def test_what_was_set_aside_and_not_spent_comes_back(bench: Bench) -> None:
    """What is spent is what LiteLLM says, which is no more than was set aside."""
    await bench.ask()
    (sums,) = (await bench.settled(1)).values()

    assert 10**9 - bench.store.left == sums.counts["cost.other"] < bench.store.most[0]


async def test_without_budget_nobody_is_asked(bench: Bench, upstream: Upstream) -> None:
    """It says so, and that the budget is used up."""
    bench.store.left = 0
    before = upstream.counts()[NAMES["chat_other"]]["requests"]

    await bench.ask()
    (sums,) = (await bench.settled(1)).values()

    assert dict(+sums.counts) == {"sampled": 1, "skipped.budget": 1}
    assert (set(bench.mirror.spent), upstream.counts()[NAMES["chat_other"]]["requests"]) == ({"s-1"}, before)


async def test_a_judge_says_whether_it_would_have_done(bench: Bench) -> None:
    """Blind, and paid from the same budget; of keys with a list it sees nothing."""
    bench.run(replace(SHADOW, judge="judge", sample_text=True))

    await bench.ask()
    await bench.settled(1)
    await bench.ask(caller="listed")
    (sums,) = (await bench.settled(2)).values()

    assert (sums.counts["judged"], sums.counts["judged.enough"], sums.counts["judge_failed"]) == (1, 1, 0)
    assert 10**9 - bench.store.left > sums.counts["cost.other"]
    assert bench.store.most[0] > bench.store.most[1]
    kept = {name: bench.store.kept[0][name] for name in ("asked", "client", "other", "agrees")}
    assert kept == {"asked": QUESTION, "client": "Berlin", "other": "The city is: berlin.", "agrees": True}


@pytest.mark.parametrize(
    ("content", "rule", "kept"),
    [
        (QUESTION, PersonalDataRule.ALLOW, True),
        (QUESTION, PersonalDataRule.LOCAL, False),
        ("Write to anna.muster@example.org, please.", PersonalDataRule.ALLOW, False),
    ],
)
async def test_texts_with_personal_data_are_never_samples(
    bench: Bench, content: str, rule: PersonalDataRule, kept: bool
) -> None:
    """Nor are those of a key that has a rule; they are compared all the same."""
    bench.callers["somebody"] = Principal("somebody", Role.MEMBER, personal_data=rule)
    bench.run(replace(SHADOW, sample_text=True))

    await bench.ask(caller="somebody", messages=[{"role": "user", "content": content}])
    (sums,) = (await bench.settled(1)).values()

    assert sums.counts["answered"] == 1
    assert len(bench.store.kept) == kept


async def test_what_is_asked_again_is_not_measured(bench: Bench) -> None:
    """The health of deployments is judged by clients' requests."""
    with measured(bench.live) as seen:
        await bench.ask()
        await bench.settled(1)
        await seen.settled(1)
        assert seen.counted().keys() == {"id-chat_active"}


@pytest.mark.parametrize(
    ("later", "last", "word"),
    [(HELD_SECONDS, False, "untold"), (0.0, True, "ended")],
    ids=["late", "stopped"],
)
async def test_what_litellm_never_tells_of_is_let_go(
    bench: Bench, later: float, word: str, *, last: bool
) -> None:
    """A request whose end nobody hears of is not held for ever, and none when the worker stops."""
    user = UserAPIKeyAuth(api_key="ordinary")
    data = {"model": "chat", "messages": [], "litellm_call_id": "c", "metadata": {"user_api_key_auth": user}}
    await bench.logging.pre_call_hook(user, data, "acompletion")  # type: ignore[call-overload]
    bench.hooks.sweep()
    held = len(bench.hooks._held)
    bench.now += later

    bench.hooks.sweep(last=last)
    (sums,) = (await bench.settled(1)).values()

    assert (held, len(bench.hooks._held)) == (1, 0)
    assert dict(+sums.counts) == {"sampled": 1, f"skipped.{word}": 1}


@pytest.mark.parametrize(
    "shadow",
    [None, replace(SHADOW, share=0), replace(SHADOW, until=1.0), replace(SHADOW, tasks=("summary",)),
     replace(SHADOW, profile="active")],
    ids=["none", "no share", "over", "another task", "the same profile"],
)  # fmt: skip
async def test_other_requests_are_left_alone(bench: Bench, upstream: Upstream, shadow: Shadow | None) -> None:
    """Nothing is held, counted or asked: a later request that is chosen is the first."""
    bench.run(shadow)
    await bench.ask()
    assert not bench.hooks._held
    bench.run(SHADOW)
    await bench.ask()

    (sums,) = (await bench.settled(1)).values()

    assert sums.counts["sampled"] == 1
