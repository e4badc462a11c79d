"""Says of each deployment of a LiteLLM configuration whether its real backend can be used from here.

It must not know the embedded model, nor start anything; it asks an Ollama which models it has and nothing
else, since anything more would load one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from neuronode_router.cli.references import credentials_of, environment_of, has_secret_manager, reference
from neuronode_router.domain.keys import require_sendable
from neuronode_router.profiles.configuration import section

CREDENTIALS = (
    "api_key",
    "api_base",
    "base_url",
    "aws_access_key_id",
    "aws_secret_access_key",
    "vertex_credentials",
)
"""Parameters without which a deployment that names them cannot work."""
PROVIDER_KEYS: Mapping[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "mistral": ("MISTRAL_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "ollama_chat": ("OLLAMA_API_KEY",),
}
"""Where LiteLLM finds a provider's key when the deployment names none. Others count as configured."""
OLLAMA_PROVIDERS = frozenset({"ollama", "ollama_chat"})
PROBE_SECONDS = 1.0

Deployment = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Backends:
    """What LiteLLM finds keys and addresses in, and the Ollamas found; answers `missing` for a deployment."""

    environ: Mapping[str, str] = field(repr=False)
    ollama_tags: Mapping[str, frozenset[str]] | None
    """Tags by address; an address that did not answer is absent. None: none was asked, and each counts as there."""
    credentials: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """The configuration's `credential_list`, by name."""
    managed: bool = False
    """A secret manager may have what the environment does not: it counts as set."""

    def require_sendable(self, deployments: Iterable[Deployment]) -> None:
        """Insist that every key which a deployment takes from the environment can be sent. Raises `SettingsError`."""
        for name in dict.fromkeys(name for each in deployments for name in self._key_variables(each)):
            if key := self.environ.get(name, "").strip(" \t"):
                require_sendable(key, f"The key in {name}")

    def _key_variables(self, deployment: Deployment) -> Sequence[str]:
        params = _params(deployment, self.credentials)
        if params.get("api_key"):
            return [named] if (named := reference(params["api_key"])) else ()
        return PROVIDER_KEYS.get(str(params.get("model", "")).partition("/")[0], ())

    def missing(self, deployment: Deployment) -> str | None:
        """Return why the deployment cannot be used, in a few words without any value, or None when it can."""
        params = _params(deployment, self.credentials)
        credential = params.get("litellm_credential_name")
        if credential and str(credential) not in self.credentials:
            return None  # kept in LiteLLM's database
        for name in CREDENTIALS:
            named = reference(params.get(name))
            if named and not self._has(named):
                return f"{named} is not set"
        provider, _, served_name = str(params.get("model", "")).partition("/")
        if provider in OLLAMA_PROVIDERS:
            return self._missing_in_ollama(params, served_name)
        if params.get("api_key") or params.get("api_base") or params.get("base_url"):
            return None
        keys = PROVIDER_KEYS.get(provider, ())
        return None if not keys or any(map(self._has, keys)) else f"{keys[0]} is not set"

    def _has(self, name: str) -> bool:
        return self.managed or bool(self.environ.get(name, "").strip())

    def _missing_in_ollama(self, params: Mapping[str, Any], served_name: str) -> str | None:
        address = ollama_address(params, self.environ)
        if address is None:
            return None if self.managed else "OLLAMA_API_BASE is not set"
        if self.ollama_tags is None:
            return None
        if address not in self.ollama_tags:
            return "Ollama does not answer"
        tag = served_name if ":" in served_name else f"{served_name}:latest"
        return None if tag in self.ollama_tags[address] else f"Ollama has no {tag}"


async def find_backends(
    config: Mapping[str, Any], deployments: Iterable[Deployment], environ: Mapping[str, str]
) -> Backends:
    """Ask every Ollama that one of the configuration's deployments names, all at once, one second at most.

    `environ` is what LiteLLM is started with. Never raises.
    """
    unasked = stated_backends(config, environ)
    environ, credentials = unasked.environ, unasked.credentials
    addresses = sorted(
        {
            address
            for deployment in deployments
            if str((params := _params(deployment, credentials)).get("model", "")).partition("/")[0]
            in OLLAMA_PROVIDERS
            and (address := ollama_address(params, environ))
        }
    )
    async with httpx.AsyncClient(timeout=PROBE_SECONDS, follow_redirects=False, trust_env=False) as client:
        answers = await asyncio.gather(*(_tags(client, address) for address in addresses))
    tags = {a: found for a, found in zip(addresses, answers, strict=True) if found is not None}
    return replace(unasked, ollama_tags=tags)


def stated_backends(config: Mapping[str, Any], environ: Mapping[str, str]) -> Backends:
    """Return what can be told without asking any Ollama. Never raises."""
    return Backends(environment_of(config, environ), None, credentials_of(config), has_secret_manager(config))


def ollama_address(params: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    """Return the address that a deployment's Ollama has, without a slash at its end, or None."""
    given = params.get("api_base") or params.get("base_url")
    named = reference(given)
    address = environ.get(named) if named else given or environ.get("OLLAMA_API_BASE")
    return str(address).strip().rstrip("/") or None if address else None


def _params(deployment: Deployment, credentials: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    params = section(deployment, "litellm_params")
    return {**credentials.get(str(params.get("litellm_credential_name")), {}), **params}


async def _tags(client: httpx.AsyncClient, address: str) -> frozenset[str] | None:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            answer = await client.get(f"{address}/api/tags")
        listed = answer.raise_for_status().json()["models"]
        return frozenset(str(entry["name"]) for entry in listed)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, KeyError, TypeError):
        return None  # whatever answers there, it is no Ollama we can use
