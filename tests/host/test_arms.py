"""Arms as admission gives them: a conversation stays in its own while the share grows, and its mark says which."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from neuronode_router.domain.decisions import Step
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.rollouts import Canary
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin.hooks.keeping import Keeper, KeeperHost, in_its_arm
from neuronode_router.litellm_plugin.hooks.moving import Target
from neuronode_router.litellm_plugin.hooks.request_metadata import answer_headers, counted_arm, stamp
from neuronode_router.routing.admit import admit
from neuronode_router.routing.arms import Placement
from neuronode_router.routing.caches import CacheShares
from neuronode_router.routing.conversations import Conversations
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from tests.support.clock import Clock
from tests.support.control import GROUPS, NAMES, make_profile


def snapshot(revision: int, share: int, since: float) -> Snapshot:
    """Return a revision that tries `premium` beside `balanced`."""
    canary = Canary("r-1", "premium", "a1" * 16, share=share, since=since)
    profiles = ProfileSet({name: make_profile(name) for name in NAMES})
    state = ControlState(revision, "balanced", profiles, committed_at=since, canary=canary)
    return build_snapshot(state, HostFacts(groups=GROUPS))


class Worker:
    """What one worker knows of conversations."""

    def __init__(self, clock: Clock) -> None:
        host = KeeperHost(
            group_of=lambda name: name, is_well=lambda _: True, target=lambda name: Target(name, name, None)
        )
        self.keeper = Keeper(Conversations(secret=lambda: b"s", clock=clock), CacheShares(), host)

    def ask(self, now: Snapshot, turns: list[dict[str, str]], **how: Any) -> tuple[str, Placement]:
        """Send a request of a conversation; return the group and where it was placed."""
        given = {"session": None, "continues": None} | how
        talk = self.keeper.look({"messages": turns}, "acompletion", caller="me", **given)
        placed = self.keeper.place(talk, now, name="chat", caller="me", session=given["session"])
        assert placed is not None
        decision = admit(now, "chat", wanted_profile=None, may_override=lambda _: False, tries=placed.tries)
        self.keeper.sent(talk, decision, now)
        return decision.group, placed


def said(number: int, turns: int) -> list[dict[str, str]]:
    """Return a conversation's turns, the last one the user's."""
    roles = ("user", "assistant")
    return [{"role": roles[turn % 2], "content": f"{number}, {turn}"} for turn in range(2 * turns - 1)]


def test_conversations_stay_in_their_arm_while_the_share_grows() -> None:
    """In the worker that knows them; those of an earlier step are not compared, new ones are."""
    clock = Clock()
    worker = Worker(clock)
    first, second = snapshot(2, 100, clock.now), snapshot(3, 900, clock.now + 100)

    before = [worker.ask(first, said(number, 1)) for number in range(100)]
    again = [worker.ask(first, said(number, 2)) for number in range(100)]
    clock.now += 200
    after = [worker.ask(second, said(number, 3)) for number in range(100)]
    new = [worker.ask(second, said(number, 1)) for number in range(100, 200)]

    assert before == again
    assert [group for group, _ in after] == [group for group, _ in before]
    assert not any(placed.compared for _, placed in after)
    assert 0 < sum(placed.tries for _, placed in before) < 30
    assert sum(placed.tries for _, placed in new) > 70
    assert all(placed.compared for _, placed in (*before, *new))


def test_another_worker_agrees() -> None:
    """It knows nothing of the conversation, and places it by the same hash."""
    clock = Clock()
    one, other = Worker(clock), Worker(clock)
    now = snapshot(2, 500, clock.now)

    found = [
        {one.ask(now, said(number, 1)), other.ask(now, said(number, 2)), one.ask(now, said(number, 3))}
        for number in range(50)
    ]

    assert all(len(each) == 1 for each in found)


def test_a_session_is_one_unit() -> None:
    """However many conversations it has, in any worker."""
    clock = Clock()
    now = snapshot(2, 500, clock.now)

    groups = {Worker(clock).ask(now, said(number, 1), session="s-1")[0] for number in range(20)}

    assert len(groups) == 1


@pytest.mark.parametrize(("group", "tried"), [("chat_premium", True), ("chat_balanced", False)])
def test_who_sends_only_the_last_answers_id_stays_where_that_came_from(group: str, *, tried: bool) -> None:
    """By the group that has it; it is not compared."""
    clock = Clock()
    now = snapshot(2, 500, clock.now)

    found = {Worker(clock).ask(now, said(number, 1), continues=group)[1] for number in range(20)}

    assert found == {Placement(tried, compared=False)}


def test_a_request_without_a_conversation_is_placed_by_its_caller() -> None:
    """All of a key's embeddings are in one arm; without a rollout nothing is placed."""
    keeper, now = Worker(Clock()).keeper, snapshot(2, 500, 0.0)

    callers = {
        name: {keeper.place(None, now, name="chat", caller=name, session=None) for _ in range(3)}
        for name in map(str, range(40))
    }

    assert all(len(found) == 1 for found in callers.values())
    assert len({found.pop() for found in callers.values()}) == 2
    nobody = build_snapshot(replace(now.state, canary=None), HostFacts(groups=GROUPS))
    assert keeper.place(None, nobody, name="chat", caller="me", session=None) is None


@pytest.mark.parametrize(
    ("compared", "steps", "header", "counted"),
    [
        (True, (), "canary", "canary"),
        (False, (), "canary", "canary_begun"),
        (True, (Step.KEPT,), None, ""),
    ],
)
def test_the_mark_tells_the_arm(
    compared: bool, steps: tuple[Step, ...], header: str | None, counted: str
) -> None:
    """In the answer's header and for usage; who stays with a third profile is in neither arm."""
    decision = in_its_arm(replace(snapshot(2, 500, 0.0).canary["chat"], steps=steps))
    data: dict[str, Any] = {"metadata": {}}

    stamp(data["metadata"], decision, tags=False, routed={"compared": compared})

    assert answer_headers(data, group=None, embedded=False).get("x-neuronode-arm") == header
    assert counted_arm(data["metadata"]["neuronode"]) == counted
