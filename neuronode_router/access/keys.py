"""Keys that we generate, and the entries that recognise them.

It must not know where entries are kept. The plain key is returned once and never stored.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from neuronode_router.access.rules import Principal, Role
from neuronode_router.domain.names import Tier
from neuronode_router.domain.rules import PersonalDataRule

KEY_PREFIX = "sk-neuronode-"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One entry of the access file."""

    name: str
    sha256: str
    role: Role = Role.MEMBER
    team: str | None = None
    tasks: tuple[str, ...] = ()
    """What the key may send as `model`: task aliases, groups, `auto`. Empty means everything."""
    profiles: tuple[str, ...] = ()
    expires: float | None = None
    """Unix time in seconds; None means never."""
    max_tier: Tier = Tier.COMPLEX
    manages: tuple[str, ...] = ()
    residency: tuple[str, ...] = ()
    personal_data: PersonalDataRule = PersonalDataRule.ALLOW

    @property
    def principal(self) -> Principal:
        """The caller this key stands for."""
        return Principal(
            name=self.name,
            role=self.role,
            team=self.team,
            profiles=self.profiles,
            max_tier=self.max_tier,
            manages=self.manages,
            residency=self.residency,
            personal_data=self.personal_data,
        )


def generate_key(
    name: str,
    *,
    role: Role = Role.MEMBER,
    team: str | None = None,
    tasks: Sequence[str] = (),
    profiles: Sequence[str] = (),
    expires: float | None = None,
) -> tuple[str, AccessKey]:
    """Return a new random key, to be shown once, and the entry that recognises it.

    A key holds 256 random bits, so its SHA-256 cannot be searched for, however fast the hash is: slow
    password hashes defend guessable secrets, and would cost every request milliseconds of CPU here.
    """
    plain = KEY_PREFIX + secrets.token_urlsafe(32)
    entry = AccessKey(name, key_hash(plain), role, team, tuple(tasks), tuple(profiles), expires)
    return plain, entry


def key_id(given: str) -> str:
    """Return what a key is bound by: a name or hash as given, a plain key of LiteLLM's as its hash."""
    return key_hash(given) if given.startswith("sk-") else given


def key_hash(plain: str) -> str:
    """Return the lower-case hexadecimal SHA-256 of a key, as the access file keeps it."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def sent_key(authorization: str) -> str:
    """Return the key of an `Authorization` header, "" where it has none; "bearer" in any case (RFC 9110)."""
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
