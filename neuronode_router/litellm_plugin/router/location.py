"""Where the deployments of LiteLLM's list are: what operators noted, else what LiteLLM's parameters say.

Addresses that it reads are for comparing and leave the plugin nowhere: only names of places do. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import litellm

from neuronode_router.routing.inventory import NOTE
from neuronode_router.routing.residency import Server, is_place, place_of
from neuronode_router.settings import process_environment

NOTED = "location"
"""Key of the operator's note: it goes before everything that could be derived."""

CREDENTIAL = "litellm_credential_name"
RELAYED = "use_litellm_proxy"
"""What has LiteLLM ask another LiteLLM, whatever stands beside it."""

BASES = ("api_base", "base_url", "aws_bedrock_runtime_endpoint")
"""Where a deployment says whom it asks."""

REGIONS = ("aws_region_name", "vertex_location", "vertex_ai_location", "watsonx_region_name", "region_name")
"""Where it says in which part of the world."""

Entries = Callable[[], Sequence[Mapping[str, Any]]]


class Locations:
    """The places of a router's deployments, read from the live list at every question: an edit counts at once."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def of(self, deployment_id: str) -> str | None:
        """Return the place of a deployment, None where the router has none of this id or nobody can tell."""
        found = (entry for entry in self._entries() if _id(entry) == deployment_id)
        return next(map(location_of, found), None)

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
    server = server_of(params)
    return None if server is None else place_of(server)


def server_of(params: object) -> Server | None:
    """Return whom `litellm_params` ask, None where nobody can tell. Never raises.

    A base that only the environment has counts as written. Its address is for comparing, never for showing.
    """
    if not isinstance(params, Mapping) or params.get(RELAYED) or getattr(litellm, RELAYED, False):
        return None
    if params.get(CREDENTIAL) is not None:
        credential = _credential(params[CREDENTIAL])
        if credential is None:
            return None
        params = {**params, **credential}
    known, bare = _provider(str(params.get("model") or ""), _text(params.get("custom_llm_provider")))
    written = next((str(params[name]) for name in BASES if params.get(name)), None)
    base = written or next(_bases_around(known), None) or _OWN_BASES.get(known or "")
    regions = tuple(str(params[name]) for name in REGIONS if params.get(name))
    return Server(known, bare, base, regions=regions)


def _bases_around(provider: str | None) -> Iterator[str]:
    environ = process_environment()
    names = () if provider is None else (f"{provider.upper()}_API_BASE", f"{provider.upper()}_BASE_URL")
    yield from (found for found in (litellm.api_base, *map(environ.get, names)) if found)


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
