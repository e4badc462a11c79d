"""The access file's content: strict YAML to entries, or every problem with its place.

It must not know where the content comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from neuronode_router.access.keys import AccessKey
from neuronode_router.access.rules import Role
from neuronode_router.domain.names import LABEL_PATTERN, NAME_PATTERN, Tier
from neuronode_router.domain.rules import PersonalDataRule
from neuronode_router.errors import Problem
from neuronode_router.safe_yaml import Source, YamlCaps, read_yaml
from neuronode_router.wrong_value import fix_of

CAPS = YamlCaps(bytes=256 * 1024, depth=5, nodes=10_000)

Label = Annotated[str, Field(pattern=f"^{LABEL_PATTERN.pattern}$")]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Place = Annotated[str, Field(pattern=f"^{NAME_PATTERN.pattern}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Label
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    role: Literal["admin", "viewer", "member"] = "member"
    team: Label | None = None
    tasks: list[Name] = []
    profiles: list[Name] = []
    expires: datetime | date | None = None
    max_tier: Literal["fast", "medium", "complex"] = "complex"
    manages: list[Name] = []
    residency: Place | Annotated[list[Place], Field(min_length=1, max_length=16)] | None = None
    personal_data: Literal["allow", "local", "refuse"] = "allow"

    def to_key(self) -> AccessKey:
        return AccessKey(
            name=self.name,
            sha256=self.sha256,
            role=Role(self.role),
            team=self.team,
            tasks=tuple(self.tasks),
            profiles=tuple(self.profiles),
            expires=None if self.expires is None else _unix_time(self.expires),
            max_tier=Tier(self.max_tier),
            manages=tuple(self.manages),
            residency=(self.residency,) if isinstance(self.residency, str) else tuple(self.residency or ()),
            personal_data=PersonalDataRule(self.personal_data),
        )


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    keys: list[_Entry]


def parse_access(raw: bytes, *, file: str) -> tuple[tuple[AccessKey, ...], tuple[Problem, ...]]:
    """Return the keys of an access file, or else all that is wrong with it. Never raises."""
    reading = read_yaml(raw, file, caps=CAPS, typed=True)
    if reading.problems:
        return (), reading.problems
    try:
        entries = _Document.model_validate(reading.document).keys
    except ValidationError as error:
        return (), tuple(_schema_problem(reading.source, detail) for detail in error.errors())
    problems = tuple(_repeated(reading.source, entries))
    return (tuple(entry.to_key() for entry in entries), ()) if not problems else ((), problems)


def _repeated(source: Source, entries: Iterable[_Entry]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        for field, value in (("name", entry.name), ("sha256", entry.sha256)):
            if f"{field}:{value}" in seen:
                fix = f"Give each entry a {field} of its own; remove one of the two."
                path = ("keys", index, field)
                yield source.problem("access_repeated", path, f"This {field} appears twice.", fix)
            seen.add(f"{field}:{value}")


def _schema_problem(source: Source, detail: ErrorDetails) -> Problem:
    return source.problem("access_invalid", detail["loc"], f"{detail['msg']}.", fix_of(detail))


def _unix_time(moment: date) -> float:
    """Return seconds since 1970. A date counts from its first moment; without a zone, UTC is meant."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001  (the zone is set below)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def entry_document(key: AccessKey) -> dict[str, Any]:
    """Return an entry as it is written into the file. Never raises."""
    fields: dict[str, Any] = {"name": key.name, "sha256": key.sha256, "role": key.role.value}
    optional = {"team": key.team, "tasks": list(key.tasks), "profiles": list(key.profiles)}
    optional |= {"manages": list(key.manages), "residency": list(key.residency)}
    fields |= {name: value for name, value in optional.items() if value}
    if key.max_tier is not Tier.COMPLEX:
        fields["max_tier"] = key.max_tier.value
    if key.personal_data is not PersonalDataRule.ALLOW:
        fields["personal_data"] = key.personal_data.value
    if key.expires is not None:
        fields["expires"] = datetime.fromtimestamp(int(key.expires), UTC)
    return fields
