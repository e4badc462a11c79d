"""What is known of every deployment beforehand: tier, expected latency, cost, window, abilities, presence.

It reads the `model_info` of LiteLLM's list and must not know LiteLLM, load or profiles; it asks no server.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neuronode_router.domain.names import NAME_PATTERN, Tier
from neuronode_router.errors import Problem

PLACE = "neuronode_place"
"""Where `model_info` carries what the host found out about the place of a deployment."""

NOTE = "neuronode"
"""Key in `model_info`. A key of its own: LiteLLM's `tier` means free or paid."""

Modality = Literal["text", "image", "pdf", "audio", "video"]
TEXT: frozenset[Modality] = frozenset({"text"})
SEEN: tuple[Modality, ...] = ("image", "pdf", "audio", "video")
"""What a deployment may be blind to."""


class Ability(StrEnum):
    """What else a deployment may be able to do, or not."""

    TOOLS = "tools"
    SCHEMA = "schema"
    """To answer by a JSON schema."""
    REASONING = "reasoning"


SILENT = ("embedding", "rerank", "moderation")
"""LiteLLM's modes of what answers without a word."""

_SUPPORTS: Mapping[Modality | Ability, str] = {
    "image": "supports_vision",
    "pdf": "supports_pdf_input",
    "audio": "supports_audio_input",
    "video": "supports_video_input",
    Ability.TOOLS: "supports_function_calling",
    Ability.SCHEMA: "supports_response_schema",
    Ability.REASONING: "supports_reasoning",
}
"""LiteLLM's names. Only a plain true or false says something."""

Positive = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Tokens = Annotated[int, Field(gt=0, le=10**9)]


class Note(BaseModel):
    """`model_info.neuronode` of one deployment, as an operator writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tier: Tier | None = None
    avg_latency_ms: Positive | None = None
    cost_factor: Positive = 1.0
    context_window: Tokens | None = None
    max_tokens: Tokens | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    parallel: Annotated[int, Field(gt=0, le=10_000)] | None = None
    capabilities: tuple[str, ...] = ()
    location: Annotated[str, Field(pattern=f"^{NAME_PATTERN.pattern}$")] | None = None
    """Where it is: `local`, a country, `eu`, `us`, a provider. The host reads it, with what it derives without it."""
    vram_gib: Positive | None = None
    """The memory for weights of the Ollama that it is on, in GiB: whoever warms models reads it there."""
    modalities: tuple[Modality, ...] | None = None
    """All that it reads; what is not named it does not."""
    abilities: Mapping[Ability, bool] = {}


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment as routing sees it. None means that nobody said."""

    id: str
    group: str
    tier: Tier | None = None
    expected_ms: float | None = None
    """Latency of a short answer, without waiting."""
    cost_factor: float = 1.0
    """Price relative to llama3.1:8b on own hardware."""
    context_window: int | None = None
    """Tokens of prompt and answer together."""
    max_tokens: int | None = None
    temperature: float | None = None
    parallel: int | None = None
    """Requests it works on at the same time; further ones wait."""
    capabilities: tuple[str, ...] = ()
    modalities: frozenset[Modality] = TEXT
    """What it is known to read."""
    refuses: frozenset[Modality] = frozenset()
    """What it is known not to read; of what stands in neither nobody said anything."""
    cannot: frozenset[Ability] = frozenset()
    """What it is known not to be able to."""
    able: frozenset[Ability] = frozenset()
    """What it is known to be able to."""
    answers: bool = True
    """Whether it writes anything: what only embeds needs no room for an answer."""
    accepts: frozenset[str] | None = None
    """OpenAI's names of the parameters that it takes."""
    num_ctx: int | None = None
    """The window that an Ollama gives a request that asks for none, where more may be asked for."""
    loaded_ctx: int | None = None
    """The window that an Ollama has it loaded with: another one makes it load anew."""
    available: bool = True
    """Whether its server has it."""
    loaded: bool | None = None
    """Whether its weights are in memory; None where that is no question."""
    location: str | None = None
    """Where it is, None where nobody can tell."""


@dataclass(frozen=True, slots=True)
class ProbedFacts:
    """What a probe found out about one deployment."""

    available: bool
    loaded: bool | None = None
    context_window: int | None = None
    """The largest window that may be asked for, unless the operator has written another one."""
    longest: int | None = None
    """What no operator's word can exceed."""
    num_ctx: int | None = None
    """The window of a request that asks for none."""
    loaded_ctx: int | None = None
    """The window that it is loaded with."""
    answers: bool = True
    abilities: Mapping[Modality | Ability, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inventory:
    """All deployments by model group, in the order of LiteLLM's list, and what was wrong in their notes."""

    groups: Mapping[str, tuple[Deployment, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def with_found(self, found: Mapping[str, ProbedFacts]) -> Inventory:
        """Return the registry as the probes found it, by deployment id; others stay as they are. Never raises."""
        groups = {
            name: tuple(_probed(entry, found.get(entry.id)) for entry in entries)
            for name, entries in self.groups.items()
        }
        return replace(self, groups=MappingProxyType(groups))


def read_inventory(entries: Iterable[Mapping[str, Any]]) -> Inventory:
    """Read LiteLLM's model list (`model_name` and `model_info` of each entry). Never raises.

    A note that is wrong is reported, and its deployment stays in its group as if there were none. Entries without
    id or group, of which LiteLLM makes none, are left out.
    """
    groups: dict[str, list[Deployment]] = {}
    problems: list[Problem] = []
    for entry in entries:
        group, about = entry.get("model_name"), entry.get("model_info")
        about = about if isinstance(about, Mapping) else {}
        if isinstance(group, str) and isinstance(about.get("id"), str):
            note, wrong = _read_note(group, about.get(NOTE))
            problems += wrong
            groups.setdefault(group, []).append(_deployment(group, about, note))
    return Inventory(
        MappingProxyType({name: tuple(found) for name, found in groups.items()}), tuple(problems)
    )


def is_same_list(entries: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether LiteLLM's model list has not changed since `before`, which must hold the very entries it had.

    LiteLLM puts a new entry in the place of one that was edited; as the old one is held, none can take its identity.
    """
    return len(entries) == len(before) and all(map(operator.is_, entries, before))


def _read_note(group: str, written: object) -> tuple[Note, list[Problem]]:
    try:
        return Note.model_validate({} if written is None else written), []
    except ValidationError as error:
        return Note(), [
            Problem(
                code="model_info",
                message=f"{detail['msg']}.",
                fix=f"Correct model_info.{NOTE} of this deployment; until then nothing in it counts.",
                path=".".join((group, NOTE, *map(str, detail["loc"]))),
            )
            for detail in error.errors(include_url=False, include_input=False, include_context=False)
        ]


def _deployment(group: str, about: Mapping[str, Any], note: Note) -> Deployment:
    said: dict[Modality | Ability, bool] = {
        what: known for what, name in _SUPPORTS.items() if isinstance(known := about.get(name), bool)
    }
    if note.modalities is not None:
        said |= {modality: modality in note.modalities for modality in SEEN}
    accepts = about.get("supported_openai_params")
    bare = Deployment(
        id=about["id"],
        group=group,
        tier=note.tier,
        expected_ms=note.avg_latency_ms,
        cost_factor=note.cost_factor,
        context_window=note.context_window or _tokens(about, "max_input_tokens"),
        max_tokens=note.max_tokens or _tokens(about, "max_output_tokens"),
        temperature=note.temperature,
        parallel=note.parallel,
        capabilities=note.capabilities,
        answers=about.get("mode") not in SILENT,
        accepts=frozenset(map(str, accepts)) if isinstance(accepts, list) else None,
        location=about.get(PLACE),
    )
    said.update(note.abilities.items())
    return _able(bare, said)


def _able(entry: Deployment, said: Mapping[Modality | Ability, bool]) -> Deployment:
    """Return a deployment with what is said of its abilities; what was said of them before goes first."""
    known = {*entry.modalities, *entry.refuses}
    return replace(
        entry,
        modalities=entry.modalities.union(each for each in SEEN if said.get(each) and each not in known),
        refuses=entry.refuses.union(each for each in SEEN if said.get(each) is False and each not in known),
        cannot=entry.cannot.union(
            each for each in Ability if said.get(each) is False and each not in entry.able
        ),
        able=entry.able.union(each for each in Ability if said.get(each) and each not in entry.cannot),
    )


def _tokens(about: Mapping[str, Any], key: str) -> int | None:
    number = about.get(key)
    return number if isinstance(number, int) and number > 0 else None


def _probed(entry: Deployment, found: ProbedFacts | None) -> Deployment:
    if found is None:
        return entry
    windows = [window for window in (entry.context_window or found.context_window, found.longest) if window]
    window = min(windows, default=None)
    raised = window is not None and found.num_ctx is not None and found.num_ctx < window
    return replace(
        _able(entry, found.abilities),
        available=found.available,
        loaded=found.loaded,
        answers=entry.answers and found.answers,
        context_window=window,
        num_ctx=found.num_ctx if raised else None,
        loaded_ctx=found.loaded_ctx,
    )
