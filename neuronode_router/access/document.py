"""The access file's content: strict YAML to entries, or every problem with its place.

It must not know where the content comes from. Nothing is built from it before its events were found harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from neuronode_router.access.keys import AccessKey
from neuronode_router.access.rules import Role
from neuronode_router.domain import Tier
from neuronode_router.errors import Problem

MAX_FILE_BYTES = 256 * 1024
MAX_DEPTH = 5

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$")]
Name = Annotated[str, Field(min_length=1, max_length=128)]


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
        )


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    keys: list[_Entry]


def parse_access(raw: bytes, *, file: str) -> tuple[tuple[AccessKey, ...], tuple[Problem, ...]]:
    """Return the keys of an access file, or else all that is wrong with it. Never raises."""
    if len(raw) > MAX_FILE_BYTES:
        return (), (
            _problem("access_too_large", f"More than {MAX_FILE_BYTES} bytes.", "Split off old keys.", file),
        )
    try:
        text = raw.decode("utf-8")
        if problems := tuple(_forbidden_yaml(text, file)):
            return (), problems
        document = YAML().load(text)
    except (YAMLError, ValueError) as error:
        return (), (_syntax_problem(error, file),)
    try:
        entries = _Document.model_validate(_plain(document)).keys
    except ValidationError as error:
        return (), tuple(_schema_problem(document, detail, file) for detail in error.errors())
    problems = tuple(_repeated(document, entries, file))
    return (tuple(entry.to_key() for entry in entries), ()) if not problems else ((), problems)


def _forbidden_yaml(text: str, file: str) -> Iterator[Problem]:
    """Refuse anchors, tags and depth in the event stream, before anything is built: no bomb can go off."""
    depth = 0
    for event in YAML().parse(text):
        kind = type(event).__name__
        depth += kind.endswith(("MappingStartEvent", "SequenceStartEvent"))
        depth -= kind in ("MappingEndEvent", "SequenceEndEvent")
        position = (event.start_mark.line + 1, event.start_mark.column + 1)
        if depth > MAX_DEPTH:
            yield _problem(
                "access_too_deep", "Nested too deeply.", "Follow docs/admin-api.md.", file, position
            )
            return
        if getattr(event, "anchor", None) is not None:
            yield _problem(
                "access_anchor", "Anchors are not allowed.", "Write the value out.", file, position
            )
        if getattr(event, "tag", None) is not None:
            yield _problem("access_tag", "Tags are not allowed.", "Remove the tag.", file, position)


def _repeated(document: Any, entries: Iterable[_Entry], file: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        for field, value in (("name", entry.name), ("sha256", entry.sha256)):
            if f"{field}:{value}" in seen:
                position = _position(document, ("keys", index, field))
                fix = f"Give each entry a {field} of its own; remove one of the two."
                path = f"keys.{index}.{field}"
                yield _problem("access_repeated", f"This {field} appears twice.", fix, file, position, path)
            seen.add(f"{field}:{value}")


def _schema_problem(document: Any, detail: Mapping[str, Any], file: str) -> Problem:
    location = detail["loc"]
    fix = "Remove it or correct its spelling." if detail["type"] == "extra_forbidden" else "Correct it."
    if detail["type"] == "string_type":
        fix = "Write a text, in quotes where it looks like a number or a date."
    path = ".".join(str(part) for part in location)
    return _problem("access_invalid", f"{detail['msg']}.", fix, file, _position(document, location), path)


def _syntax_problem(error: Exception, file: str) -> Problem:
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        position = (error.problem_mark.line + 1, error.problem_mark.column + 1)
        return _problem("access_syntax", f"Not valid YAML: {error.problem}.", "Correct it.", file, position)
    return _problem("access_syntax", "Not valid YAML in UTF-8.", "Correct it.", file)


def _problem(
    code: str, message: str, fix: str, file: str, position: tuple[int, int] = (0, 0), path: str = ""
) -> Problem:
    return Problem(code, message, fix, file=file, line=position[0], column=position[1], path=path)


def _position(node: Any, location: Sequence[int | str]) -> tuple[int, int]:
    """Return line and column, from 1, of the deepest part of `location` that the document has."""
    found = (0, 0)
    for part in location:
        try:
            line, column = node.lc.item(part) if isinstance(part, int) else node.lc.key(part)
            found, node = (line + 1, column + 1), node[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return found


def _plain(node: Any) -> Any:
    """Return ruamel's containers as plain ones: strict validation takes no others."""
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items()}
    return [_plain(item) for item in node] if isinstance(node, list) else node


def _unix_time(moment: date) -> float:
    """Return seconds since 1970. A date counts from its first moment; without a zone, UTC is meant."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001  (the zone is set below)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def entry_document(key: AccessKey) -> dict[str, Any]:
    """Return an entry as it is written into the file. Never raises."""
    fields: dict[str, Any] = {"name": key.name, "sha256": key.sha256, "role": key.role.value}
    optional = {"team": key.team, "tasks": list(key.tasks), "profiles": list(key.profiles)}
    optional["manages"] = list(key.manages)
    fields |= {name: value for name, value in optional.items() if value}
    if key.max_tier is not Tier.COMPLEX:
        fields["max_tier"] = key.max_tier.value
    if key.expires is not None:
        fields["expires"] = datetime.fromtimestamp(int(key.expires), UTC)
    return fields
