"""Which group every conversation is on, who gave which of its answers, and which ones a switch leaves where they are.

What is remembered is a request: what it asked, by whom it was answered, and by what its answer is known again. A later
request goes on from it where it has that answer in its history. That is all that tells a conversation: one that was not
seen to grow is none. Bounded, in memory. It must not know callers or bodies: it keeps keyed hashes, names and numbers.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from neuronode_router.domain.decisions import Decision, Reason
from neuronode_router.domain.names import Tier
from neuronode_router.domain.rules import ConversationRule
from neuronode_router.routing.growth import Growth, Marks
from neuronode_router.routing.sessions import keyed_hash
from neuronode_router.routing.snapshot import Snapshot

MAX_CONVERSATIONS = 10_000
"""Of those that have grown, as many requests that may yet begin one, and as many from which one has gone on."""
MAX_ALIKE = 64
"""Requests that ask the same in the same place, as the openings of parallel agents do."""
LOOKED_BACK = 8
"""Answers of a history, from its end, among which one of ours is looked for."""
HELD_SECONDS = 600.0
"""So long after its last request a conversation that a switch has kept stays with its group."""
LONGEST_HELD_SECONDS = 3600.0
"""So long after the revision that left it there, it moves however busy it is."""
KNOWN_SECONDS = 24 * 3600.0
"""So long after a request it is known who answered it."""
DOUBT_SECONDS = 2 * 3600.0
"""So long after a revision what nobody knows of a history is taken for another provider's: longer than any is kept."""
COUNTED_SECONDS = 1.5
"""So long a count of conversations holds: less than a heartbeat, which is not on the event loop."""
MAX_MADE = 16
"""Stretches that are remembered of one conversation, and one more of each maker before them."""

UNSEEN = Marks()

FOLLOWING = frozenset({Reason.ACTIVE_PROFILE, Reason.BINDING, Reason.STABLE_ALIAS})
"""What no caller chose: only there a switch can leave a conversation where it is."""


@dataclass(frozen=True, slots=True)
class Made:
    """Who gave the answers of a stretch of a history, each of which was seen; between two stretches nobody knows."""

    start: int
    """Where the first of them begins."""
    maker: str
    """Tells providers apart, and where they are asked; empty where it is one of several."""
    group: str
    until: int = -1
    """Where the last of them begins."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One request, and how its conversation stands after it."""

    name: str
    """The name that the client sent."""
    group: str
    tier: Tier | None
    profile: str | None
    """Under which its group was chosen: an earlier one than now where a switch has kept it."""
    reason: Reason
    revision: int
    at: float
    """Unix time in seconds of the request."""
    begun: bool = False
    """Whether it goes on from one that we have answered."""
    kept: bool = False
    """Whether a switch left it where it was."""
    made: tuple[Made, ...] = ()
    """Who wrote its history and, once that is known, its answer."""
    here: bool = True
    """Whether it came to this process."""
    placed_at: float = 0.0
    """Unix time at which the conversation was first seen, and so given its arm of a rollout; 0 where nobody knows."""
    request: str = ""
    """Tells it from others that ask the same."""
    answer: Marks = UNSEEN
    """Keyed hashes of what its answer is known by; empty until it has been seen."""
    follows: tuple[str, str] = ("", "")
    """Key and `request` of the one that it goes on from."""
    held_since: float = 0.0
    """Unix time of the revision that has left the conversation where it is since then; 0 where none does."""


class Sent(NamedTuple):
    """What a request carries along, so that its answer is noted with it."""

    key: str
    request: str
    place: int
    """Where its answer will begin."""
    last: int
    """Where the newest answer of its history begins, -1 without any."""


@dataclass(frozen=True, slots=True)
class Before:
    """The request of ours that another one goes on from."""

    key: bytes
    standing: Standing
    made: tuple[Made, ...]
    """Who wrote the history of the one that goes on."""


class RequestTable:
    """Requests by what they ask: so many, of which those put longest ago are forgotten first."""

    def __init__(self) -> None:
        self._alike: dict[bytes, tuple[Standing, ...]] = {}
        self._count = 0

    def get(self, key: bytes) -> tuple[Standing, ...]:
        """Return those that ask the same."""
        return self._alike.get(key, ())

    def put(self, key: bytes, standing: Standing) -> None:
        """Remember one, in place of what was known of it."""
        before = self._alike.pop(key, ())
        others = [one for one in before if one.request != standing.request]
        self._alike[key] = alike = (*others, standing)[-MAX_ALIKE:]
        self._count += len(alike) - len(before)
        while self._count > MAX_CONVERSATIONS:
            self._count -= len(self._alike.pop(next(iter(self._alike))))

    def take(self, key: bytes, request: str) -> Standing | None:
        """Forget one and return it, None where it is not there."""
        found = self.find(key, request)
        if found is not None:
            self._count -= 1
            self._alike[key] = tuple(one for one in self._alike[key] if one is not found)
            if not self._alike[key]:
                del self._alike[key]
        return found

    def find(self, key: bytes, request: str) -> Standing | None:
        """Return one, None where it is not there."""
        for one in self._alike.get(key, ()):
            if one.request == request:
                return one
        return None

    def newest(self) -> Iterator[tuple[Standing, ...]]:
        """Yield all, those put last first. From any thread: it reads a copy."""
        return reversed(list(self._alike.values()))


class Conversations:
    """The conversations that this process knows of. `clock` is Unix time; `told` hears of requests that have news."""

    def __init__(
        self,
        *,
        secret: Callable[[], bytes],
        clock: Callable[[], float] = time.time,
        told: Callable[[bytes, Standing], None] = lambda *_: None,
    ) -> None:
        self._secret = secret
        self.clock = clock
        self.told = told
        self._grown = RequestTable()
        self._opened = RequestTable()
        """Apart from the others: requests that nobody goes on from may be many, and must not crowd those out."""
        self._passed = RequestTable()
        """From which others have gone on: a client may go back, or several agents go on from one."""
        self._instance = secrets.token_hex(8)
        self._numbers = itertools.count()
        self._revision = 0
        self._held_at_first = 0
        self._counted_at = 0.0
        self._counts = (0, 0)

    def root(self, growth: Growth, *, caller: str, session: str) -> bytes:
        """Return what all requests of a conversation have in common."""
        return keyed_hash(self._secret(), "conversation", caller, session, *growth.opened)

    def key(self, root: bytes, growth: Growth, place: int) -> bytes:
        """Return under which key the request is known whose answer is to begin at `place`."""
        return keyed_hash(self._secret(), "asked", root.hex(), str(place), *growth.asked(place))

    def find(self, root: bytes, growth: Growth) -> Before | None:
        """Return what a request goes on from: the newest one that is known whose answer stands in its history."""
        oldest = self.clock() - KNOWN_SECONDS
        for place in itertools.islice(growth.places(), LOOKED_BACK):
            key = self.key(root, growth, place)
            alike = [one for one in self.get(key) if one.at >= oldest]
            given = self._gave(alike, growth, place) if alike else []
            if given:
                # Of several nobody can tell which: the one that was there first is where a switch found it.
                first = min(given, key=lambda one: (one.revision, one.at))
                alike_made = all(one.made == first.made for one in given)
                return Before(key, first, first.made if alike_made else (Made(0, "", "", place),))
        return None

    def _gave(self, alike: Sequence[Standing], growth: Growth, place: int) -> Sequence[Standing]:
        """Return who may have given the answer at a place: whose answer it is, else who may yet be seen to answer."""
        marks = self._hashed(growth.answer(place))
        if not any(marks):
            return alike
        same = [one for one in alike if one.answer.are_of(marks)]
        sure = [one for one in same if one.answer.are_surely_of(marks)]
        unseen = [one for one in alike if not any(one.answer)]
        return sure or same + [one for one in unseen if _at(one.made, place)] or unseen

    def _hashed(self, marks: Marks) -> Marks:
        return Marks(*(keyed_hash(self._secret(), "answer", mark).hex() if mark else "" for mark in marks))

    def put(self, key: bytes, standing: Standing) -> None:
        """Remember a request, and that another one has gone on in it."""
        if not standing.begun:
            self._opened.put(key, standing)
            return
        followed, request = standing.follows
        before = self._grown.take(bytes.fromhex(followed), request)
        if before is not None:
            self._passed.put(bytes.fromhex(followed), before)
        passed = self._passed.find(key, standing.request) is not None
        (self._passed if passed else self._grown).put(key, standing)

    def number(self) -> str:
        """Return what tells a request from all others, of other processes too."""
        return f"{self._instance}{next(self._numbers):x}"

    def sent(self, key: bytes, standing: Standing) -> None:
        """Remember where a request goes."""
        self.put(key, standing)
        self.told(key, standing)

    def answered(self, sent: Sent, *, maker: str, group: str) -> None:
        """Remember who answers a request. An answer that another one began was written by both."""
        before = self._sent(sent)
        if before is not None and not any(
            (one.maker, one.group) == (maker, group) for one in _at(before.made, sent.place)
        ):
            self.sent(bytes.fromhex(sent.key), replace(before, made=_longer(before.made, sent, maker, group)))

    def ended(self, sent: Sent, marks: Marks) -> None:
        """Remember what an answer is known by, given in clear."""
        before = self._sent(sent)
        if before is not None and any(marks):
            self.sent(bytes.fromhex(sent.key), replace(before, answer=self._hashed(marks)))

    def _sent(self, sent: Sent) -> Standing | None:
        key, tables = bytes.fromhex(sent.key), (self._grown, self._opened, self._passed)
        return next((found for table in tables if (found := table.find(key, sent.request))), None)

    def get(self, key: bytes) -> tuple[Standing, ...]:
        """Return the requests that are known under a key."""
        return self._grown.get(key) + self._opened.get(key) + self._passed.get(key)

    def counts(self, snapshot: Snapshot | None) -> tuple[int, int]:
        """Return how many conversations of this process are held, and how many that were so at first are no longer.

        It reads all of them, and again only after a while: for the background, from any thread.
        """
        if snapshot is None:
            return 0, 0
        now, anew = self.clock(), snapshot.revision != self._revision
        if anew or not 0 <= now - self._counted_at < COUNTED_SECONDS:
            held = sum(self._held(snapshot))
            self._held_at_first = held if anew else self._held_at_first
            self._counts = held, max(0, self._held_at_first - held)
            self._revision, self._counted_at = snapshot.revision, now
        return self._counts

    def _held(self, snapshot: Snapshot) -> Iterator[bool]:
        oldest = self.clock() - HELD_SECONDS
        for standing in itertools.chain.from_iterable(self._grown.newest()):
            if (
                standing.at >= oldest
                and standing.here
                and (standing.kept or standing.revision < snapshot.revision)
            ):
                meant = snapshot.canary if is_tried(standing, snapshot) else snapshot.decisions
                if standing.reason is Reason.BINDING:
                    meant = snapshot.meanings.get(standing.profile or "", {})
                decision = meant.get(standing.name)
                yield decision is not None and is_kept(standing, decision, snapshot, now=self.clock())


def is_foreign(made: Sequence[Made], place: int, maker: str, *, trusting: bool) -> bool:
    """Return whether the answer that begins at `place` may be by another maker than the one that is asked now.

    What nobody knows is left alone only while `trusting`, and where no other maker has written anything that is known.
    """
    makers = {one.maker for one in _at(made, place)}
    if makers:
        return makers != {maker}
    return not trusting or any(one.maker != maker for one in made)


def _at(made: Sequence[Made], place: int) -> list[Made]:
    return [one for one in made if one.start <= place <= one.until]


def _longer(made: tuple[Made, ...], sent: Sent, maker: str, group: str) -> tuple[Made, ...]:
    """Return who wrote a history and the answer after it: its last stretch goes on where nothing came between."""
    newest = made[-1] if made else None
    if newest and (newest.until, newest.maker, newest.group) == (sent.last, maker, group):
        return (*made[:-1], replace(newest, until=sent.place))
    longer = (*made, Made(sent.place, maker, group, sent.place))
    recent = longer[-MAX_MADE:]
    known = {(one.maker, one.group) for one in recent}
    before = {(one.maker, one.group): one for one in longer[:-MAX_MADE]}
    return (*[one for who, one in before.items() if who not in known][-MAX_MADE:], *recent)


def is_tried(standing: Standing, snapshot: Snapshot) -> bool:
    """Return whether a conversation went to the profile of the rollout that runs when it was last heard of."""
    canary = snapshot.state.canary
    return canary is not None and standing.profile == canary.profile and standing.reason in FOLLOWING


def is_kept(standing: Standing, decision: Decision, snapshot: Snapshot, *, now: float) -> bool:
    """Return whether a switch leaves a begun conversation elsewhere than where `decision` would send it now."""
    profile = snapshot.profiles.get(decision.profile or "")
    return (
        profile is not None
        and standing.name == decision.original_model
        and profile.conversations is ConversationRule.KEEP
        and decision.reason in FOLLOWING
        and standing.reason in FOLLOWING
        and not _is_for_a_budget(decision, snapshot)
        and standing.revision >= snapshot.state.moved
        and now - standing.at <= HELD_SECONDS
        and now - (standing.held_since or now) <= LONGEST_HELD_SECONDS
        and _is_elsewhere(standing, decision, snapshot)
    )


def _is_for_a_budget(decision: Decision, snapshot: Snapshot) -> bool:
    """Return whether a caller is bound to the profile because a budget is spent so far: that waits for nobody."""
    bindings = snapshot.state.bindings.values()
    return decision.reason is Reason.BINDING and any(
        binding.beyond is not None and binding.beyond.profile == decision.profile for binding in bindings
    )


def _is_elsewhere(standing: Standing, decision: Decision, snapshot: Snapshot) -> bool:
    if not decision.auto:
        return standing.group != decision.group
    assert decision.profile is not None
    ladder = snapshot.ladders[decision.profile].values()
    return standing.profile != decision.profile or not any(standing.group in groups for groups in ladder)
