"""Routes `auto` requests in one proxy worker: classify, look up session and health, climb the ladder, tell who watches.

Synchronous and in memory: nothing here waits. It decides nothing itself, and keeps no text: a classification is
remembered under a keyed hash.
"""

from __future__ import annotations

import random
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from neuronode_router.auto import comparison
from neuronode_router.auto.deciding import Learned, decide_tier
from neuronode_router.auto.judge import AnswerJudge
from neuronode_router.auto.outcomes import Outcomes
from neuronode_router.classifier import Classification, Classifier
from neuronode_router.classifier.excerpt import Excerpt
from neuronode_router.classifier.excerpt import read as read_excerpt
from neuronode_router.domain.decisions import Decision, Step
from neuronode_router.domain.names import Tier
from neuronode_router.domain.rules import NothingFits, Stickiness
from neuronode_router.routing import conversation
from neuronode_router.routing.conversation import Conversation
from neuronode_router.routing.fallback_chain import Constraints, DeploymentStatus, Held, Warm
from neuronode_router.routing.fit import NO_NEEDS, Needs, described, unaccepted, why_not
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.residency import NOTHING_REQUIRED, Required
from neuronode_router.routing.sessions import Sessions, keyed_hash
from neuronode_router.routing.snapshot import Snapshot

REMEMBERED = 4096
"""Classifications kept for prompts that come again."""

Mode = Literal["on", "shadow", "off"]

Statuses = Callable[[], Mapping[str, Sequence[DeploymentStatus]]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as it matters to the route."""

    identity: str
    """Tells callers apart: a hash of the key, or a name."""
    max_tier: Tier = Tier.COMPLEX
    session: str | None = None
    """The session id that the client gave."""
    continues: str | None = None
    """The id of the deployment that keeps what was said before, as far as LiteLLM says."""
    kept: Held | None = None
    """Where a switch has left the conversation."""
    warm: Warm | None = None
    """What the conversation loses where it leaves its tier; None where that is nothing."""
    places: Required = NOTHING_REQUIRED
    """Where the request's data may go."""


@dataclass(frozen=True, slots=True)
class Routed:
    """One routed request: what was decided and from what. Its excerpt is text: to be dropped with the request."""

    decision: Decision
    """What is in force."""
    considered: Decision
    """What was decided: another one only while automatic routing is watched and not used."""
    classification: Classification | None
    excerpt: Excerpt | None
    """What was read, for those who learn from it; None where nothing had to be read."""
    sessions: tuple[bytes, ...]
    """Under which keys the request's way is remembered."""
    took_ms: float
    needs: Needs = NO_NEEDS
    unaccepted: tuple[str, ...] = ()
    """Parameters of the request that no deployment of the group takes: LiteLLM drops them, or refuses."""
    refusal: str | None = None
    """What the request needs that nothing has, where the profile refuses it for that."""
    conversation: bytes | None = None
    """Under which key the next request is known to follow; None where none can, or nobody learns from it."""
    place: int = 0
    """The number of its turn in the conversation, 0 where nobody has answered before it."""
    session: bytes | None = None
    """That of `sessions` which is its session's, where the profile keeps sessions together."""


Watcher = Callable[[Routed, str, Mapping[str, Any]], None]
"""Is told of each routed request, its caller's identity and its body. It must be quick, and may not keep the body."""


class AutoRouter:
    """`mode` "off" classifies nothing; with "shadow" the result is only told to `watchers`."""

    def __init__(
        self,
        *,
        classifier: Classifier,
        statuses: Statuses,
        mode: Mode = "on",
        watchers: Sequence[Watcher] = (),
        chance: Callable[[], float] = random.random,
        sessions: Sessions | None = None,
    ) -> None:
        self._classifier = classifier
        self._statuses = statuses
        self.mode = mode
        self._watchers = tuple(watchers)
        self._chance = chance
        self._salt = secrets.token_bytes(16)
        self._known: OrderedDict[bytes, Classification] = OrderedDict()
        """What was asked for last stands last."""
        self.sessions = sessions or Sessions()
        self.outcomes: Outcomes | None = None
        """What outcomes have taught; None while they do not count."""
        self.judge: AnswerJudge | None = None

    def use(self, classifier: Classifier) -> None:
        """Classify with another classifier from now on. What the old one said is forgotten."""
        self._classifier, self._known = classifier, OrderedDict()

    def classify(self, turns: Sequence[Mapping[str, object]] | str) -> Classification:
        """Return what a conversation asks for. Never raises."""
        return self._classified(read_excerpt(turns))

    def route(
        self, decision: Decision, body: Mapping[str, Any], *, snapshot: Snapshot, caller: Caller
    ) -> Routed:
        """Return the finished form of a Decision with `auto`, and tell the watchers. Raises nothing of its own."""
        routed = self.consider(decision, body, snapshot=snapshot, caller=caller)
        assert routed.decision.tier is not None
        if routed.sessions and routed.refusal is None:
            routed = replace(routed, sessions=tuple(self._remember(routed)))
        for watcher in self._watchers:
            watcher(routed, caller.identity, body)
        return routed

    def _remember(self, routed: Routed) -> Iterator[bytes]:
        """Remember where the request goes, and yield the keys under which who answers it is to be remembered."""
        assert routed.decision.tier is not None
        here = Held(routed.decision.tier, routed.decision.group)
        for key in routed.sessions:
            held: Held | None = here
            if key == routed.session:
                held = _of_session(self.sessions.held(key), routed.decision, here)
            if held is not None:
                self.sessions.hold(key, held)
            if held is here:
                yield key

    def rival(self, routed: Routed, caller: Caller, snapshot: Snapshot) -> str | None:
        """Return the group that a request which is sampled for the judge is compared with, None for all others."""
        decision = routed.decision
        if self.judge is None or decision.profile is None or not self.judge.samples():
            return None
        ladder = snapshot.ladders[decision.profile]
        return comparison.rival(decision, routed.needs, ladder=ladder, max_tier=caller.max_tier)

    def diverted_from(self, routed: Routed, snapshot: Snapshot) -> dict[str, str] | None:
        """Return kind, tier and group of a request that its text alone would have sent elsewhere, None otherwise."""
        decision, said = routed.decision, routed.classification
        if decision.instead is None or decision.profile is None or said is None:
            return None
        group = next(iter(snapshot.ladders[decision.profile].get(decision.instead, ())), "")
        return {"label": said.detail or said.task.value, "tier": decision.instead.value, "group": group}

    def answered(self, sessions: Sequence[bytes], deployment_id: object) -> None:
        """Remember which deployment answered a request that carries these session keys."""
        if isinstance(deployment_id, str):
            for session in sessions:
                self.sessions.answered(session, deployment_id)

    def consider(
        self, decision: Decision, body: Mapping[str, Any], *, snapshot: Snapshot, caller: Caller
    ) -> Routed:
        """Return what would be decided, without counting, remembering or telling anybody."""
        began = time.perf_counter()
        assert decision.profile is not None
        said = conversation.read(body)
        if caller.places:
            said = replace(said, needs=replace(said.needs, places=caller.places))
        profile = snapshot.profiles[decision.profile]
        excerpt, classification = self._read(decision, said)
        # What a front end asks in passing is no part of the session that it asks about.
        in_passing = excerpt is not None and excerpt.errand is not None
        sticky = profile.stickiness is not Stickiness.OFF and not in_passing
        loop, session = self._sessions(said, caller, decision, sticky=sticky)
        sessions = tuple(key for key in (loop, session) if key is not None)
        tiers, groups = snapshot.ladders[profile.name], self._statuses()
        state = _with_state(caller.continues, tiers, groups)
        constraints = Constraints(
            tier=profile.uncertain,
            why=Step.AUTO_OFF,
            max_tier=caller.max_tier,
            policy=profile.on_overload,
            needs=said.needs,
            stickiness=profile.stickiness,
            held=state or self._held(sessions, in_tool_loop=said.in_tool_loop, sticky=sticky),
            continued=state is not None,
            in_tool_loop=said.in_tool_loop,
            chance=self._chance(),
            too_cheap=profile.too_cheap,
            too_dear=profile.too_dear,
            warm=caller.warm,
        )
        considered = in_force = decide_tier(
            decision,
            classification,
            constraints,
            tiers=tiers,
            groups=groups,
            learned=self._learned(),
        )
        if self.mode == "shadow" and classification is not None:
            watched = replace(constraints, why=Step.SHADOW)
            in_force = decide_tier(decision, None, watched, tiers=tiers, groups=groups)
        # What a provider keeps of a response says more than where a switch has left its conversation.
        if (
            state is None
            and caller.kept is not None
            and not why_not(_deployments(caller.kept.group, groups), said.needs)
        ):
            considered, in_force = _kept(considered, caller.kept), _kept(in_force, caller.kept)
        return Routed(
            decision=in_force,
            considered=considered,
            classification=classification,
            excerpt=excerpt,
            sessions=sessions,
            session=session,
            took_ms=(time.perf_counter() - began) * 1000,
            needs=said.needs,
            unaccepted=_unaccepted(groups.get(in_force.group, ()), said.needs),
            refusal=_refusal(in_force, said.needs, groups, profile.nothing_fits),
            conversation=None if in_passing or excerpt is None else self._conversation(said, caller),
            place=conversation.answered_place(said),
        )

    def _learned(self) -> Learned | None:
        if self.outcomes is None:
            return None
        return Learned(self.outcomes.known, chance=self._chance())

    def _read(self, decision: Decision, said: Conversation) -> tuple[Excerpt | None, Classification | None]:
        if self.mode == "off" or decision.tier is not None:
            return None, None
        excerpt = read_excerpt(said.turns, system=said.system)
        return excerpt, self._classified(excerpt)

    def _classified(self, excerpt: Excerpt) -> Classification:
        said = [str(excerpt.length), str(excerpt.errand)]
        for part in excerpt.parts:
            said += ("", *part)
        key = keyed_hash(self._salt, *said)
        remembered = self._known  # another thread may change classifiers meanwhile
        known = remembered.pop(key, None) or self._classifier.classify_excerpt(excerpt)
        if len(remembered) >= REMEMBERED:
            remembered.popitem(last=False)
        remembered[key] = known
        return known

    def _sessions(
        self, said: Conversation, caller: Caller, decision: Decision, *, sticky: bool
    ) -> tuple[bytes | None, bytes | None]:
        """Return the key of the request's tool loop, and that of its session, as far as they matter."""
        loop = session = None
        if said.known_by:
            # Programs may say the same under one key at the same time, and want other tiers for it.
            wish = (decision.original_model, decision.tier or "")
            whose = (caller.identity, caller.session or "", *wish, str(said.place))
            loop = self.sessions.key("loop", *whose, *said.known_by)
        if sticky and caller.session is not None:
            session = self.sessions.key("session", caller.identity, caller.session)
        return loop, session

    def _conversation(self, said: Conversation, caller: Caller) -> bytes | None:
        if self.outcomes is None or said.in_tool_loop:
            return None
        if caller.session is not None:
            return self.sessions.key("followed", caller.identity, caller.session)
        opening = conversation.opening(said)
        return self.sessions.key("opened", caller.identity, *opening) if opening else None

    def _held(self, sessions: Sequence[bytes], *, in_tool_loop: bool, sticky: bool) -> Held | None:
        """A loop goes on where it began; another request of a session where that went last."""
        keys = sessions if in_tool_loop else sessions[-1:] if sticky else ()
        return next((held for key in keys if (held := self.sessions.held(key)) is not None), None)


_OF_ONE_REQUEST = frozenset({Step.FORCED_TIER, Step.TRIED})


def _of_session(before: Held | None, decision: Decision, here: Held) -> Held | None:
    """Return what is remembered of a session: its first tier, which load moves no more than a tier that one request
    names or is tried on; None before it has any.
    """
    if before is None and not _OF_ONE_REQUEST.isdisjoint(decision.steps):
        return None
    first = before.tier if before else decision.wanted or here.tier
    return here if first is here.tier else before or replace(here, tier=first)


def _with_state(
    deployment_id: str | None,
    tiers: Mapping[Tier, Sequence[str]],
    groups: Mapping[str, Sequence[DeploymentStatus]],
) -> Held | None:
    """Return where a deployment stands in the profile's ladder; None where it does not."""
    if deployment_id is None:
        return None
    places = ((tier, name) for tier, names in tiers.items() for name in names)
    return next(
        (
            Held(tier, name, deployment_id)
            for tier, name in places
            if any(entry.deployment.id == deployment_id for entry in groups.get(name, ()))
        ),
        None,
    )


def _unaccepted(statuses: Sequence[DeploymentStatus], needs: Needs) -> tuple[str, ...]:
    each = [unaccepted(entry.deployment, needs) for entry in statuses]
    return tuple(sorted(frozenset.intersection(*each))) if each else ()


def _refusal(
    decision: Decision,
    needs: Needs,
    groups: Mapping[str, Sequence[DeploymentStatus]],
    policy: NothingFits,
) -> str | None:
    if Step.NOTHING_FITS not in decision.steps or policy is NothingFits.LEAST_BAD:
        return None
    names = (decision.group, *decision.ladder)
    return described([entry for name in names for entry in _deployments(name, groups)], needs)


def _deployments(group: str, groups: Mapping[str, Sequence[DeploymentStatus]]) -> list[Deployment]:
    return [entry.deployment for entry in groups.get(group, ())]


def _kept(decision: Decision, held: Held) -> Decision:
    """Return the Decision with the group that the conversation stays with before all others."""
    rungs = list(zip((decision.group, *decision.ladder), decision.tiers, strict=False))
    others = [(group, tier) for group, tier in rungs if group != held.group]
    return replace(
        decision,
        group=held.group,
        ladder=tuple(group for group, _ in others),
        tiers=(held.tier, *(tier for _, tier in others)),
        tier=held.tier,
        wanted=held.tier,
        steps=(Step.KEPT,),
        instead=None,
        left_out=tuple(entry for entry in decision.left_out if entry[0] != held.group),
        keep=held.deployment_id,
    )
