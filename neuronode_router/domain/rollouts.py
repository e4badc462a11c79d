"""The canary of a rollout, and which profiles can answer while there is one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType

from neuronode_router.domain.bindings import Bindings
from neuronode_router.domain.names import STABLE_ALIAS_PROFILE
from neuronode_router.domain.profiles import Profile, ProfileEdit, ProfileSet


def in_use(active: str, bindings: Bindings, canary: Canary | None) -> tuple[str, ...]:
    """Return the names of the profiles that answer somebody who chose none, sorted."""
    bound = {name for binding in bindings.values() for name in binding.profiles}
    tried = {canary.profile} if canary else set()
    return tuple(sorted({active, STABLE_ALIAS_PROFILE} | tried | bound))


class Arm(StrEnum):
    """Which of the two profiles of a rollout answers."""

    CONTROL = "control"
    """The active one."""
    CANARY = "canary"
    """The one that is tried."""


@dataclass(frozen=True, slots=True)
class Canary:
    """The second arm of a revision: another profile than the active one answers a share of those who chose none."""

    rollout: str
    """The id of the rollout that it belongs to."""
    profile: str
    """Its name; `edited_name` of the active one where an edit of that is tried."""
    salt: str
    """Hexadecimal; keys the hash by which arms are chosen: another one in each rollout."""
    share: int
    """Thousandths of the conversations."""
    since: float
    """Unix time at which the share became that: who was placed before is not compared with those placed after."""
    edit: ProfileEdit | None = None
    """What is tried of the active profile; None where it is another profile that is tried."""

    def __str__(self) -> str:
        """Return it as receipts and the audit log tell it."""
        edit = f" ({self.edit})" if self.edit else ""
        return f"{self.profile} {self.share / 10:g} %{edit}"


def canary_text(canary: Canary | None) -> str:
    """Return a canary as canonical JSON; the empty text where there is none."""
    if canary is None:
        return ""
    told = {each.name: getattr(canary, each.name) for each in fields(canary)}
    told["edit"] = canary.edit.to_document() if canary.edit else None
    # What has none reads as it did before there were edits.
    told = {name: value for name, value in told.items() if value is not None}
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def canary_from_text(text: str) -> Canary | None:
    """Rebuild a canary from `canary_text`'s form."""
    if not text:
        return None
    told = json.loads(text)
    edit = told.pop("edit", None)
    return Canary(**told, edit=ProfileEdit.from_document(edit) if edit else None)


def answering(profiles: ProfileSet, active: str, canary: Canary | None) -> Mapping[str, Profile]:
    """Return the profiles that can answer requests, by name: those of the files, and the edited one that is tried.

    Raises `KeyError` where an edit of a profile is tried that the set does not have.
    """
    if canary is None or canary.edit is None:
        return profiles.profiles
    tried = canary.edit.of(profiles.profiles[active], name=canary.profile)
    return MappingProxyType({**profiles.profiles, tried.name: tried})
