"""What admission is told of a conversation, and what it remembers of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from neuronode_router.background import Failures
from neuronode_router.domain.decisions import Decision, Step
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin.hooks import moving
from neuronode_router.litellm_plugin.hooks.keeping import Keeper, KeeperHost, staying
from neuronode_router.litellm_plugin.hooks.moving import Target
from neuronode_router.routing.caches import CacheShares
from neuronode_router.routing.conversations import Conversations
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

    def ask(self, now: Snapshot, name: str, group: str, tier: Tier | None = None) -> Decision:
        """Send a request that `auto`, or the task, would send to `group`; return where it went."""
        self.turns.append({"role": "user", "content": "go on"})
        talk = self.keeper.look(
            {"messages": self.turns}, "acompletion", caller="me", session=None, continues=None
        )
        decision = replace(now.decisions[name], group=group, tier=tier)
        kept = self.keeper.kept(talk, now.decisions[name], now)
        if kept is not None:
            decision = replace(staying(decision, kept), tier=kept.tier)
        known = self.keeper.sent(talk, decision, now)
        assert known is not None
        self.keeper.answered((bytes.fromhex(known[0]), known[1]), decision.group)
        self.turns.append({"role": "assistant", "content": "yes"})
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


async def test_only_the_clients_own_call_is_changed() -> None:
    """A guardrail's call, and the call into which LiteLLM translates another, are not the conversation's."""
    hook = moving.MovedHistory(target=lambda name: Target(name, name, frozenset()), failures=Failures())
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
