"""What LiteLLM's own map says of the deployments of its list: windows, abilities, and the parameters they take.

It changes nothing, asks no server and never returns `litellm_params`, which hold keys. What an operator wrote into
`model_info` goes before the map.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import litellm

from neuronode_router.health.ollama import OLLAMA_PROVIDERS
from neuronode_router.litellm_plugin.router.location import location_of
from neuronode_router.routing.inventory import PLACE

_LIMITS = ("max_input_tokens", "max_output_tokens", "mode")
_PREFIX = "supports_"
_ACCEPTS = "supported_openai_params"


def with_model_facts(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return name and `model_info` of each entry, the latter filled up from LiteLLM's map. Never raises."""
    return [
        {"model_name": entry.get("model_name"), "model_info": _about(entry)}
        for entry in entries
        if isinstance(entry, Mapping)
    ]


def _about(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    about, params = entry.get("model_info"), entry.get("litellm_params")
    about = {**(about if isinstance(about, Mapping) else {}), PLACE: location_of(entry)}
    if not isinstance(params, Mapping):
        return about
    name = str(about.get("base_model") or params.get("model") or "")
    provider, _, bare = str(params.get("model") or "").partition("/")
    given = params.get("custom_llm_provider")
    provider = given if isinstance(given, str) and given else provider if bare else ""
    facts = {} if provider in OLLAMA_PROVIDERS else _mapped(name)
    written = {key: value for key, value in about.items() if value is not None}
    return {_ACCEPTS: _accepted(bare or name, provider), **facts, **written}


def _mapped(name: str) -> Mapping[str, Any]:
    """Return what the map says of a model. An Ollama's windows are its own: it is asked for them instead."""
    found = litellm.model_cost.get(name) or litellm.model_cost.get(name.partition("/")[2]) or {}
    return {key: value for key, value in found.items() if key in _LIMITS or key.startswith(_PREFIX)}


@lru_cache(maxsize=1024)
def _accepted(model: str, provider: str) -> list[str] | None:
    """Return the parameters that LiteLLM would pass on, None where it does not know the provider."""
    try:
        found = litellm.get_supported_openai_params(model=model, custom_llm_provider=provider or None)
    except Exception:  # noqa: BLE001  # LiteLLM raises several kinds for names that it cannot place
        return None
    return list(found) if isinstance(found, list) else None
