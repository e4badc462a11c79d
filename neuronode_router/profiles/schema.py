"""The schema of one profile file, the JSON Schema made from it, and its complaints as problems.

It must not know files or the host: names of groups are only texts here.
`python -m neuronode_router.profiles.schema` writes the JSON Schema anew.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from neuronode_router.domain.names import NAME_PATTERN, TASK_ALIASES, TOO_CHEAP, TOO_DEAR, Tier
from neuronode_router.domain.profiles import Profile
from neuronode_router.domain.rules import (
    ConversationRule,
    NothingFits,
    OnMissing,
    OnOverload,
    PersonalDataRule,
    Stickiness,
)
from neuronode_router.errors import Problem
from neuronode_router.profiles.problems import Code, suggestion
from neuronode_router.safe_yaml import MAX_PROBLEMS, Path, Source, YamlCaps, shown
from neuronode_router.yaml11 import scalar

CAPS = YamlCaps(bytes=256 * 1024, depth=6, nodes=2000, numbers=frozenset({"too_cheap", "too_dear"}))
"""What a profile file may have."""

SCHEMA_FILE = FilePath(__file__).with_name("profile.schema.json")
MAX_TASKS = 64
MAX_LADDER = 16
MAX_PLACES = 16
DEPTH = 3
"""Levels of a profile: the file, `tiers`, a ladder."""

_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"


def _unique(items: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(items)) < len(items):
        raise ValueError("the same name stands here twice")
    return items


def _off(word: object) -> object:
    """YAML 1.1 reads an unquoted `off` as false; here it can mean nothing else."""
    return Stickiness.OFF if word is False else word


def _listed(given: object) -> object:
    """A single place need not be written as a list."""
    return (given,) if isinstance(given, str) else given


def _number(given: object) -> object:
    """A profile's file is read as texts and switches: the API alone has numbers."""
    if not isinstance(given, str):
        return given
    try:
        return float(given)
    except ValueError:
        return given


_NAME = f"^{NAME_PATTERN.pattern}$"
TaskName = Annotated[str, Field(pattern=_NAME)]
Places = Annotated[
    tuple[TaskName, ...],
    BeforeValidator(_listed),
    Field(max_length=MAX_PLACES, json_schema_extra={"uniqueItems": True, "type": ["array", "string"]}),
    AfterValidator(_unique),
]
GroupName = Annotated[str, Field(min_length=1, max_length=256, pattern=_PRINTABLE)]
Label = Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)]
Price = Annotated[
    float,
    BeforeValidator(_number),
    Field(ge=0.01, le=100, json_schema_extra={"type": ["number", "string"]}),
]
Ladder = Annotated[
    tuple[GroupName, ...],
    Field(min_length=1, max_length=MAX_LADDER, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_unique),
]


class Tiers(BaseModel):
    """Which model groups serve each tier of automatic routing, best choice first."""

    model_config = ConfigDict(strict=True, extra="forbid")

    fast: Annotated[Ladder, Field(description="For short, simple requests.")]
    medium: Annotated[Ladder, Field(description="For everyday requests.")]
    complex: Annotated[Ladder, Field(description="For analysis and reasoning in several steps.")]


class ProfileFile(BaseModel):
    """One profile of the neuronode router: which model group answers each task. The file's name is the profile's."""

    # Descriptions are not attribute docstrings: reading those from the source costs each worker's start 140 ms.
    model_config = ConfigDict(strict=True, extra="forbid", title="Profile")

    description: Annotated[
        str,
        Field(
            min_length=1,
            max_length=500,
            pattern=r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$",
            description="What the profile is for, in a sentence that people read when they choose one.",
        ),
    ]
    cost_level: Annotated[Label, Field(description="How expensive it is, for people: low, medium, high.")]
    performance_level: Annotated[
        Label, Field(description="How capable it is, for people: good, high, maximum.")
    ]
    tasks: Annotated[
        dict[TaskName, GroupName],
        Field(
            max_length=MAX_TASKS,
            json_schema_extra={"required": list(TASK_ALIASES), "additionalProperties": False},
            description="Task alias -> model group. All built-in aliases; more are allowed when every profile has "
            "them.",
        ),
    ]
    tiers: Annotated[Tiers, Field(description="The ladder of model groups for `auto`.")]
    allowed_teams: Annotated[
        tuple[GroupName, ...],
        Field(
            max_length=256,
            json_schema_extra={"uniqueItems": True},
            description="Team ids that may ask for this profile by name.",
        ),
        AfterValidator(_unique),
    ] = ()
    hidden: Annotated[
        bool, Field(description="True keeps the profile out of what members of teams are shown.")
    ] = False
    uncertain: Annotated[
        Tier,
        Field(strict=False, description="The tier of an `auto` request that could not be classified safely."),
    ] = Tier.MEDIUM
    on_overload: Annotated[
        OnOverload,
        Field(
            strict=False,
            description="Where `auto` goes when its tier is overloaded: down (then up), up (then down), stay.",
        ),
    ] = OnOverload.DOWN
    stickiness: Annotated[
        Stickiness,
        Field(strict=False, description="What the `auto` requests of one session keep."),
        BeforeValidator(_off),
    ] = Stickiness.OFF
    on_missing: Annotated[
        OnMissing,
        Field(
            strict=False,
            description="Where a task goes whose model group is gone: to the ladder of `tiers`, or refuse.",
        ),
    ] = OnMissing.LADDER
    nothing_fits: Annotated[
        NothingFits,
        Field(
            strict=False,
            description="What becomes of a request that no group can hold: refuse, or least_bad (the first group).",
        ),
    ] = NothingFits.REFUSE
    too_cheap: Annotated[
        Price,
        Field(description="What it costs that `auto` takes a request for one tier too light."),
    ] = TOO_CHEAP
    too_dear: Annotated[
        Price,
        Field(description="What it costs that it takes one for a tier too heavy. Only the ratio counts."),
    ] = TOO_DEAR
    conversations: Annotated[
        ConversationRule,
        Field(
            strict=False,
            description="What a switch to this profile does to conversations that have begun: keep them where they "
            "are for a while, or move them.",
        ),
    ] = ConversationRule.KEEP
    residency: Annotated[
        Places,
        Field(
            description="Where the data of its requests may go: places such as local, eu, us, de or a provider. "
            "local is always within.",
        ),
    ] = ()
    personal_data: Annotated[
        PersonalDataRule,
        Field(
            strict=False,
            description="What becomes of requests with personal data (e-mail, telephone, IBAN, card, German tax and "
            "social security numbers): they go anywhere, to local groups only, or are refused.",
        ),
    ] = PersonalDataRule.ALLOW


_DEFAULTS: Mapping[str, object] = {
    key: list(field.default) if field.default == () else field.default
    for key, field in ProfileFile.model_fields.items()
    if not field.is_required()
}
"""What a profile's file need not say, as a document says it."""


def to_profile(
    name: str, document: Mapping[str, object], source: Source
) -> tuple[Profile | None, list[Problem]]:
    """Return the profile that a document describes, or None and what the schema has against it. Never raises."""
    if _size(document) > CAPS.nodes:
        message = f"The profile has more than {CAPS.nodes} entries."
        return None, [source.problem(Code.TOO_LARGE, (), message, "Shorten it.")]
    try:
        valid = ProfileFile.model_validate(_lists_to_tuples(document))
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        return None, [_problem(detail, source) for detail in details[:MAX_PROBLEMS]]
    fields = dict(valid)  # the keys of the file are the fields of a profile
    fields["tasks"] = MappingProxyType(dict(valid.tasks))
    fields["tiers"] = MappingProxyType({tier: getattr(valid.tiers, tier.value) for tier in Tier})
    return Profile(name=name, **fields), []


def to_file_document(profile: Profile, *, keep: Container[str] = ()) -> dict[str, Any]:
    """Return what the file of a profile says. Keys that have their default are left out unless `keep` has them."""
    document = profile.to_document()
    del document["name"]
    for key, fallback in _DEFAULTS.items():
        if document[key] == fallback and key not in keep:
            del document[key]
    return document | {key: str(document[key]) for key in ("too_cheap", "too_dear") if key in document}


def json_schema() -> str:
    """Return the JSON Schema of a profile file, for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ProfileFile.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=True) + "\n"


def _size(node: object, levels: int = DEPTH) -> int:
    """Return how many entries a document has down to the levels that a profile uses."""
    if not levels or not isinstance(node, Mapping | list):
        return 0
    inner = node.values() if isinstance(node, Mapping) else node
    return len(node) + sum(_size(item, levels - 1) for item in inner)


def _lists_to_tuples(node: object, levels: int = DEPTH) -> object:
    """Strict validation wants tuples where YAML and JSON only have lists."""
    if not levels:
        return node  # deeper than any profile: validation refuses it as it is
    if isinstance(node, Mapping):
        return {key: _lists_to_tuples(value, levels - 1) for key, value in node.items()}
    return tuple(node) if isinstance(node, list) else node


def _problem(detail: ErrorDetails, source: Source) -> Problem:
    # pydantic marks a complaint about a key with a last step "[key]"
    path: Path = tuple(step for step in detail["loc"] if step != "[key]")
    kind = detail["type"]
    if kind == "missing":
        return source.problem(Code.MISSING_KEY, path, "The key is missing.", f"Add `{path[-1]}:`.")
    if kind == "extra_forbidden":
        known = (Tiers if path[0] == "tiers" and len(path) > 1 else ProfileFile).model_fields
        fix = f"{suggestion(str(path[-1]), known)}Known keys: {', '.join(known)}."
        return source.problem(Code.UNKNOWN_KEY, path, f"No key {shown(str(path[-1]))!r} is known here.", fix)
    if "[key]" in detail["loc"]:
        return source.problem(Code.BAD_NAME, path, f"{shown(str(path[-1]))!r} cannot name a task.", NAME_MEND)
    if kind == "string_type" and isinstance(given := detail["input"], bool) and source.places:
        word = str(given).lower()
        fix = f"Quote it: {scalar(word)}."
        return source.problem(Code.YAML_TRAP, path, f"Unquoted, {word} is not a text to a YAML reader.", fix)
    if kind == "string_pattern_mismatch" and detail["ctx"]["pattern"] == _NAME:
        return source.problem(
            Code.BAD_VALUE, path, f"{shown(str(detail['input']))!r} is no place.", PLACE_MEND
        )
    if kind.endswith("_type"):
        wanted = _WANTED.get(kind.removesuffix("_type"), "another kind of value")
        return source.problem(Code.WRONG_TYPE, path, f"This must be {wanted}.", f"Write {wanted}.")
    message, fix = _BAD_VALUES.get(kind, ("The value cannot be used.", "Write printable text."))
    return source.problem(Code.BAD_VALUE, path, message, fix.format(**detail.get("ctx", {})))


PLACE_MEND = "Write local, eu, a country or a provider: a-z, 0-9, - and _ only, as in de or openai."
NAME_MEND = "Use a-z, 0-9, - and _, at most 64 of them, starting with a letter or digit."
_BAD_VALUES = {
    "string_too_short": ("The text is empty.", "Write at least one character."),
    "string_too_long": ("The text is too long.", "Shorten it to {max_length} characters."),
    "string_pattern_mismatch": ("The text has control characters.", "Remove them."),
    "enum": ("No such word is known here.", "Write {expected}."),
    "too_short": ("The list is empty.", "Name at least one model group."),
    "too_long": ("There are too many entries.", "Keep at most {max_length}."),
    "value_error": ("The list names something twice.", "Keep each name once."),
}
_WANTED = {
    "string": "a text",
    "bool": "true or false",
    "tuple": "a list",
    "dict": "a mapping",
    "model": "a mapping",
}


if __name__ == "__main__":
    SCHEMA_FILE.write_text(json_schema(), encoding="utf-8")
