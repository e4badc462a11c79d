"""Requests with personal data: where their profiles let them go.

What is personal the text tells (`routing.personal_data`); it is read once a request, and only where a profile that may
decide it has a rule. It must not know who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from neuronode_router.domain import PersonalDataRule, Profile
from neuronode_router.errors import NotAllowed
from neuronode_router.routing.personal_data import PersonalDataKind, kinds_in
from neuronode_router.routing.residency import LOCAL

NOTHING: frozenset[PersonalDataKind] = frozenset()


class PersonalData:
    """What one request holds, under the rules of profiles, and under the caller's own whichever of them decides.

    `profiles` are at least those that have a rule.
    """

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        data: Mapping[str, Any],
        own: PersonalDataRule = PersonalDataRule.ALLOW,
    ) -> None:
        self._profiles = profiles
        self._data = data
        self._own = own

    @cached_property
    def kinds(self) -> frozenset[PersonalDataKind]:
        """The kinds that the request holds. The first look reads all of its text."""
        return kinds_in(self._data)

    @property
    def is_free(self) -> bool:
        """Whether nobody has a rule: then nothing is looked at."""
        return not self._profiles and self._own is PersonalDataRule.ALLOW

    def rule(self, name: str | None) -> PersonalDataRule:
        """Return what holds under a profile; of one that is gone the requests are refused anyway."""
        profile = self._profiles.get(name or "")
        return self._own if profile is None else PersonalDataRule.strictest(self._own, profile.personal_data)

    def found_under(self, names: Iterable[str]) -> frozenset[PersonalDataKind]:
        """Return the kinds that one of the profiles has a rule for; nothing is read where none has."""
        if self.is_free or all(self.rule(name) is PersonalDataRule.ALLOW for name in names):
            return NOTHING
        return self.kinds

    def is_kept_local(self, names: Iterable[str]) -> bool:
        """Return whether one of the profiles keeps this request on the own machines."""
        if self.is_free or all(self.rule(name) is not PersonalDataRule.LOCAL for name in names):
            return False
        return bool(self.kinds)

    def places(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return where the profiles, together, let this request go; nothing is anywhere."""
        return (LOCAL,) if self.is_kept_local(names) else ()

    def refusal(self, names: Iterable[str]) -> NotAllowed | None:
        """Return why a request is refused that these profiles decide, None where it is not."""
        if self.is_free:
            return None
        strict = [name for name in sorted(names) if self.rule(name) is PersonalDataRule.REFUSE]
        if not strict or not self.kinds:
            return None
        own = self._own is PersonalDataRule.REFUSE
        who = "this key or its team" if own else f"the profile {strict[0]!r}"
        whose = "of the key or its team" if own else "of the profile"
        return NotAllowed(
            f"This request holds personal data ({', '.join(sorted(self.kinds))}), which {who} refuses.",
            fix=f"Take it out of the request, also out of earlier turns, or have the personal_data {whose} say local.",
        )
