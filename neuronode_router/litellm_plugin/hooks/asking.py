"""One request and who asks: where each of its names leads, what of that the caller may reach, and its fallbacks.

It reads bodies by `routing.targets` and judges by `routing.passage` and LiteLLM's own lists; it calls nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import litellm
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.access import may_override
from neuronode_router.domain.decisions import Decision, Step
from neuronode_router.domain.names import TIERS, Tier
from neuronode_router.domain.profiles import Profile
from neuronode_router.domain.rules import PersonalDataRule
from neuronode_router.errors import InvalidRequest, NotAllowed, UnknownProfile
from neuronode_router.litellm_plugin.hooks import affording, purse, request_metadata
from neuronode_router.litellm_plugin.hooks.admission_host import AdmissionHost
from neuronode_router.litellm_plugin.hooks.affording import Way
from neuronode_router.litellm_plugin.hooks.calls import MAX_NAMES
from neuronode_router.litellm_plugin.hooks.gate import Free, Passing, above, is_listed, kept_out, outside
from neuronode_router.litellm_plugin.hooks.operators_fallbacks import GENERAL, follow
from neuronode_router.litellm_plugin.hooks.personal import PersonalData
from neuronode_router.routing import targets
from neuronode_router.routing.admit import admit
from neuronode_router.routing.arms import Placement
from neuronode_router.routing.binding import bound_profile
from neuronode_router.routing.passage import Passage
from neuronode_router.routing.residency import NOTHING_REQUIRED, Required, is_within, required
from neuronode_router.routing.snapshot import Snapshot


class Asking:
    """One request of one caller, on one snapshot."""

    def __init__(
        self,
        host: AdmissionHost,
        snapshot: Snapshot,
        user: UserAPIKeyAuth,
        data: dict[str, Any],
        *,
        also: frozenset[str] = frozenset(),
    ) -> None:
        """`also` are profiles whose rules for data hold whatever decides the request."""
        self.host = host
        self.snapshot = snapshot
        self.user = user
        self.data = data
        self.principal = host.principal(user)
        self._bound: str | None = None
        if snapshot.state.bindings:
            self._bound = bound_profile(
                snapshot.state.bindings,
                key=self.principal.identity,
                team=self.principal.team,
                spent=partial(host.spent, user),
            )
        self.is_listed = is_listed(user)
        self._granted: set[str] = set()
        self._deciding = self._bound or snapshot.state.active
        self._approved: set[str] = set()
        self._unnamed = False
        self.placement: Placement | None = None
        """The arm of the request, None while no rollout runs."""
        self.personal = PersonalData(snapshot.confined, data, self.principal.personal_data, host)
        self._also = also
        self._decided = {self._deciding, *also}
        self.places = self._required(self._decided)
        """Where the request's data may go, by what is known of it so far."""

    @property
    def identity(self) -> str:
        """What tells callers apart: a hash of the key, or a name."""
        return self.user.token or self.principal.name

    @property
    def is_denied(self) -> bool:
        """Whether there is anything that the caller may not reach."""
        return self.is_capped or self.is_listed or self._bound is not None or bool(self.places)

    @property
    def is_unreadable(self) -> bool:
        """Whether a call whose content nobody reads is kept from the caller: he is limited, or his profile looks for
        personal data.
        """
        return self.is_denied or self.has_rule

    @property
    def has_rule(self) -> bool:
        """Whether caller or profile look for personal data."""
        return self.personal.rule(self._deciding) is not PersonalDataRule.ALLOW

    @property
    def is_capped(self) -> bool:
        """Whether the caller has a cap."""
        return self.principal.max_tier is not TIERS[-1]

    def highest(self, decision: Decision) -> Tier:
        """Return the highest tier of an `auto` request of this caller."""
        return self.snapshot.highest(decision, self.principal.max_tier)

    def is_bent(self, decision: Decision) -> bool:
        """Return whether the policy has decided where a request goes, and not its profile."""
        capped = Step.CAPPED in decision.steps and self.highest(decision) is not self.principal.max_tier
        return capped or Step.POLICY in decision.steps

    def decide(self, name: str) -> Decision:
        """Return what a name means to this caller. Raises `NotAllowed` and `UnknownProfile`."""
        decision = admit(
            self.snapshot,
            name,
            wanted_profile=request_metadata.wish(self.data, request_metadata.PROFILE_HEADER),
            may_override=self._may_override,
            bound=lambda: self._bound,
            tries=self.placement is not None and self.placement.tries,
        )
        return self.at_home(decision)

    def at_home(self, decision: Decision) -> Decision:
        """Return where a request goes that holds personal data under a rule: to the heaviest tier on the own machines.

        Where there is none it stays as it is, and is refused. Any other goes where it goes.
        """
        if (
            decision.auto
            or decision.profile is None
            or not self.personal.is_kept_local({decision.profile, *self._also})
        ):
            return decision
        places = self.places_under(decision)
        if self.stays(decision.group, places):
            return decision
        ladder, highest = self.snapshot.ladders[decision.profile], TIERS.index(self.highest(decision))
        groups = (group for tier in TIERS[highest::-1] for group in ladder[tier])
        local = next((group for group in groups if self.stays(group, places)), None)
        return (
            replace(decision, group=local, steps=(*decision.steps, Step.PERSONAL_DATA)) if local else decision
        )

    async def enter(self, ways: Sequence[Way]) -> None:
        """Judge where the request's own names lead. Raises `NotAllowed`."""
        self._deciding = ways[0].decision.profile or self._deciding
        self._decide_places({way.decision.profile or self._deciding for way in ways})
        self._granted.update(way.decision.group for way in ways if _is_mapped(way.decision))
        door = None
        for way in ways:
            group = way.decision.group
            if way.decision.profile is None and self.is_denied:
                named = self.host.named(group)
                self._unnamed = self._unnamed or named is None
                group = named or group
            if self.is_capped and not self.passage.reaches(group):
                raise above(way.name, group)
            if not self.stays(group, self.places):
                found = self.host.places.of_group(group)
                if refusal := self.personal.kept_from(self._decided, group, found):
                    raise refusal
                raise outside(group, self.places, found)
            if door is None:
                door = _judged_at_the_door(self.user, self.data)
            if not await self._may_use(way.name, way.decision.group, at_door=way.name in door):
                raise kept_out(way.decision)
            self._approved.add(group)

    def elsewhere(self, *profiles: str) -> None:
        """Judge the content of what goes where LiteLLM alone leads it. Raises `HoldsPersonalData`.

        `profiles` would have decided it: what they require of data holds as well.
        """
        self._decide_places({self._deciding, *profiles})

    async def settle_fallbacks(self, ways: Sequence[Way]) -> None:
        """Write the request's fallbacks: the ladders, then the client's as far as it may reach them, else the
        operator's. Raises `InvalidRequest` where they are nothing that LiteLLM takes.
        """
        data = self.data
        leads: targets.Leads = {}
        theirs: dict[str, tuple[targets.Fallback, ...]] = {}
        if targets.has_fallbacks(data):
            targets.take_over(data)
            _read_as_litellm(data)
            theirs = {field: targets.read_fallbacks(data.get(field)) for field in targets.FALLBACK_FIELDS}
            leads = await self._leads(name for entries in theirs.values() for name in targets.names(entries))
        named = {way.name: way.decision.group for way in ways}
        configured = self.host.fallbacks()
        reaches = self._reaches if self.is_capped or self.places or purse.is_empty() else None
        for field in targets.FALLBACK_FIELDS:
            ladders = {
                way.decision.group: way.decision.ladder
                for way in ways
                if way.decision.auto and field == GENERAL
            }
            if field in data:
                client = targets.led(theirs[field], leads, strict=self.is_denied)
                own = [replace(entry, group=named.get(entry.group or "", entry.group)) for entry in client]
                first = dict.fromkeys(named.values(), ()) | ladders
                data[field] = targets.written(own, first, by_group=field != GENERAL)
            else:
                found = follow(configured.get(field, ()), named, ladders, reaches=reaches)
                if found is not None:
                    data[field] = found

    def anew(self) -> Asking:
        """Return the same request with nothing decided yet, but its data: that stays where this one's must."""
        return Asking(self.host, self.snapshot, self.user, self.data, also=frozenset(self._decided))

    def places_of(self, profile: str) -> Required:
        """Return where the data may go of a request that a profile decides."""
        return self._required({profile, *self._also})

    async def admit_again(self, decision: Decision) -> Passing | Free:
        """Return what the gate must know of the same request where another profile sends it, unseen by its client.

        Raises `NotAllowed`, and what the host raises.
        """
        await self.enter([Way(decision.original_model, decision)])
        state = self.passing()
        # Nothing of it is LiteLLM's own call for its operator, whatever the client's body says.
        return state if isinstance(state, Free) else replace(state, said=lambda _model, _group: True)

    def _reaches(self, group: str) -> bool:
        return (
            self.passage.reaches(group)
            and self.stays(group, self.places)
            and affording.pays_for(self.host, group)
        )

    @property
    def passage(self) -> Passage:
        """What the request may reach, by what is known of it so far."""
        return Passage(self.principal.max_tier, frozenset(self._granted), self._tier_of)

    def places_under(self, decision: Decision) -> Required:
        """Return where the data may go of a request that is decided so."""
        return self.places_of(decision.profile or self._deciding)

    def stays(self, group: str, places: Required) -> bool:
        """Return whether a deployment of a group may be asked. What is no group the gate will judge."""
        if not places:
            return True
        found = self.host.places.of_group(group)
        return not found or any(is_within(place, places) for place in found)

    def passing(self) -> Passing | Free:
        """Return what the gate must know."""
        if not (self.is_capped or self.is_listed):
            return Free(self.places)
        return Passing(
            self.user,
            self.passage,
            listed=self.is_listed,
            approved=self._approved,
            unnamed=self._unnamed,
            said=self._said,
            places=self.places,
        )

    async def settle_tools(self) -> None:
        """Write the groups that tools may ask in the place of the names. Raises `NotAllowed` for one out of reach."""
        leads: dict[str, str] = {}
        names = dict.fromkeys(targets.of_tools(self.data))
        if len(names) > MAX_NAMES:
            raise InvalidRequest(f"The tools of the request ask for more than {MAX_NAMES} models.")
        for name in names:
            decision = self.decide(name)
            found: tuple[str, ...]
            if decision.profile is None and not self.is_denied:
                found = (name,) if await self._may_use(name, name, at_door=False) else ()
            else:
                found = await self._lead(name)
            if not found:
                raise NotAllowed(
                    f"This key may not use the model {name!r}, which a tool of the request asks for.",
                    fix="Have the tool ask for a task or a group that the key may use.",
                )
            leads[name] = found[0]
        targets.lead_tools(self.data, leads)

    def personal_mark(self) -> dict[str, str]:
        """Return what the stamp says of personal data that was found under a rule."""
        found = self.personal.found_under(self._decided)
        return {request_metadata.PERSONAL: ",".join(sorted(found))} if found else {}

    def _said(self, model: str, group: str | None) -> bool:
        """Return whether anything in the client's body is this name, or a name that leads to this group."""
        said = targets.spoken(request_metadata.client_body(self.data))
        if said is None or model in said or group in said:
            return True
        return group is not None and any(self.host.named(name) == group for name in said)

    async def _leads(self, names: Iterable[str]) -> targets.Leads:
        found: dict[str, tuple[str, ...]] = {}
        for name in islice(names, MAX_NAMES):  # further ones lead nowhere
            if name not in found:
                found[name] = await self._lead(name)
        return found

    async def _lead(self, name: str) -> tuple[str, ...]:
        """Return what takes a fallback's place, nothing where the caller may not reach it."""
        try:
            decision = self.decide(name)
        except (NotAllowed, UnknownProfile):
            return ()
        # What a stricter profile decides makes the whole request stay where that profile says.
        stricter = self._decided | {decision.profile or self._deciding}
        if self.personal.refusal(stricter):
            return ()
        places = self._required(stricter)
        group = self._lightened(decision, places) if decision.auto else decision.group
        if group is None:
            return ()
        known = self.host.named(group) or group if self.is_denied else group
        if not self.stays(known, places) or not affording.pays_for(self.host, known):
            return ()
        granted = {group} if _is_mapped(decision) else set()
        if not replace(self.passage, granted=self.passage.granted | granted).reaches(known):
            return ()
        if not await self._may_use(name, group, at_door=False):
            return ()
        self._decide_places(stricter)
        self._granted |= granted
        self._approved.add(known)
        return (group,)

    def _lightened(self, decision: Decision, places: Required) -> str | None:
        """Return where `auto` leads as a fallback: the first group of its tier, or a lighter one, in reach."""
        assert decision.profile is not None
        profile = self.snapshot.profiles[decision.profile]
        highest = min(TIERS.index(decision.tier or profile.uncertain), TIERS.index(self.highest(decision)))
        ladder = self.snapshot.ladders[decision.profile]
        groups = (group for tier in TIERS[highest::-1] for group in ladder[tier])
        return next((group for group in groups if self.stays(group, places)), None)

    def _required(self, profiles: set[str]) -> Required:
        known = self.snapshot.confined
        if not known and not self.principal.confines:
            return NOTHING_REQUIRED
        # A binding may lead to a profile that is gone: what it names is refused then.
        named = (known[name].residency for name in sorted(profiles) if name in known)
        return required(self.principal.residency, self.personal.places(profiles), *named)

    def _decide_places(self, profiles: set[str]) -> None:
        profiles = profiles | self._also
        if refusal := self.personal.refusal(profiles):
            raise refusal
        if profiles != self._decided:
            self._decided, self.places = profiles, self._required(profiles)

    async def _may_use(self, name: str, group: str, *, at_door: bool) -> bool:
        """Return whether LiteLLM's lists let the caller use a name or a group.

        It has judged what it saw at the door. Of anything else LiteLLM alone can tell: members and users have lists
        that no key shows.
        """
        if at_door:
            return await self.host.may_use(self.user, name, group)
        return await self.host.grants(self.user, name, group)

    def _may_override(self, profile: Profile) -> bool:
        return may_override(self.principal, profile)

    def _tier_of(self, group: str) -> Tier | None:
        return self.snapshot.tier_of(group, profile=self._deciding, noted=self.host.noted_tier)


def _is_mapped(decision: Decision) -> bool:
    """Return whether the operator's profile maps the very task to the group: that is a grant, whatever its tier."""
    return decision.profile is not None and not decision.auto and _NOT_AS_MAPPED.isdisjoint(decision.steps)


_NOT_AS_MAPPED = frozenset({Step.GROUP_MISSING, Step.PERSONAL_DATA, Step.KEPT})


def _judged_at_the_door(user: UserAPIKeyAuth, data: Mapping[str, Any]) -> set[str]:
    """Return the names by which LiteLLM let the request in, also as its aliases translate them.

    They are those of the body. What is called may stand in the path or the query, which LiteLLM judges of some routes
    only.
    """
    said = (request_metadata.sent_body(data) or {}).get("model")
    if not isinstance(said, str):
        return set()
    found = {said, *targets.asked(said, several=True)}
    for aliases in (user.aliases, user.team_model_aliases, litellm.model_alias_map):
        if isinstance(aliases, Mapping):
            found |= {target for name in found if isinstance(target := aliases.get(name), str)}
    return found


def _read_as_litellm(data: dict[str, Any]) -> None:
    """Take out of a request the fallbacks that LiteLLM passes over, and raise `InvalidRequest` for what it refuses."""
    for field in targets.FALLBACK_FIELDS:
        given = data.get(field)
        if isinstance(given, str):
            del data[field]
        elif given is not None and not isinstance(given, list | tuple):
            raise InvalidRequest(f"The field {field} is no list.")
