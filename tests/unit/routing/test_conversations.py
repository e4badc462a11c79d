"""Which conversations a switch leaves where they are, how they are known again, and how much is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from neuronode_router.domain.bindings import Beyond, Binding
from neuronode_router.domain.decisions import Reason
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.rules import ConversationRule
from neuronode_router.domain.state import ControlState
from neuronode_router.routing import conversations as module
from neuronode_router.routing.conversation import read_opening
from neuronode_router.routing.conversations import (
    HELD_SECONDS,
    KNOWN_SECONDS,
    MAX_MADE,
    Conversations,
    Made,
    Standing,
    is_kept,
)
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from tests.support.clock import Clock
from tests.support.control import GROUPS, make_profile

NOW = 1_000_000.0
KEY = b"k" * 16
HI = {"role": "user", "content": "hi"}


def snapshot(
    *, moved: int = 0, rule: ConversationRule = ConversationRule.KEEP, revision: int = 5
) -> Snapshot:
    names = ("balanced", "premium")
    profiles = {name: replace(make_profile(name), conversations=rule) for name in names}
    profiles["premium"] = replace(profiles["premium"], tiers=dict.fromkeys(Tier, ("chat_premium",)))
    state = ControlState(revision, "premium", ProfileSet(profiles), committed_at=NOW, moved=moved)
    return build_snapshot(state, HostFacts(groups=GROUPS))


def standing(**changed: Any) -> Standing:
    """Return a conversation that the profile before the switch has answered."""
    known = Standing(
        name="chat",
        group="chat_balanced",
        tier=None,
        profile="balanced",
        reason=Reason.ACTIVE_PROFILE,
        revision=4,
        at=NOW - 1,
        begun=True,
    )
    return replace(known, **changed)


def store(clock: Clock | None = None) -> Conversations:
    return Conversations(secret=lambda: b"s", clock=clock or Clock(NOW))


@pytest.mark.parametrize(
    ("changed", "given", "kept"),
    [
        ({}, {}, True),
        ({"at": NOW - HELD_SECONDS}, {}, True),
        ({"at": NOW - HELD_SECONDS - 1}, {}, False),
        ({"group": "chat_premium"}, {}, False),
        ({"name": "classification"}, {}, False),
        ({"reason": Reason.OVERRIDE_NAME}, {}, False),
        ({}, {"rule": ConversationRule.MOVE}, False),
        ({}, {"moved": 5}, False),
        ({"revision": 5}, {"moved": 5}, True),
        ({}, {"moved": 4}, True),
    ],
)
def test_what_a_switch_leaves_where_it_is(changed: dict[str, Any], given: dict[str, Any], kept: bool) -> None:
    """What has begun elsewhere under the same name, by nobody's choice, and spoke lately, unless all must move."""
    now = snapshot(**given)

    assert is_kept(standing(**changed), now.decisions["chat"], now, now=NOW) is kept


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({}, True),
        ({"profile": "premium", "group": "chat_premium"}, False),
        ({"profile": "premium", "group": "tier"}, True),
        ({"profile": "balanced", "group": "chat_premium"}, True),
    ],
)
def test_of_auto_what_another_profile_or_ladder_has_answered(changed: dict[str, Any], kept: bool) -> None:
    """Within one profile's ladder `auto` decides anew; a group that an edit took out of it holds."""
    now = snapshot()
    one = standing(name="auto", tier=Tier.FAST, **changed)

    assert is_kept(one, now.decisions["auto"], now, now=NOW) is kept


def test_a_caller_who_chooses_a_profile_is_not_kept_from_it() -> None:
    """By name or by header: it is asked for in this very request."""
    now = snapshot()
    by_header = replace(now.decisions["chat"], reason=Reason.OVERRIDE_HEADER)

    assert not is_kept(standing(), by_header, now, now=NOW)


def test_a_spent_budget_waits_for_no_conversation() -> None:
    """A binding to a profile by itself keeps conversations; one that a budget has led to does not."""
    now = snapshot()
    bound = replace(now.decisions["chat"], reason=Reason.BINDING)

    def kept(binding: Binding) -> bool:
        state = replace(now.state, bindings={"team:a": binding})
        return is_kept(standing(), bound, build_snapshot(state, HostFacts(groups=GROUPS)), now=NOW)

    assert kept(Binding("premium"))
    assert not kept(Binding(None, Beyond(0.8, "premium")))


def test_what_others_serve_and_what_has_not_begun_is_not_counted() -> None:
    """Each conversation is counted by the worker that it last came to, and only once there is an answer in it."""
    known = store()
    known.sent(b"begun", standing())
    known.sent(b"opened", standing(begun=False))
    known.put(b"told", standing(here=False))
    known.sent(b"new", standing(group="chat_premium", profile="premium", revision=5))

    assert known.counts(None) == (0, 0)
    assert known.counts(snapshot()) == (1, 0)


def test_the_count_goes_down_as_conversations_end() -> None:
    """One goes on where it is, one moves, one falls silent."""
    clock = Clock(NOW)
    known = store(clock)
    for key in (b"on", b"moves", b"silent"):
        known.sent(key, standing())
    assert known.counts(snapshot()) == (3, 0)

    clock.now += HELD_SECONDS - 2
    known.sent(b"on", standing(at=clock.now, revision=5, kept=True))
    known.sent(b"moves", standing(at=clock.now, group="chat_premium", profile="premium", revision=5))
    assert known.counts(snapshot()) == (2, 1)
    clock.now += 2

    assert known.counts(snapshot()) == (1, 2)
    assert known.counts(snapshot(revision=6, moved=6)) == (0, 0)


def test_a_conversation_is_known_again_by_its_opening_and_its_first_answer() -> None:
    """In its second turn by how it opened alone; another first answer is another conversation."""
    known = store()
    first = known.keys(opening(user("hi")), caller="me", session="")
    known.sent(first[0], standing(begun=False))

    second = known.keys(opening(user("hi"), answer("yes"), user("go on")), caller="me", session="")
    assert known.find(second) == standing(begun=False)
    known.sent(second[0], standing())

    third = known.keys(
        opening(user("hi"), answer("yes"), user("a"), answer("b"), user("c")), caller="me", session=""
    )
    other = known.keys(opening(user("hi"), answer("no"), user("go on")), caller="me", session="")
    assert third == second
    assert other[0] != second[0]
    for stranger in ({"caller": "you", "session": ""}, {"caller": "me", "session": "s"}):
        assert not set(known.keys(opening(user("hi")), **stranger)) & set(second)


def test_documents_in_one_long_template_open_conversations_of_their_own() -> None:
    """Each is a unit of a rollout: a template's own beginning and end are not."""
    known, template = store(), "Halte dich an die Regeln des Hauses. " * 100
    documents = (f"Akte {number}: {'abc ' * (number % 7)}{number}." for number in range(1000))

    units = {
        known.keys(opening(user(template + document + template)), caller="me", session="")[-1]
        for document in documents
    }

    assert len(units) > 900


@pytest.mark.parametrize(
    ("body", "begun", "turns"),
    [
        ({"messages": [{"role": "user", "content": "hi"}]}, False, 1),
        ({"messages": [HI, {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]}]}, True, 2),
        ({"messages": [HI, {"role": "assistant", "content": [{"type": "tool_use", "id": "t"}]}]}, True, 2),
        ({"input": "hi"}, False, 1),
        ({"input": [{"role": "user", "content": "hi"}, {"type": "function_call", "call_id": "c"}]}, True, 2),
        ({"contents": [{"parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "yes"}]}]}, True, 2),
        ({"messages": [None, 7, {"role": 3}]}, False, 3),
        ({}, False, 1),
    ],
)  # fmt: skip
def test_whether_a_conversation_has_begun(body: Mapping[str, object], begun: bool, turns: int) -> None:
    """In every format, and whatever a client sends: there is an answer in it."""
    found = read_opening(body)

    assert (found.begun, found.turns) == (begun, turns)


def test_who_wrote_which_turn() -> None:
    """A change of the maker is noted; a client that goes back and asks again overwrites what came after."""
    known = store()
    known.sent(KEY, standing())

    for start, maker in ((1, "a"), (3, "a"), (5, "b"), (7, "b"), (3, "c")):
        known.answered(KEY, Made(start, maker, maker))

    found = known.get(KEY)
    assert found is not None
    assert [(one.start, one.maker) for one in found.made] == [(1, "a"), (3, "c")]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversations, those that may yet begin apart from them, changes of maker, and time."""
    monkeypatch.setattr(module, "MAX_CONVERSATIONS", 3)
    clock = Clock(NOW)
    known = store(clock)
    for number in range(5):
        known.sent(b"%d" % number, standing())
        known.sent(b"o%d" % number, standing(begun=False))
    for start in range(2 * MAX_MADE):
        known.answered(b"4", Made(start, str(start % 2), "g"))

    assert [known.get(b"%d" % number) is not None for number in range(5)] == [False, False, True, True, True]
    assert known.get(b"o4") is not None
    found = known.find([b"4"])
    assert found is not None
    assert len(found.made) == MAX_MADE
    clock.now += KNOWN_SECONDS + 2
    assert known.find([b"4"]) is None
    known.answered(b"gone", Made(1, "a", "g"))
    assert known.get(b"gone") is None


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def answer(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def opening(*turns: dict[str, Any]) -> Any:
    return read_opening({"messages": list(turns)})
