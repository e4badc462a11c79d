"""Who may do what: roles, principals, and the rules as pure functions.

It must not know keys, files, HTTP or LiteLLM.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from neuronode_router.domain import Profile, Tier
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
    """A key alias or a user id: never a key."""
    role: Role
    team: str | None = None
    profiles: tuple[str, ...] = ()
    """Profiles this caller may choose for a single request; `"*"` is every profile."""
    max_tier: Tier = Tier.COMPLEX
    """The highest tier that `auto` may use for this caller."""


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
