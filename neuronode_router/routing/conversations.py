"""Which group every conversation is on, who made which of its turns, and which of them a switch leaves where they are.

Bounded, in memory. It must not know callers or bodies: it keeps keyed hashes, names and numbers, no text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from neuronode_router.domain.decisions import Decision, Reason
from neuronode_router.domain.names import Tier
from neuronode_router.domain.rules import ConversationRule
from neuronode_router.routing.conversation import Opening
from neuronode_router.routing.sessions import keyed_hash
from neuronode_router.routing.snapshot import Snapshot

MAX_CONVERSATIONS = 10_000
"""Of those that have begun, and as many that may yet begin."""
HELD_SECONDS = 600.0
"""So long after its last request a conversation that a switch has kept stays with its group."""
KNOWN_SECONDS = 24 * 3600.0
"""So long after its last request it is known who made its turns."""
DOUBT_SECONDS = 3600.0
"""So long after a revision what nobody knows of a history is taken for another provider's."""
COUNTED_SECONDS = 1.5
"""So long a count of conversations holds: less than a heartbeat, which is not on the event loop."""
MAX_MADE = 16
"""Changes of maker that are remembered of one conversation: of what came before it is unknown who made it."""

FOLLOWING = frozenset({Reason.ACTIVE_PROFILE, Reason.BINDING, Reason.STABLE_ALIAS})
"""What no caller chose: only there a switch can leave a conversation where it is."""


@dataclass(frozen=True, slots=True)
class Made:
    """From which turn on who wrote the answers."""

    start: int
    maker: str
    """Tells providers apart, and where they are asked."""
    group: str


@dataclass(frozen=True, slots=True)
class Standing:
    """One conversation after its last request."""

    name: str
    """The name that the client sent."""
    group: str
    tier: Tier | None
    profile: str | None
    """Under which its group was chosen: an earlier one than now where a switch has kept it."""
    reason: Reason
    revision: int
    at: float
    """Unix time in seconds of its last request."""
    begun: bool = False
    kept: bool = False
    """Whether a switch left its last request where it was."""
    made: tuple[Made, ...] = ()
    here: bool = True
    """Whether its last request came to this process."""
    placed_at: float = 0.0
    """Unix time at which it was first seen, and so given its arm of a rollout; 0 where that is unknown."""


class Conversations:
    """The conversations that this process knows of. `clock` is Unix time; `told` hears of each key that has news."""

    def __init__(
        self,
        *,
        secret: Callable[[], bytes],
        clock: Callable[[], float] = time.time,
        told: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self._secret = secret
        self.clock = clock
        self.told = told
        self._begun: dict[bytes, Standing] = {}
        self._opened: dict[bytes, Standing] = {}
        """Apart from the others: requests that nobody goes on from may be many, and must not crowd those out."""
        self._revision = 0
        self._held_at_first = 0
        self._counted_at = 0.0
        self._counts = (0, 0)

    def keys(self, opening: Opening, *, caller: str, session: str) -> tuple[bytes, ...]:
        """Return under which keys the conversation may be known, its own first."""
        began = (caller, session, *opening.asked)
        first = keyed_hash(self._secret(), "conversation", *began)
        if not opening.begun:
            return (first,)
        # Its first request had no answer to be told apart by.
        return keyed_hash(self._secret(), "conversation", *began, "", *opening.answered), first

    def find(self, keys: Sequence[bytes]) -> Standing | None:
        """Return how the conversation stands, None where that is not known (any more)."""
        oldest = self.clock() - KNOWN_SECONDS
        found = map(self.get, keys)
        return next((one for one in found if one is not None and one.at >= oldest), None)

    def put(self, key: bytes, standing: Standing) -> None:
        """Remember a conversation. The one that was silent longest is forgotten when there are too many."""
        table = self._begun if standing.begun else self._opened
        table.pop(key, None)
        table[key] = standing
        if len(table) > MAX_CONVERSATIONS:
            del table[next(iter(table))]

    def sent(self, key: bytes, standing: Standing) -> None:
        """Remember where a request of a conversation goes."""
        self.put(key, standing)
        self.told(key)

    def answered(self, key: bytes, made: Made) -> None:
        """Remember who answered a request that brought `made.start` turns."""
        before = self.get(key)
        if before is None:
            return
        kept = [one for one in before.made if one.start < made.start]  # a client may go back and ask again
        if not kept or (kept[-1].maker, kept[-1].group) != (made.maker, made.group):
            kept.append(made)
        self.sent(key, replace(before, made=tuple(kept[-MAX_MADE:])))

    def get(self, key: bytes) -> Standing | None:
        """Return what is known under a key."""
        return self._begun.get(key) or self._opened.get(key)

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
        for standing in reversed(list(self._begun.values())):  # a copy: the event loop goes on meanwhile
            if standing.at < oldest:
                return
            if standing.here and (standing.kept or standing.revision < snapshot.revision):
                meant = snapshot.canary if is_tried(standing, snapshot) else snapshot.decisions
                if standing.reason is Reason.BINDING:
                    meant = snapshot.meanings.get(standing.profile or "", {})
                decision = meant.get(standing.name)
                yield decision is not None and is_kept(standing, decision, snapshot, now=self.clock())


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
