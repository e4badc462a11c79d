"""What admission knows of the conversation that a request belongs to: where it is, whether it stays, who wrote it.

`routing.conversations` has the rules. It is asked before a request's way is decided, then told it and who answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from neuronode_router.domain.decisions import Decision, Step
from neuronode_router.litellm_plugin.hooks import moving
from neuronode_router.routing import arms
from neuronode_router.routing.caches import WARM_SECONDS, CacheShares
from neuronode_router.routing.conversation import read_opening
from neuronode_router.routing.conversations import (
    DOUBT_SECONDS,
    Conversations,
    Made,
    Standing,
    is_kept,
)
from neuronode_router.routing.fallback_chain import Warm
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

    key: bytes
    turns: int
    begun: bool
    standing: Standing | None
    continues: str | None
    """The deployment that keeps what was said before."""
    root: bytes
    """What all of its requests have in common."""


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
        opening = read_opening(data)
        keys = self.conversations.keys(opening, caller=caller, session=session or "")
        begun = opening.begun or continues is not None
        standing = self.conversations.find(keys) if opening.begun else None
        return Talk(keys[0], opening.turns, begun, standing, continues, root=keys[-1])

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

    def sent(self, talk: Talk | None, decision: Decision, snapshot: Snapshot) -> tuple[str, int] | None:
        """Remember where the request goes; return what its mark says of the conversation."""
        moving.begin(self._journey(talk, decision, snapshot))
        if talk is None or decision.profile is None:
            return None
        before, kept = talk.standing, Step.KEPT in decision.steps
        self.conversations.sent(
            talk.key,
            Standing(
                name=decision.original_model,
                group=decision.group,
                tier=decision.tier,
                profile=before.profile if before and kept else decision.profile,
                reason=decision.reason,
                revision=decision.revision,
                at=self.conversations.clock(),
                begun=talk.begun,
                kept=kept,
                made=before.made if before else (),
                placed_at=before.placed_at if before else self.conversations.clock(),
            ),
        )
        return talk.key.hex(), talk.turns

    def answered(self, known: tuple[bytes, int] | None, deployment_id: object) -> None:
        """Remember who answered a request whose mark says this of its conversation."""
        target = self._host.target(deployment_id) if known and isinstance(deployment_id, str) else None
        if known and target is not None:
            self.conversations.answered(known[0], Made(known[1], target.maker, target.group))

    def _journey(self, talk: Talk | None, decision: Decision, snapshot: Snapshot) -> moving.Journey | None:
        if talk is None or not talk.begun or decision.profile is None:
            return None
        made = talk.standing.made if talk.standing else ()
        settled = self.conversations.clock() - snapshot.state.committed_at > DOUBT_SECONDS
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
