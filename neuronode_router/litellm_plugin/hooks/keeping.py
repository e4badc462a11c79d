"""What admission knows of the conversation that a request belongs to: where it is, whether it stays, who wrote it.

`routing.conversations` has the rules. It is asked before a request's way is decided, then told it and who answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from neuronode_router.domain.decisions import Decision, Step
from neuronode_router.litellm_plugin.hooks import moving
from neuronode_router.routing import arms
from neuronode_router.routing.caches import WARM_SECONDS, CacheShares
from neuronode_router.routing.conversation import Turn
from neuronode_router.routing.conversations import (
    DOUBT_SECONDS,
    Before,
    Conversations,
    Sent,
    Standing,
    is_kept,
)
from neuronode_router.routing.fallback_chain import Warm
from neuronode_router.routing.growth import Growth, marks_of, read_growth
from neuronode_router.routing.snapshot import Snapshot

SPOKEN = frozenset(
    {
        *(
            "completion",
            "acompletion",
            "responses",
            "aresponses",
            "anthropic_messages",
            "aanthropic_messages",
        ),
        *("generate_content", "agenerate_content", "generate_content_stream", "agenerate_content_stream"),
    }
)
"""The calls by which conversations are led."""


@dataclass(frozen=True, slots=True)
class Talk:
    """The conversation that one request belongs to."""

    growth: Growth
    root: bytes
    """What all of its requests have in common."""
    before: Before | None
    """The request of ours that it goes on from."""
    last: int
    """Where the newest answer of its history begins, -1 without any."""
    continues: str | None
    """The deployment that keeps what was said before."""

    @property
    def standing(self) -> Standing | None:
        """How the conversation stood after its last request, None where it was not seen to grow."""
        return self.before.standing if self.before else None

    @property
    def begun(self) -> bool:
        """Whether somebody has answered before: we, another worker, or the client, with examples."""
        return self.continues is not None or self.last >= 0


@dataclass(frozen=True, slots=True)
class KeeperHost:
    """What is asked of the host about groups and deployments."""

    group_of: Callable[[str], str | None]
    is_well: Callable[[str], bool]
    """Whether a group is there and one of its deployments can be asked."""
    target: Callable[[str], moving.Target | None]


class Keeper:
    """Knows conversations, leaves them where they are, and says what is known of their histories."""

    def __init__(self, conversations: Conversations, caches: CacheShares, host: KeeperHost) -> None:
        self.conversations = conversations
        self._caches = caches
        self._host = host

    def look(
        self,
        data: Mapping[str, Any],
        call_type: str,
        *,
        caller: str,
        session: str | None,
        continues: str | None,
    ) -> Talk | None:
        """Return the conversation of a request, None for a call of another kind."""
        if call_type not in SPOKEN:
            return None
        growth = read_growth(data)
        root = self.conversations.root(growth, caller=caller, session=session or "")
        last = next(growth.places(), -1)
        before = self.conversations.find(root, growth) if last >= 0 else None
        return Talk(growth, root, before, last, continues)

    def place(
        self, talk: Talk | None, snapshot: Snapshot, *, name: str, caller: str, session: str | None
    ) -> arms.Placement | None:
        """Return the arm of a request, None while no rollout runs."""
        canary = snapshot.state.canary
        if canary is None:
            return None
        if talk is not None and talk.standing is None and talk.continues is not None:
            group = self._host.group_of(talk.continues)
            tried = arms.only_in_one(snapshot, name, group) if group is not None else None
            if tried is not None:
                return arms.Placement(tried, compared=False)
        said = f"{caller}\x00{session or ''}".encode("utf-8", "surrogatepass")
        unit = talk.root if talk is not None and session is None else said
        return arms.place(canary, snapshot, unit, talk.standing if talk is not None else None)

    def kept(self, talk: Talk | None, decision: Decision, snapshot: Snapshot) -> Standing | None:
        """Return where a switch has left the conversation, None where it goes where everybody goes."""
        if talk is None or not talk.begun:
            return None
        standing = talk.standing or self._by_state(talk, decision, snapshot)
        if standing is None or not is_kept(standing, decision, snapshot, now=self.conversations.clock()):
            return None
        return standing if self._host.is_well(standing.group) else None

    def warm(self, talk: Talk | None, decision: Decision) -> Warm | None:
        """Return what leaving its tier would cost an `auto` conversation, None where nothing is cached."""
        standing = talk.standing if talk is not None else None
        if standing is None or standing.tier is None or standing.profile != decision.profile:
            return None
        share = self._caches.of(standing.group)
        if not share or self.conversations.clock() - standing.at > WARM_SECONDS:
            return None
        return Warm(standing.tier, share)

    def sent(self, talk: Talk | None, decision: Decision, snapshot: Snapshot) -> Sent | None:
        """Remember where the request goes; return what its mark says of the conversation."""
        moving.begin(self._journey(talk, decision, snapshot))
        if talk is None or decision.profile is None:
            return None
        place = talk.growth.end
        key = self.conversations.key(talk.root, talk.growth, place)
        standing = self._standing(talk, decision, snapshot)
        self.conversations.sent(key, standing)
        return Sent(key.hex(), standing.request, place, talk.last)

    def _standing(self, talk: Talk, decision: Decision, snapshot: Snapshot) -> Standing:
        now, before, kept = self.conversations.clock(), talk.standing, Step.KEPT in decision.steps
        found = Standing(
            name=decision.original_model,
            group=decision.group,
            tier=decision.tier,
            profile=decision.profile,
            reason=decision.reason,
            revision=decision.revision,
            at=now,
            kept=kept,
            placed_at=now,
            request=self.conversations.number(),
            held_since=snapshot.state.committed_at if kept else 0.0,
        )
        if talk.before is None or before is None:
            return found
        return replace(
            found,
            begun=True,
            profile=before.profile if kept else found.profile,
            made=talk.before.made,
            placed_at=before.placed_at,
            follows=(talk.before.key.hex(), before.request),
            held_since=(kept and before.held_since) or found.held_since,
        )

    def answered(self, sent: Sent | None, deployment_id: object) -> None:
        """Remember who answers a request whose mark says this of its conversation."""
        target = self._host.target(deployment_id) if sent and isinstance(deployment_id, str) else None
        if sent and target is not None:
            self.conversations.answered(sent, maker=target.maker, group=target.group)

    def ended(self, sent: Sent | None, deployment_id: object, answer: Iterable[Turn]) -> None:
        """Remember who has ended the answer to such a request, and by what its turns are known again."""
        if sent is not None:
            self.answered(sent, deployment_id)
            self.conversations.ended(sent, marks_of(answer))

    def _journey(self, talk: Talk | None, decision: Decision, snapshot: Snapshot) -> moving.Journey | None:
        if talk is None or not talk.begun or decision.profile is None:
            return None
        settled = self.conversations.clock() - snapshot.state.committed_at > DOUBT_SECONDS
        made = talk.before.made if talk.before else ()
        return moving.Journey(made, trusting=settled, continues=talk.continues)

    def _by_state(self, talk: Talk, decision: Decision, snapshot: Snapshot) -> Standing | None:
        """Where only the id of the last answer is sent: as if the conversation had been silent since the revision."""
        group = self._host.group_of(talk.continues) if talk.continues is not None else None
        if group is None:
            return None
        return Standing(
            name=decision.original_model,
            group=group,
            tier=decision.tier,
            profile=None,
            reason=decision.reason,
            revision=snapshot.revision - 1,
            at=snapshot.state.committed_at,
        )


def staying(decision: Decision, standing: Standing) -> Decision:
    """Return the Decision for a task's conversation that stays with its group."""
    return replace(decision, group=standing.group, steps=(*decision.steps, Step.KEPT))


def in_its_arm(decision: Decision, *, bent: bool = False) -> Decision:
    """Return the Decision without its arm where none of the two profiles has decided it: an earlier switch has left the
    conversation with a third one, or it is `bent` by the policy.
    """
    return replace(decision, arm=None) if bent or Step.KEPT in decision.steps else decision
