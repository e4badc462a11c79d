"""What admission is told of a conversation, and what it remembers of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import litellm
import pytest

from neuronode_router.background import Failures
from neuronode_router.domain.decisions import Decision, Step
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin.hooks import moving
from neuronode_router.litellm_plugin.hooks.answers import turns_of
from neuronode_router.litellm_plugin.hooks.keeping import Keeper, KeeperHost, staying
from neuronode_router.litellm_plugin.hooks.moving import Target
from neuronode_router.routing.caches import CacheShares
from neuronode_router.routing.conversations import Conversations, Sent
from neuronode_router.routing.growth import Marks, marks_of
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from tests.support.clock import Clock
from tests.support.control import GROUPS, make_profile

LADDERS = {
    "balanced": {Tier.FAST: "chat_balanced", Tier.MEDIUM: "chat_balanced", Tier.COMPLEX: "chat_premium"},
    "premium": {Tier.FAST: "tier", Tier.MEDIUM: "chat_premium", Tier.COMPLEX: "chat_cost_effective"},
}
TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]


def snapshot(active: str, revision: int) -> Snapshot:
    profiles = {
        name: replace(make_profile(name), tiers={tier: (group,) for tier, group in ladder.items()})
        for name, ladder in LADDERS.items()
    }
    state = ControlState(revision, active, ProfileSet(profiles), committed_at=Clock().now)
    return build_snapshot(state, HostFacts(groups=GROUPS))


class AskedKeeper:
    """A keeper, and one client's conversation."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.caches = CacheShares()
        self.well = True
        host = KeeperHost(
            group_of=lambda name: name,
            is_well=lambda _: self.well,
            target=lambda name: Target(name, name, None),
        )
        self.keeper = Keeper(Conversations(secret=lambda: b"s", clock=self.clock), self.caches, host)
        self.turns = list(TURNS)

    def ask(
        self, now: Snapshot, name: str, group: str, tier: Tier | None = None, *, said: str = "yes"
    ) -> Decision:
        """Send a request that `auto`, or the task, would send to `group`; return where it went."""
        self.turns.append({"role": "user", "content": "go on"})
        talk = self.keeper.look(
            {"messages": self.turns}, "acompletion", caller="me", session=None, continues=None
        )
        decision = replace(now.decisions[name], group=group, tier=tier)
        kept = self.keeper.kept(talk, now.decisions[name], now)
        if kept is not None:
            decision = replace(staying(decision, kept), tier=kept.tier)
        sent = self.keeper.sent(talk, decision, now)
        self.turns.append({"role": "assistant", "content": said})
        self.keeper.ended(sent, decision.group, self.turns[-1:])
        return decision


def test_an_auto_conversation_stays_though_the_other_ladder_has_its_group() -> None:
    """It would go elsewhere there; back under its own profile `auto` decides again."""
    asked = AskedKeeper()
    before, after, back = snapshot("balanced", 1), snapshot("premium", 2), snapshot("balanced", 3)
    asked.ask(before, "auto", "chat_premium", Tier.COMPLEX)

    for _ in range(3):
        found = asked.ask(after, "auto", "chat_cost_effective", Tier.COMPLEX)
        assert (found.group, found.steps) == ("chat_premium", (Step.KEPT,))

    assert asked.ask(back, "auto", "chat_balanced", Tier.FAST).group == "chat_balanced"


def test_it_moves_when_its_group_is_gone_or_it_was_silent_for_long() -> None:
    """And then stays where it went."""
    asked = AskedKeeper()
    after = snapshot("premium", 2)
    asked.ask(snapshot("balanced", 1), "chat", "chat_balanced")
    assert asked.ask(after, "chat", "chat_premium").group == "chat_balanced"

    asked.well = False
    assert asked.ask(after, "chat", "chat_premium").group == "chat_premium"
    asked.well = True
    assert asked.ask(after, "chat", "chat_premium").steps == ()

    silent = AskedKeeper()
    silent.ask(snapshot("balanced", 1), "chat", "chat_balanced")
    silent.clock.now += 601
    assert silent.ask(after, "chat", "chat_premium").group == "chat_premium"


def test_a_cache_is_worth_something_while_it_is_warm() -> None:
    """To a conversation of `auto` in the profile in force, whose group's provider caches, for five minutes."""
    asked = AskedKeeper()
    now = snapshot("balanced", 1)
    asked.ask(now, "auto", "chat_premium", Tier.COMPLEX)

    def warm() -> Any:
        body = {"messages": asked.turns}
        talk = asked.keeper.look(body, "acompletion", caller="me", session=None, continues=None)
        return asked.keeper.warm(talk, now.decisions["auto"])

    assert warm() is None
    asked.caches.saw("chat_premium", prompt=100, cached=80)
    assert (warm().tier, warm().share) == (Tier.COMPLEX, pytest.approx(0.8))
    asked.clock.now += 301
    assert warm() is None


def test_a_conversation_that_never_pauses_moves_an_hour_after_the_switch() -> None:
    """From the revision on that left it there; one that came since, and keeps it too, gives it no further hour."""
    asked, after = AskedKeeper(), snapshot("premium", 2)
    asked.ask(snapshot("balanced", 1), "chat", "chat_balanced")
    went = []

    for _ in range(13):
        asked.clock.now += 300
        went.append(asked.ask(after, "chat", "chat_premium").group)
        after = replace(after, state=replace(after.state, committed_at=asked.clock.now))

    assert went == ["chat_balanced"] * 12 + ["chat_premium"]
    assert asked.ask(after, "chat", "chat_premium").steps == ()


def test_each_agent_of_those_that_share_their_examples_stays_where_it_is() -> None:
    """One that begins after the switch takes none of the others along."""
    host = AskedKeeper()
    shots = [*TURNS, {"role": "user", "content": "review"}]
    first, second = list(shots), list(shots)
    before, after = snapshot("balanced", 1), snapshot("premium", 2)
    host.turns = first
    host.ask(before, "chat", "chat_balanced", said="first")
    host.turns = second
    assert host.ask(after, "chat", "chat_premium", said="second").steps == ()

    host.turns = first
    assert host.ask(after, "chat", "chat_premium").group == "chat_balanced"
    host.turns = second
    assert host.ask(after, "chat", "chat_premium").steps == ()


async def test_an_ended_answer_is_noted_with_who_ended_it() -> None:
    """As LiteLLM logs it, of streams too; requests that belong to no conversation are passed over."""
    noted: list[Any] = []
    host = moving.MoveHost(lambda _: None, lambda *told: noted.append(told))
    hook = moving.MovedHistory(host, failures=Failures())
    message = litellm.Message(
        role="assistant", content="yes", thinking_blocks=[{"type": "thinking", "signature": "s"}]
    )
    answer = litellm.ModelResponse(choices=[litellm.Choices(message=message)])
    sent = Sent("6b", "r", 1, -1)

    for mark in ({"conversation": list(sent)}, {"conversation": None}, {}):
        kwargs = {
            "litellm_params": {"metadata": {"neuronode": mark}},
            "standard_logging_object": {"model_id": "d"},
        }
        await hook.async_log_success_event(kwargs, answer, None, None)

    assert [told[:2] for told in noted] == [(sent, "d")]
    assert marks_of(noted[0][2]) == Marks("s", "", "yes")


@pytest.mark.parametrize(
    ("answer", "marks"),
    [
        (litellm.ResponsesAPIResponse(id="r", created_at=1, output=[
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"},
            {"type": "message", "id": "m", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "yes", "annotations": []}]},
        ]), Marks("e", "", "yes")),
        (
            {"content": [{"type": "thinking", "signature": "s"}, {"type": "tool_use", "id": "toolu_1"}]},
            Marks("s", "toolu_1"),
        ),
        (litellm.EmbeddingResponse(), Marks()),
        (None, Marks()),
    ],
)  # fmt: skip
def test_answers_of_every_format_are_known_by_the_same(answer: object, marks: Marks) -> None:
    """Whatever LiteLLM hands over; what is none has nothing to be known by."""
    assert marks_of(turns_of(answer)) == marks


@pytest.mark.parametrize(
    ("named", "goes"),
    [
        ({"model": "anthropic/claude-sonnet-4-5"}, True),
        ({"model": "bedrock/arn:aws:bedrock:eu-central-1:1:application-inference-profile/x"}, True),
        (
            {"model": "bedrock/x", "model_info": {"id": "new", "base_model": "anthropic.claude-sonnet-4-5"}},
            True,
        ),
        ({"model": "openai/gpt-5", "model_info": {"id": "new", "base_model": None}}, False),
    ],
)
async def test_who_wants_a_thought_before_a_call_is_known_by_any_of_its_names(
    named: dict[str, Any], goes: bool
) -> None:
    """A profile of Bedrock's names no model, an operator's note may."""
    hook = moving.MovedHistory(moving.MoveHost(lambda name: Target(name, name, None)), failures=Failures())
    called = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]}
    kwargs = {
        "model_info": {"id": "new"},
        "messages": [TURNS[0], called],
        "thinking": {"type": "enabled"},
        **named,
    }
    moving.begin(moving.Journey(made=(), trusting=False))

    found = await hook.async_pre_call_deployment_hook(kwargs, "anthropic_messages")
    moving.begin(None)

    assert (found is not None and "thinking" not in found) is goes


async def test_an_operators_own_provider_has_no_responses_api() -> None:
    """LiteLLM does not know its name; the history is cleaned all the same, and the id is LiteLLM's to resolve."""
    failures = Failures()
    hook = moving.MovedHistory(moving.MoveHost(lambda name: Target(name, name, None)), failures=failures)
    item = {"type": "reasoning", "encrypted_content": "e"}
    kwargs = {
        "model": "m",
        "custom_llm_provider": "house",
        "model_info": {"id": "new"},
        "input": [TURNS[0], item],
    }
    moving.begin(moving.Journey(made=(), trusting=False, continues="old"))

    found = await hook.async_pre_call_deployment_hook({**kwargs, "previous_response_id": "r"}, "aresponses")
    moving.begin(None)

    assert failures.total == 0
    assert found is not None
    assert (found["input"], found["previous_response_id"]) == ([TURNS[0]], "r")


async def test_only_the_clients_own_call_is_changed() -> None:
    """A guardrail's call, and the call into which LiteLLM translates another, are not the conversation's."""
    host = moving.MoveHost(lambda name: Target(name, name, frozenset()))
    hook = moving.MovedHistory(host, failures=Failures())
    signed = {"role": "assistant", "content": "yes", "thinking_blocks": [{"type": "thinking"}]}
    kwargs: dict[str, Any] = {"model": "m", "model_info": {"id": "new"}, "messages": [TURNS[0], signed]}
    moving.begin(moving.Journey(made=(), trusting=False))

    inner = await hook.async_pre_call_deployment_hook(
        {**kwargs, "metadata": {"user": "guard"}}, "acompletion"
    )
    own = await hook.async_pre_call_deployment_hook(kwargs, "anthropic_messages")
    nested = await hook.async_pre_call_deployment_hook(kwargs, "acompletion")
    moving.begin(None)

    assert (inner, nested) == (None, None)
    assert own is not None
    assert own["messages"] == [TURNS[0], {"role": "assistant", "content": "yes"}]
    assert kwargs["messages"][1] is signed
    assert await hook.async_pre_call_deployment_hook(kwargs, "anthropic_messages") is None
