"""Where the deployments of LiteLLM's list are: what operators noted, else what LiteLLM's parameters say.

Addresses that it reads are for comparing and leave the plugin nowhere: only names of places do. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeGuard

import litellm

from neuronode_router.routing.inventory import NOTE
from neuronode_router.routing.residency import BEDROCK, EU, Server, is_place, place_of
from neuronode_router.settings import process_environment

NOTED = "location"
"""Key of the operator's note: it goes before everything that could be derived."""

CREDENTIAL = "litellm_credential_name"
RELAYED = "use_litellm_proxy"
"""What has LiteLLM ask another LiteLLM, whatever stands beside it."""

BASES = ("api_base", "base_url", "aws_bedrock_runtime_endpoint", "sagemaker_base_url")
"""Where a deployment says whom it asks."""

BEFORE_ALL = "litellm.api_base"
"""How the tables here call the address that LiteLLM's own settings have for all deployments."""

Entries = Callable[[], Sequence[Mapping[str, Any]]]


class Locations:
    """The places of a router's deployments, read from the live list at every question: an edit counts at once."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def of(self, deployment_id: str, call: object = None) -> str | None:
        """Return the place of a deployment for a kind of call, None where the router has none of this id or nobody can
        tell.
        """
        found = next((entry for entry in self._entries() if _id(entry) == deployment_id), None)
        if found is None:
            return None
        place = location_of(found)
        return _for_call(found, place, call) if is_apart(call) else place

    def of_group(self, group: str) -> tuple[str | None, ...]:
        """Return the places of a group's deployments; none for what is no group."""
        return tuple(location_of(entry) for entry in self._entries() if entry.get("model_name") == group)

    def by_group(self) -> Mapping[str, tuple[str | None, ...]]:
        """Return the places of all groups' deployments."""
        found: dict[str, list[str | None]] = {}
        for entry in self._entries():
            found.setdefault(str(entry.get("model_name")), []).append(location_of(entry))
        return {group: tuple(places) for group, places in found.items()}


def location_of(entry: Mapping[str, Any]) -> str | None:
    """Return where one deployment of LiteLLM's list is, None where nobody can tell. Never raises.

    A note that is no place counts as one that nobody can tell: what its operator meant is not what could be derived.
    """
    about, params = entry.get("model_info"), entry.get("litellm_params")
    note = about.get(NOTE) if isinstance(about, Mapping) else None
    if isinstance(note, Mapping) and note.get(NOTED) is not None:
        return note[NOTED] if is_place(note[NOTED]) else None
    servers = servers_of(params)
    if len(servers) == 1:
        return place_of(servers[0])
    places = set(map(place_of, servers))
    return places.pop() if len(places) == 1 else None


def is_apart(call: object) -> TypeGuard[str]:
    """Return whether LiteLLM may send a kind of call elsewhere than all others to the same deployment."""
    return isinstance(call, str) and call in _APART


def _for_call(entry: Mapping[str, Any], place: str | None, call: str) -> str | None:
    """Return where such a call goes: what is noted, else with Google where LiteLLM has its address from no region."""
    note = (entry.get("model_info") or {}).get(NOTE)
    if isinstance(note, Mapping) and note.get(NOTED) is not None:
        return place
    if not any(server.provider in GOOGLE for server in servers_of(entry.get("litellm_params"))):
        return place
    return _APART[call].get(place)


def servers_of(params: object) -> tuple[Server, ...]:
    """Return whom `litellm_params` may ask: several where LiteLLM could be told so by any of several addresses, none
    where nobody can tell. Never raises.

    An address that only the environment has counts as written where LiteLLM is known to read it, else beside the
    provider's own. Addresses are for comparing, never for showing.
    """
    if not isinstance(params, Mapping) or _is_relayed(params):
        return ()
    if params.get(CREDENTIAL) is not None:
        credential = _credential(params[CREDENTIAL])
        if credential is None:
            return ()
        params = {**params, **credential}
    known, bare = _provider(str(params.get("model") or ""), _text(params.get("custom_llm_provider")))
    if known in BEDROCK and params.get("model_id"):  # asked in the place of the name
        bare = str(params["model_id"])
    regions = _regions(known or "", bare, params)
    return tuple([Server(known, bare, base, regions=regions) for base in _bases(known or "", params)])


def _is_relayed(params: Mapping[str, Any]) -> bool:
    around = process_environment().get(RELAYED.upper(), "")
    return bool(
        params.get(RELAYED) or getattr(litellm, RELAYED, False) or around.strip().lower() not in ("", "false")
    )


def _bases(provider: str, params: Mapping[str, Any]) -> set[str | None]:
    """Return the addresses that LiteLLM may ask, None for the provider's own."""
    written: set[str | None] = {str(params[name]) for name in BASES if params.get(name)}
    over = _OVER.get(provider, ())
    if written:
        return written | _around(over)
    read = _around(_READ.get(provider, ())) or {_OWN_BASES.get(provider)}
    return read | _around((*over, *_perhaps_read(provider)))


def _around(names: Sequence[str]) -> set[str | None]:
    if not names:
        return set()
    environ = process_environment()
    return {
        found for name in names if (found := environ.get(name) if name != BEFORE_ALL else litellm.api_base)
    }


@lru_cache(maxsize=4096)
def _perhaps_read(provider: str) -> tuple[str, ...]:
    """Return what LiteLLM reads of many providers, without what it certainly reads of this one."""
    prefix = provider.upper().replace("-", "_")
    names = (BEFORE_ALL, f"{prefix}_API_BASE", f"{prefix}_BASE_URL", *_PERHAPS.get(provider, ()))
    return tuple(name for name in names if name not in _READ.get(provider, ()))


def _regions(provider: str, bare: str, params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the regions that LiteLLM asks, of those that are written."""
    names = _REGIONS.get(provider, ("region_name",))
    found = [str(params[name]) for name in names if params.get(name)]
    return tuple([_region_of_google(region, bare) for region in found] if provider in GOOGLE else found)


def _region_of_google(region: str, bare: str) -> str:
    """Return the region that LiteLLM asks in the place of one where its price list has not got what is asked.

    Source: `VertexBase.get_vertex_region`, which would log it each time.
    """
    about = litellm.model_cost.get(f"vertex_ai/{bare}")
    offered = about.get("supported_regions") if about else None
    return str(offered[0]) if offered and region not in offered else region


@lru_cache(maxsize=4096)
def _provider(name: str, given: str | None) -> tuple[str | None, str]:
    """Return LiteLLM's provider of a name, None where none is certain, and what the provider calls it.

    LiteLLM is asked only for names that begin with no provider: of some providers it would sign in to answer.
    """
    prefix, _, bare = name.partition("/")
    if given is not None:
        return given, bare if prefix == given else name
    if bare:
        return (prefix, bare) if prefix in litellm.provider_list else (None, name)
    if "*" in name:
        return None, name
    try:
        found: str = litellm.get_llm_provider(name)[1]
    except litellm.BadRequestError:
        return None, name
    return found, name


GOOGLE = frozenset({"vertex_ai", "vertex_ai_beta"})

_REGIONS: Mapping[str, tuple[str, ...]] = (
    dict.fromkeys(
        (*BEDROCK, "sagemaker", "sagemaker_chat", "sagemaker_nova", "aws_polly"), ("aws_region_name",)
    )
    | dict.fromkeys(GOOGLE, ("vertex_location", "vertex_ai_location", "vertex_count_tokens_location"))
    | {"watsonx": ()}
)
"""Where LiteLLM reads of these providers which part of the world to ask; of all others `region_name` is what their
operator told LiteLLM of it."""

_OVER: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    BEDROCK, ("AWS_BEDROCK_RUNTIME_ENDPOINT", "BEDROCK_MANTLE_API_BASE")
) | dict.fromkeys(("ollama", "ollama_chat"), (BEFORE_ALL,))
"""What LiteLLM may obey although an address is written."""

_READ: Mapping[str, tuple[str, ...]] = {
    "openai": (BEFORE_ALL, "OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "text-completion-openai": (BEFORE_ALL, "OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "azure": (BEFORE_ALL, "AZURE_API_BASE"),
    "azure_text": (BEFORE_ALL, "AZURE_API_BASE"),
    "azure_ai": ("AZURE_AI_API_BASE",),
    "anthropic": (BEFORE_ALL, "ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
    "cohere": (BEFORE_ALL, "COHERE_API_BASE"),
    "cohere_chat": (BEFORE_ALL, "COHERE_API_BASE"),
    "deepseek": ("DEEPSEEK_API_BASE",),
    "gemini": (BEFORE_ALL, "GEMINI_API_BASE"),
    "groq": ("GROQ_API_BASE",),
    "hosted_vllm": (BEFORE_ALL, "HOSTED_VLLM_API_BASE"),
    "llamafile": ("LLAMAFILE_API_BASE",),
    "lm_studio": ("LM_STUDIO_API_BASE",),
    "mistral": (BEFORE_ALL, "MISTRAL_API_BASE", "MISTRAL_AZURE_API_BASE"),
    "ollama": ("OLLAMA_API_BASE",),
    "ollama_chat": ("OLLAMA_API_BASE",),
    "openrouter": (BEFORE_ALL, "OPENROUTER_API_BASE"),
    "xai": ("XAI_API_BASE",),
}
"""What LiteLLM certainly reads where no address is written."""

_PERHAPS: Mapping[str, tuple[str, ...]] = dict.fromkeys(GOOGLE, ("VERTEXAI_API_BASE", "VERTEX_API_BASE"))
"""What it reads for some calls only."""

_SPOKEN: Mapping[str | None, str] = {**dict.fromkeys((*EU, "eu"), "eu"), "us": "us"}
_ANYWHERE: Mapping[str | None, str] = {}
_APART = {"speech": _SPOKEN, "aspeech": _SPOKEN, "rerank": _ANYWHERE, "arerank": _ANYWHERE}
"""Where LiteLLM sends calls to Vertex that it takes to an API of its own: speech to one of a part of the world, what is
ranked to one that is anywhere."""

_OWN_BASES = {
    "ollama": "http://localhost:11434",
    "ollama_chat": "http://localhost:11434",
    "llamafile": "http://127.0.0.1:8080/v1",
}
"""Whom providers ask where nobody wrote an address."""


def _credential(name: object) -> Mapping[str, Any] | None:
    """Return the values that LiteLLM adds to a deployment's parameters, None where it has none of this name."""
    found = (one for one in litellm.credential_list if one.credential_name == name)
    values = next((one.credential_values for one in found), None)
    return values if isinstance(values, Mapping) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _id(entry: Mapping[str, Any]) -> object:
    return (entry.get("model_info") or {}).get("id")
