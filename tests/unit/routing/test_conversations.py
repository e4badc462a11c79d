"""Which conversations a switch leaves where they are, how they are known again, and how much is kept of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.bindings import Beyond, Binding
from neuronode_router.domain.decisions import Reason
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.rules import ConversationRule
from neuronode_router.domain.state import ControlState
from neuronode_router.routing import conversations as module
from neuronode_router.routing.conversations import (
    HELD_SECONDS,
    KNOWN_SECONDS,
    LONGEST_HELD_SECONDS,
    MAX_MADE,
    Before,
    Conversations,
    Made,
    Sent,
    Standing,
    is_foreign,
    is_kept,
)
from neuronode_router.routing.growth import Marks, marks_of, read_growth
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from tests.support.clock import Clock
from tests.support.control import GROUPS, make_profile

NOW = 1_000_000.0


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


def test_however_busy_it_moves_an_hour_after_the_revision_that_left_it() -> None:
    """An agent that never pauses is no reason to stay for ever."""
    now = snapshot()
    busy = standing(kept=True, held_since=NOW - LONGEST_HELD_SECONDS)

    assert is_kept(busy, now.decisions["chat"], now, now=NOW)
    assert not is_kept(
        replace(busy, held_since=NOW - LONGEST_HELD_SECONDS - 1), now.decisions["chat"], now, now=NOW
    )


def test_what_others_serve_and_what_has_not_grown_is_not_counted() -> None:
    """Each conversation is counted by the worker that it last came to, and only once it was seen to grow."""
    known = store()
    known.sent(b"grown", standing())
    known.sent(b"opened", standing(begun=False))
    known.put(b"told", standing(here=False))
    known.sent(b"new", standing(group="chat_premium", profile="premium", revision=5))

    assert known.counts(None) == (0, 0)
    assert known.counts(snapshot()) == (1, 0)


def test_the_count_goes_down_as_conversations_end() -> None:
    """One goes on where it is, one moves, one falls silent. What was gone on from is counted no more."""
    clock = Clock(NOW)
    known = store(clock)
    for key in (b"on", b"moves", b"silent"):
        known.sent(key, standing(request="first"))
    assert known.counts(snapshot()) == (3, 0)

    clock.now += HELD_SECONDS - 2
    later = standing(at=clock.now, revision=5)
    known.sent(b"on 2", replace(later, kept=True, follows=(b"on".hex(), "first")))
    moved = replace(later, group="chat_premium", profile="premium")
    known.sent(b"moves 2", replace(moved, follows=(b"moves".hex(), "first")))
    assert known.counts(snapshot()) == (2, 1)
    clock.now += 2

    assert known.counts(snapshot()) == (1, 2)
    assert known.counts(snapshot(revision=6, moved=6)) == (0, 0)


class Worker:
    """What one worker knows, and one caller who asks it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.known = store(clock)

    def find(self, turns: Sequence[Mapping[str, Any]], **caller: str) -> Before | None:
        """Return what a request goes on from."""
        growth = read_growth({"messages": turns})
        root = self.known.root(growth, **{"caller": "me", "session": ""} | caller)
        return self.known.find(root, growth)

    def ask(self, turns: Sequence[Mapping[str, Any]], maker: str | None = None, **changed: Any) -> Sent:
        """Send a request, which a maker answers if one is named."""
        growth = read_growth({"messages": turns})
        root = self.known.root(growth, caller="me", session="")
        before, key = self.known.find(root, growth), self.known.key(root, growth, growth.end)
        request = self.known.number()
        found = standing(begun=before is not None, at=self.known.clock(), request=request, **changed)
        if before is not None:
            follows = (before.key.hex(), before.standing.request)
            found = replace(found, made=before.made, follows=follows)
        self.known.sent(key, found)
        sent = Sent(key.hex(), request, growth.end, next(growth.places(), -1))
        if maker is not None:
            self.known.answered(sent, maker=maker, group=maker)
        return sent

    def talk(self, turns: list[dict[str, Any]], maker: str, said: dict[str, Any]) -> Sent:
        """Send a request that a maker answers, and note its answer here and in the turns."""
        sent = self.ask(turns, maker)
        self.known.ended(sent, marks_of([said]))
        turns.append(said)
        return sent


def test_a_conversation_goes_on_from_the_request_whose_answer_it_has() -> None:
    """Known before its answer was seen and after it; another answer, caller or session is another conversation."""
    worker = Worker()
    turns = [user("hi")]
    assert worker.find(turns) is None
    sent = worker.ask(turns, "a")
    turns += [answer("yes"), user("go on")]

    unseen = worker.find(turns)
    worker.known.ended(sent, Marks(text="yes"))
    seen = worker.find(turns)

    for found in (unseen, seen):
        assert found is not None
        assert (found.standing.request, found.made) == (sent.request, (Made(1, "a", "a", 1),))
    assert worker.find([user("hi"), answer("no"), user("go on")]) is None
    assert worker.find([*turns, answer("b"), user("c")]) is not None
    for stranger in ({"caller": "you"}, {"session": "s"}):
        assert worker.find(turns, **stranger) is None


def test_examples_in_a_prompt_are_no_conversation() -> None:
    """They were answered by nobody here; what grows from such a prompt is one, and none of the others are."""
    worker = Worker()
    shots = [user("Great!"), answer("positive"), user("Awful."), answer("negative")]
    sent = worker.ask([*shots, user("review 1")], "a")
    worker.known.ended(sent, Marks(text="positive"))

    assert worker.find([*shots, user("review 1")]) is None
    assert worker.find([*shots, user("review 2")]) is None
    grown = worker.find([*shots, user("review 1"), answer("positive"), user("why?")])
    assert grown is not None
    assert grown.standing.request == sent.request


def test_agents_that_open_alike_are_told_apart_by_their_first_answers() -> None:
    """Each goes on from its own; before its answer was seen nobody is taken for the other, and the first one stays."""
    worker = Worker()
    first, second = [user("Continue.")], [user("Continue.")]
    one = worker.ask(first, "a")
    worker.ask(second, "b")
    first.append(answer("yes", seal="by a"))
    second.append(answer("yes", seal="by b"))

    doubt = worker.find([*first, user("on")])
    worker.known.ended(one, marks_of(first[1:]))
    known = worker.find([*first, user("on")])
    rest = worker.find([*second, user("on")])

    assert doubt is not None
    assert known is not None
    assert rest is not None
    assert doubt.standing.request == known.standing.request == one.request
    assert all(is_foreign(doubt.made, 1, maker, trusting=True) for maker in "ab")
    assert known.made == (Made(1, "a", "a", 1),)
    assert rest.made == (Made(1, "b", "b", 1),)


def test_what_another_worker_answered_is_unknown() -> None:
    """A maker is not taken to go on over answers that nobody here has seen."""
    one, other = Worker(), Worker()
    turns = [user("hi")]
    for number, worker in enumerate((one, other, other, one)):
        worker.talk(turns, "b" if worker is other else "a", answer(f"answer {number}"))
        turns.append(user(f"on {number}"))

    found = one.find(turns)

    assert found is not None
    assert found.made == (Made(1, "a", "a", 1), Made(7, "a", "a", 7))
    assert [is_foreign(found.made, place, "a", trusting=False) for place in (1, 3, 5, 7)] == [
        False,
        True,
        True,
        False,
    ]
    assert not is_foreign(found.made, 3, "a", trusting=True)
    assert is_foreign(found.made, 3, "b", trusting=True), "another one has written some of it"


def test_a_client_may_go_back_and_others_may_go_on_from_the_same_answer() -> None:
    """What was gone on from stays known."""
    worker = Worker()
    turns = [user("hi")]
    for number in range(4):
        worker.talk(turns, "a", answer(f"answer {number}"))
        turns.append(user(f"on {number}"))
    worker.talk(turns, "b", answer("of b"))

    for end in (3, 5, 7, 9):
        found = worker.find([*turns[: end - 1], user("something else")])
        assert found is not None
        assert found.made == (Made(1, "a", "a", end - 2),)


def test_an_answer_that_another_one_ended_is_by_both() -> None:
    """The stream broke off: its thought may be the first one's, its text the other one's."""
    worker = Worker()
    turns = [user("hi")]
    worker.talk(turns, "a", answer("yes"))
    turns.append(user("on"))
    sent = worker.ask(turns, "a")
    worker.known.answered(sent, maker="b", group="b")
    turns += [answer("half and half"), user("on")]

    found = worker.find(turns)

    assert found is not None
    assert [is_foreign(found.made, 3, maker, trusting=True) for maker in "ab"] == [True, True]
    assert not is_foreign(found.made, 1, "a", trusting=True)


def test_a_repeated_request_is_not_mixed_up_with_the_one_that_failed() -> None:
    """Nobody answered the first one, so the answer is the second one's."""
    worker = Worker()
    worker.ask([user("hi")])
    again = worker.ask([user("hi")], "a")

    found = worker.find([user("hi"), answer("yes"), user("on")])

    assert found is not None
    assert found.standing.request == again.request


def test_documents_in_one_long_template_open_conversations_of_their_own() -> None:
    """Each is a unit of a rollout: a template's own beginning and end are not."""
    known, template = store(), "Halte dich an die Regeln des Hauses. " * 100
    documents = (f"Akte {number}: {'abc ' * (number % 7)}{number}." for number in range(1000))

    units = {
        known.root(read_growth({"messages": [user(template + document + template)]}), caller="me", session="")
        for document in documents
    }

    assert len(units) > 900


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversations; requests that may yet begin one, and those gone on from, apart from them; and time."""
    monkeypatch.setattr(module, "MAX_CONVERSATIONS", 3)
    clock = Clock(NOW)
    worker = Worker(clock)
    for number in range(5):
        worker.known.sent(b"%d" % number, standing())
        worker.known.sent(b"o%d" % number, standing(begun=False))
    long = [user("long")]
    for number in range(6):
        worker.talk(long, "a", answer(str(number)))
        long.append(user(str(number)))

    assert [len(worker.known.get(b"o%d" % number)) for number in range(5)] == [0, 0, 0, 1, 1]
    assert [len(worker.known.get(b"%d" % number)) for number in range(5)] == [0, 0, 0, 1, 1]
    assert worker.find(long) is not None
    clock.now += KNOWN_SECONDS + 2
    assert worker.find(long) is None
    worker.known.answered(Sent(b"gone".hex(), "r", 1, -1), maker="a", group="a")
    assert worker.known.get(b"gone") == ()


def test_of_what_asks_the_same_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template that is sent again and again crowds nothing else out."""
    monkeypatch.setattr(module, "MAX_ALIKE", 3)
    worker = Worker()
    sent = [worker.ask([user("hi")], "a") for _ in range(5)]

    known = worker.known.get(bytes.fromhex(sent[0].key))

    assert [one.request for one in known] == [one.request for one in sent[2:]]


def test_that_a_conversation_was_elsewhere_outlives_what_is_kept_of_it() -> None:
    """Of very many changes the oldest are forgotten, but not who took part."""
    worker = Worker()
    turns = [user("hi")]
    worker.talk(turns, "rare", answer("first"))
    for number in range(3 * MAX_MADE):
        turns.append(user(str(number)))
        worker.talk(turns, "ab"[number % 2], answer(str(number)))

    found = worker.find([*turns, user("on")])

    assert found is not None
    assert len(found.made) == MAX_MADE + 1
    assert found.made[0] == Made(1, "rare", "rare", 1)
    assert is_foreign(found.made, 3, "a", trusting=True)


@dataclass
class Agent:
    """A client, what it has been told, and the truth of who told it."""

    opening: int
    turns: list[dict[str, Any]] = field(default_factory=list)
    makers: dict[int, str] = field(default_factory=dict)

    def go_back(self, answers: int) -> None:
        """Drop the last answers, and what was asked before each."""
        del self.turns[max(0, len(self.turns) - 2 * answers) :]
        self.makers = {place: maker for place, maker in self.makers.items() if place < len(self.turns)}


steps = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from("abc"), st.booleans(), st.integers(0, 5)),
    max_size=40,
)
"""Of each: the agent, the worker that it comes to, who answers, whether that worker sees the answer, and by 4 and 5
that the agent goes back before it.
"""


@given(steps=steps, shared=st.booleans(), signs=st.booleans())
def test_nobody_is_taken_for_the_maker_of_what_another_one_wrote(
    steps: list[tuple[int, int, str, bool, int]], *, shared: bool, signs: bool
) -> None:
    """Over agents that say the same, switches and workers: what is not foreign to a maker is that maker's own.

    Workers that share what they know need not see an answer, nor be able to tell it from another one. Those that do not
    must: without a mark of its own, and without a word from each other, nothing could tell them.
    """
    workers, numbers = [Worker() for _ in range(3)], count()
    if shared:
        for worker in workers:
            others = [other.known for other in workers if other is not worker]
            worker.known.told = lambda key, one, others=others: [other.put(key, one) for other in others]
    agents = [Agent(0), Agent(0), Agent(1)]
    for which, where, maker, seen, back in steps:
        agent, worker = agents[which], workers[where]
        agent.go_back(max(0, back - 3))
        agent.turns.append(user(f"opening {agent.opening}" if not agent.turns else "go on"))
        before = worker.find(agent.turns)
        made = before.made if before else ()
        for place, truth in agent.makers.items():
            own = {one for one in "abc" if not is_foreign(made, place, one, trusting=False)}
            assert own <= {truth}
        sent = worker.ask(agent.turns, maker)
        said = answer("yes", seal=f"{next(numbers)}" if signs or not shared else "")
        if seen or not shared:
            worker.known.ended(sent, marks_of([said]))
        agent.makers[len(agent.turns)] = maker
        agent.turns.append(said)


@given(steps)
def test_one_worker_that_sees_every_answer_knows_who_wrote_it(
    steps: list[tuple[int, int, str, bool, int]],
) -> None:
    """Neither agents that say the same nor going back hide it."""
    worker, numbers = Worker(), count()
    agents = [Agent(0), Agent(0), Agent(1)]
    for which, _, maker, _, back in steps[: MAX_MADE + 1]:
        agent = agents[which]
        agent.go_back(max(0, back - 3))
        agent.turns.append(user(f"opening {agent.opening}" if not agent.turns else "go on"))
        before = worker.find(agent.turns)
        made = before.made if before else ()
        found = {
            place: [one for one in "abc" if not is_foreign(made, place, one, trusting=False)]
            for place in agent.makers
        }
        assert found == {place: [truth] for place, truth in agent.makers.items()}
        agent.makers[len(agent.turns)] = maker
        worker.talk(agent.turns, maker, answer("yes", seal=f"{next(numbers)}"))


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def answer(text: str, *, seal: str = "") -> dict[str, Any]:
    signed = {"thinking_blocks": [{"type": "thinking", "signature": seal}]} if seal else {}
    return {"role": "assistant", "content": text, **signed}
