"""Who may do what: roles, principals, and the rules as pure functions.

It must not know keys, files, HTTP or LiteLLM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from neuronode_router.domain.bindings import Binding
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import Profile
from neuronode_router.domain.rules import PersonalDataRule
from neuronode_router.errors import NotAllowed

EVERY_PROFILE = "*"
"""In a principal's `profiles`: every profile there is."""


class Role(StrEnum):
    """An admin reads and writes, a viewer reads, a member reads what concerns its team."""

    ADMIN = "admin"
    VIEWER = "viewer"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Principal:
    """A known caller."""

    name: str
    """A key alias or a user id, to be shown: never a key, and what other callers may call themselves too."""
    role: Role
    team: str | None = None
    profiles: tuple[str, ...] = ()
    """Profiles this caller may choose for a single request; `"*"` is every profile."""
    max_tier: Tier = Tier.COMPLEX
    """The highest tier that `auto` may use for this caller."""
    manages: tuple[str, ...] = ()
    """Team ids whose profile this caller may choose, among those that allow the team."""
    residency: tuple[str, ...] = ()
    """The places, one of which must be where the data of the caller's requests goes; empty: anywhere."""
    personal_data: PersonalDataRule = PersonalDataRule.ALLOW
    """What becomes of the caller's requests that hold personal data, whatever the profile says that is not stricter."""
    id: str = ""
    """What LiteLLM knows the caller by, which nobody can choose: the key's hash, else `user:<id>`. Empty for keys of
    the access file, whose names are administrators' choice.
    """

    @property
    def confines(self) -> bool:
        """Whether anything is said of where the data of the caller's requests may go."""
        return bool(self.residency) or self.personal_data is not PersonalDataRule.ALLOW

    @property
    def identity(self) -> str:
        """What tells callers apart: bindings, limits and the audit log go by it."""
        return self.id or self.name

    @property
    def signature(self) -> str:
        """How the audit log names the caller: the name, and which of those who are called so."""
        return f"{self.name} ({self.id})" if self.id and self.id != self.name else self.name


@dataclass(frozen=True, slots=True)
class UiSession:
    """A key for the admin routes that somebody has got by proving who he is in another way."""

    key: str
    expires_at: float
    """Unix time in seconds."""


def may_read_all(principal: Principal) -> bool:
    """Return whether the caller sees every profile, the audit log and the workers. Never raises."""
    return principal.role in (Role.ADMIN, Role.VIEWER)


def require_reader(principal: Principal) -> None:
    """Let administrators and viewers pass. Raises `NotAllowed` for everybody else."""
    if not may_read_all(principal):
        raise NotAllowed("This needs the role admin or viewer.")


def require_writer(principal: Principal) -> None:
    """Let administrators pass. Raises `NotAllowed` for everybody else."""
    if principal.role is not Role.ADMIN:
        raise NotAllowed("This needs the role admin.")


def require_may_bind(
    principal: Principal,
    subject: str,
    binding: Binding | None,
    *,
    now: Binding | None,
    profiles: Mapping[str, Profile],
) -> None:
    """Let administrators bind anybody, and who manages a team bind it to a profile that allows the team.

    What an administrator alone can bind, an administrator alone can end: `now` is what is bound. Raises `NotAllowed`
    for everybody else; it tells nothing of profiles that the caller may not see.
    """
    kind, _, team = subject.partition(":")
    if principal.role is Role.ADMIN:
        return
    if kind != "team" or team not in principal.manages:
        raise NotAllowed(f"This key may not choose the profile of {subject}.")
    fix = "Ask an administrator of the proxy."
    if not _leaves_to_managers(now, team, profiles):
        raise NotAllowed(f"What answers {subject} now is for administrators to end.", fix=fix)
    if not _leaves_to_managers(binding, team, profiles):
        raise NotAllowed(
            f"{subject} may be bound to profiles that list it in allowed_teams, without a budget rule.",
            fix=fix,
        )


def _leaves_to_managers(binding: Binding | None, team: str, profiles: Mapping[str, Profile]) -> bool:
    if binding is None:
        return True
    profile = profiles.get(binding.profile or "")
    return profile is not None and team in profile.allowed_teams and binding.beyond is None


def may_override(principal: Principal, profile: Profile) -> bool:
    """Return whether the caller may choose this profile for a single request. Never raises."""
    return (
        principal.role is Role.ADMIN
        or EVERY_PROFILE in principal.profiles
        or profile.name in principal.profiles
        or (principal.team is not None and principal.team in profile.allowed_teams)
    )


def visible(principal: Principal, profile: Profile) -> bool:
    """Return whether the caller may read this profile. Never raises.

    A member reads what it may use, and the profiles that are neither hidden nor kept for certain teams.
    """
    is_public = not profile.hidden and not profile.allowed_teams
    return may_read_all(principal) or is_public or may_override(principal, profile)
