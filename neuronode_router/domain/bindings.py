"""Which teams and keys have a profile of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

SUBJECT_PATTERN = re.compile(r"(team|key):[\x21-\x7e]{1,128}", re.ASCII)
"""Who may be bound to a profile (use with `fullmatch`): `team:<id>` or `key:<hash or name>`."""


def subjects_of(key: str, team: str | None) -> tuple[str, ...]:
    """Return by which names a caller can be bound, the one that goes first before the other."""
    return (f"key:{key}", f"team:{team}") if team else (f"key:{key}",)


@dataclass(frozen=True, slots=True)
class Beyond:
    """Another profile once a share of a budget is spent."""

    share: float
    """0 to 1."""
    profile: str
    monthly_usd: float | None = None
    """The budget, where LiteLLM keeps none for the subject: of a calendar month (UTC), from our own sums."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Which profile answers a team or key, while others follow the active one."""

    profile: str | None
    """None: the active one, until `beyond` says otherwise."""
    beyond: Beyond | None = None

    @property
    def profiles(self) -> tuple[str, ...]:
        """Every profile that the binding may lead to."""
        return tuple(name for name in (self.profile, self.beyond and self.beyond.profile) if name)

    def __str__(self) -> str:
        """Return it as the audit log shows it."""
        base = self.profile or "active"
        if self.beyond is None:
            return base
        return f"{base}, beyond {100 * self.beyond.share:.4g}% {self.beyond.profile}"


Bindings = Mapping[str, Binding]
"""By subject (see `SUBJECT_PATTERN`)."""

NO_BINDINGS: Bindings = MappingProxyType({})


def bindings_text(bindings: Bindings) -> str:
    """Return bindings as canonical JSON; the empty text where there are none."""
    if not bindings:
        return ""
    document = {subject: asdict(binding) for subject, binding in bindings.items()}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def bindings_from_text(text: str) -> Bindings:
    """Rebuild bindings from `bindings_text`'s form. Raises `TypeError` for keys that it does not know."""
    found = {
        subject: Binding(**{**entry, "beyond": Beyond(**entry["beyond"]) if entry["beyond"] else None})
        for subject, entry in (json.loads(text) if text else {}).items()
    }
    return MappingProxyType(found)
