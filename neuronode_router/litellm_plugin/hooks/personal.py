"""Requests with personal data: where their profiles let them go.

What is personal the text tells (`routing.personal_data`); it is read once a request, and only where a profile that may
decide it has a rule. It must not know who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from neuronode_router.domain.profiles import Profile
from neuronode_router.domain.rules import PersonalDataRule
from neuronode_router.errors import HoldsPersonalData
from neuronode_router.litellm_plugin.hooks import request_metadata
from neuronode_router.litellm_plugin.hooks.admission_host import AdmissionHost
from neuronode_router.litellm_plugin.hooks.response_state import all_with_state
from neuronode_router.routing.personal_data import PersonalDataKind, kinds_in
from neuronode_router.routing.residency import LOCAL

NOTHING: frozenset[PersonalDataKind] = frozenset()
RESTRICTING = (PersonalDataRule.LOCAL, PersonalDataRule.REFUSE)


class PersonalData:
    """What one request holds, under the rules of profiles, and under the caller's own whichever of them decides.

    `profiles` are at least those that have a rule. `host` tells where what was said before is kept.
    """

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        data: Mapping[str, Any],
        own: PersonalDataRule = PersonalDataRule.ALLOW,
        host: AdmissionHost | None = None,
    ) -> None:
        self._host = host
        self._profiles = profiles
        self._data = data
        self._own = own

    @cached_property
    def kinds(self) -> frozenset[PersonalDataKind]:
        """The kinds that the request holds. The first look reads all of its text."""
        return kinds_in(outgoing(self._data))

    @cached_property
    def continues_at_home(self) -> bool:
        """Whether it goes on from what the own machines keep, or nobody knows who: LiteLLM may send that along, and
        nobody reads it here. What is kept elsewhere has been there already.
        """
        return self._host is not None and any(
            known is None
            or (place := self._host.places.of(known)) == LOCAL
            or (place is None and self._host.named(known) is None)
            for known in all_with_state(self._data)
        )

    def rule(self, name: str | None) -> PersonalDataRule:
        """Return what holds under a profile; of one that is gone the requests are refused anyway."""
        profile = self._profiles.get(name or "")
        return self._own if profile is None else PersonalDataRule.strictest(self._own, profile.personal_data)

    def found_under(self, names: Iterable[str]) -> frozenset[PersonalDataKind]:
        """Return the kinds that one of the profiles has a rule for; nothing is read where none has."""
        return self.kinds if self._under(names, *RESTRICTING) else NOTHING

    def is_kept_local(self, names: Iterable[str]) -> bool:
        """Return whether one of the profiles keeps this request on the own machines."""
        return bool(self._kept(names))

    def places(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return where the profiles, together, let this request go; nothing is anywhere."""
        return (LOCAL,) if self.is_kept_local(names) else ()

    def refusal(self, names: Iterable[str]) -> HoldsPersonalData | None:
        """Return why a request is refused that these profiles decide, None where it is not."""
        strict = self._under(names, PersonalDataRule.REFUSE)
        if not strict:
            return None
        who, whose = self._whose(PersonalDataRule.REFUSE, strict[0])
        return HoldsPersonalData(
            f"This request {self._held()}, which {who} refuses.",
            fix=f"{_OUT}, or have the personal_data {whose} say local.",
            kinds=sorted(self.kinds),
        )

    def kept_from(
        self, names: Iterable[str], group: str, found: Iterable[str | None]
    ) -> HoldsPersonalData | None:
        """Return why a request is kept from a group none of whose deployments, which are at the places `found`, is on
        the own machines; None where it is not its personal data that these profiles keep there.
        """
        local = self._kept(names)
        if not local:
            return None
        who, _ = self._whose(self.rule(local[0]), local[0])
        where = ", ".join(sorted({place or "at an unknown place" for place in found}))
        return HoldsPersonalData(
            f"This request {self._held()}, which {who} keeps on the own machines, and no deployment of the model group "
            f"{group!r} is there ({where}).",
            fix=f"{_OUT if self.kinds else 'Begin a new conversation'}, or have the profile name a group on the own "
            "machines for the task or in a tier.",
            kinds=sorted(self.kinds),
        )

    def _kept(self, names: Iterable[str]) -> list[str]:
        """Return the profiles that keep the request on the own machines."""
        known = sorted(names)
        if kept := self._under(known, PersonalDataRule.LOCAL):
            return kept
        ruled = [name for name in known if self.rule(name) in RESTRICTING]
        return ruled if ruled and self.continues_at_home else []

    def _under(self, names: Iterable[str], *rules: PersonalDataRule) -> list[str]:
        """Return the profiles under which one of these rules holds for the request; it is read only where one does."""
        found = sorted(name for name in names if self.rule(name) in rules)
        return found if found and self.kinds else []

    def _whose(self, rule: PersonalDataRule, profile: str) -> tuple[str, str]:
        if self._own is rule:
            return "this key or its team", "of the key or its team"
        return f"the profile {profile!r}", "of the profile"

    def _held(self) -> str:
        if not self.kinds:
            return "goes on from what was said before, which nobody can read here and which may hold personal data"
        if self.kinds == {PersonalDataKind.UNREADABLE}:
            return (
                "holds tokens in the place of text, which nobody can read, or more than is read of one request, and "
                "counts as one with personal data"
            )
        return f"holds personal data ({', '.join(sorted(self.kinds))})"


_OUT = "Take it out of the request, also out of earlier turns"


def outgoing(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a request may be sent to a provider: all but what LiteLLM and we note for ourselves."""
    sent = {key: value for key, value in data.items() if key not in request_metadata.LITELLMS}
    written = data.get("metadata")
    if isinstance(written, Mapping) and request_metadata.BUCKETS[0] not in data:
        # Here LiteLLM keeps its notes in the client's own metadata; a copy says what the client wrote.
        theirs = written.get("requester_metadata")
        written = {
            key: value
            for key, value in (theirs if isinstance(theirs, Mapping) else {}).items()
            if key != "headers" and not key.startswith("user_api_key")
        }
    return sent | {"metadata": written}
