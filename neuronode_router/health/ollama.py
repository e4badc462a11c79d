"""Which Ollama serves a deployment, and what the answers of an Ollama say about it.

It asks nobody (`ollama_probe` does) and needs nothing of LiteLLM but the shape of its model list.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import SplitResult, unquote, urlsplit

from neuronode_router.domain.keys import require_sendable
from neuronode_router.routing.inventory import SEEN, Ability, Modality, ProbedFacts

OLLAMA_PROVIDERS = frozenset({"ollama", "ollama_chat"})
OPENAI_PROVIDERS = frozenset({"openai", "text-completion-openai", "custom_openai"})
OLLAMA_PORT = 11434
LOCAL_BASE = f"http://localhost:{OLLAMA_PORT}"
"""Where LiteLLM looks for an Ollama when nobody says where it is."""
KEY_VARIABLE = "OLLAMA_API_KEY"
"""Where it finds the key of one that names none."""

ENDPOINTS = ("/api/generate", "/api/chat", "/api/embed", "/api/embeddings")
"""What an `api_base` may carry at its end: LiteLLM strips it too."""
DEFAULT_NUM_CTX = 4096
"""What an Ollama gives that was told nothing else, at least."""
LIBRARY = ("registry.ollama.ai/", "library/")
"""What a full name begins with and a listed name leaves out."""
RUNNER = ("num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread")
"""The options that belong to loaded weights: a request with others of these makes an Ollama load anew."""


@dataclass(frozen=True, slots=True)
class OllamaHost:
    """One Ollama and how it is asked. Address and headers can hold passwords: never show or log either."""

    address: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one deployment is served."""

    host: OllamaHost
    tag: str
    """The name as Ollama lists it: lower case, always with a tag."""
    num_ctx: int | None = None
    """The window that the deployment itself asks for with every request."""
    asks: bool = True
    """Whether a request may ask for a window: OpenAI's wire has no word for it."""
    runner: tuple[tuple[str, object], ...] = ()
    """Those of `RUNNER` that the deployment sends with every request."""
    keep_alive: str | float | None = None
    """How long it asks its weights to stay; None where LiteLLM does not hand that on."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What LiteLLM falls back to for a deployment that does not say it."""

    api_base: str = field(default=LOCAL_BASE, repr=False)
    api_key: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Return what an environment says. Raises `SettingsError` for a key that no header carries."""
        key = environ.get(KEY_VARIABLE, "").strip(" \t") or None
        if key is not None:
            require_sendable(key, f"The key in {KEY_VARIABLE}")
        return cls(environ.get("OLLAMA_API_BASE") or LOCAL_BASE, key)


@dataclass(frozen=True, slots=True)
class Resident:
    """Weights in memory, as /api/ps tells of them."""

    size: int | None
    """Bytes on the GPU; where there is none, bytes in all. None where it does not tell."""
    num_ctx: int | None
    expires_at: str
    """When they go if nobody asks: another value than a while ago means that somebody has asked."""


class NotAnOllama(ValueError):
    """Something answered that does not speak as an Ollama does."""


@dataclass(frozen=True, slots=True)
class OllamaLimits:
    """What /api/show says about the window of one name."""

    num_ctx: int | None = None
    """From its Modelfile: what a request gets that asks for nothing."""
    trained: int | None = None
    """What no request can exceed."""
    answers: bool = True
    """Whether it writes anything."""
    abilities: Mapping[Modality | Ability, bool] = field(default_factory=dict)
    """What the name can do, as far as this Ollama tells."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one Ollama said, by tag."""

    digests: Mapping[str, str]
    """Everything that it could load."""
    loaded: Mapping[str, int | None] | None
    """What is loaded, and with which window; None where it does not tell, as Ollama's cloud."""
    limits: Mapping[str, OllamaLimits]


def read_places(
    entries: Iterable[Mapping[str, Any]], defaults: Defaults | None = None
) -> Mapping[str, Place]:
    """Return where each deployment of LiteLLM's model list that an Ollama serves is served, by id. Never raises.

    A deployment that speaks OpenAI's wire counts where it is unmistakable: its address ends in `/v1` and is that of an
    Ollama of the list, or on Ollama's own port.
    """
    named, maybe = {}, {}
    for entry in entries:
        params, about = entry.get("litellm_params"), entry.get("model_info")
        if isinstance(params, Mapping) and isinstance(about, Mapping) and isinstance(about.get("id"), str):
            provider, served = _provider(params)
            if served and provider in OLLAMA_PROVIDERS:
                embeds = about.get("mode") == "embedding"
                named[about["id"]] = _place(provider, served, params, defaults or Defaults(), embeds=embeds)
            elif served and provider in OPENAI_PROVIDERS and (place := _behind_openai(served, params)):
                maybe[about["id"]] = place
    known = {place.host.address for place in named.values()}
    sure = {
        name: place
        for name, place in maybe.items()
        if place.host.address in known or _port(place) == OLLAMA_PORT
    }
    return named | sure


def found(place: Place, seen: Seen) -> ProbedFacts:
    """Return what an Ollama's answers say about a deployment. Never raises."""
    limits = seen.limits.get(place.tag, OllamaLimits())
    written, loaded = place.num_ctx or limits.num_ctx, (seen.loaded or {}).get(place.tag)
    # What is loaded may have been asked for by one request, so it says nothing of the next one that may ask itself.
    given = written or (None if place.asks else loaded) or DEFAULT_NUM_CTX
    # Where nobody wrote a window a request may ask for all that the weights were trained for.
    allowed = given if written or not place.asks else max(given, limits.trained or given)
    trained = limits.trained or allowed
    return ProbedFacts(
        available=place.tag in seen.digests,
        loaded=None if seen.loaded is None else place.tag in seen.loaded,
        context_window=min(allowed, trained),
        longest=trained if place.asks else min(given, trained),
        num_ctx=min(given, trained),
        loaded_ctx=loaded,
        answers=limits.answers,
        abilities=limits.abilities,
    )


def read_digests(document: object) -> Mapping[str, str]:
    """Return the tags of /api/tags with their digests. Raises `NotAnOllama`."""
    return {tag: str(entry.get("digest", "")) for tag, entry in _listed(document)}


def read_loaded(document: object) -> Mapping[str, int | None]:
    """Return the tags of /api/ps with their windows. Raises `NotAnOllama`."""
    return {tag: _count(entry.get("context_length")) for tag, entry in _listed(document)}


def read_sizes(document: object) -> Mapping[str, int]:
    """Return the tags of /api/tags with the bytes of their weights, 0 where unknown. Raises `NotAnOllama`."""
    return {tag: _count(entry.get("size")) or 0 for tag, entry in _listed(document)}


def read_residents(document: object) -> Mapping[str, Resident]:
    """Return what /api/ps says of everything that is loaded, by tag. Raises `NotAnOllama`."""
    return {
        tag: Resident(
            size=_count(entry.get("size_vram")) or _count(entry.get("size")),
            num_ctx=_count(entry.get("context_length")),
            expires_at=str(entry.get("expires_at", "")),
        )
        for tag, entry in _listed(document)
    }


def read_limits(document: object) -> OllamaLimits:
    """Return the limits in an answer of /api/show. Raises `NotAnOllama`."""
    if not isinstance(document, Mapping):
        raise NotAnOllama("no document")
    about = document.get("model_info")
    about = about if isinstance(about, Mapping) else {}
    trained = about.get(f"{about.get('general.architecture')}.context_length")
    return OllamaLimits(
        num_ctx=_parameter(document.get("parameters")),
        trained=_count(trained),
        answers=document.get("capabilities") != ["embedding"],
        abilities=_abilities(document.get("capabilities")),
    )


def tag_of(name: str) -> str:
    """Return a name as Ollama lists it: `llama3.1` is `llama3.1:latest`. Never raises."""
    short = name.strip().lower()
    for prefix in LIBRARY:
        short = short.removeprefix(prefix)
    return short if ":" in short.rpartition("/")[2] else f"{short}:latest"


def _provider(params: Mapping[str, Any]) -> tuple[str, str]:
    """Return provider and served name of a deployment, as LiteLLM reads them."""
    written, given = str(params.get("model") or ""), params.get("custom_llm_provider")
    first, _, rest = written.partition("/")
    if isinstance(given, str) and given and first != given:
        return given, written
    return first, rest


def _place(
    provider: str, served: str, params: Mapping[str, Any], defaults: Defaults, *, embeds: bool
) -> Place:
    base = params.get("api_base") or params.get("base_url") or defaults.api_base
    key = params.get("api_key") or (defaults.api_key if provider == "ollama_chat" else None)
    # With the prefix `ollama/` LiteLLM puts it among the options of a completion, where an Ollama overlooks it.
    kept = params.get("keep_alive") if provider == "ollama_chat" or embeds else None
    return Place(
        _host(str(base), key, params),
        tag_of(served),
        _count(params.get("num_ctx")),
        runner=tuple((name, params[name]) for name in RUNNER if params.get(name) is not None),
        keep_alive=kept if isinstance(kept, str | int | float) else None,
    )


def _behind_openai(served: str, params: Mapping[str, Any]) -> Place | None:
    """Return the place of what may be an Ollama behind OpenAI's wire, on which nobody asks for a window."""
    base = str(params.get("api_base") or params.get("base_url") or "").rstrip("/")
    if not base.endswith("/v1"):
        return None
    return Place(_host(base.removesuffix("/v1"), params.get("api_key"), params), tag_of(served), asks=False)


def _host(base: str, key: object, params: Mapping[str, Any]) -> OllamaHost:
    address = base.strip().rstrip("/")
    for ending in ENDPOINTS:
        address = address.removesuffix(ending)
    given = params.get("extra_headers") or params.get("headers")
    headers = {str(name): str(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
    if isinstance(key, str) and key:
        headers.setdefault("Authorization", f"Bearer {key}")
    split = _split(address)
    if split is not None and split.username is not None:
        # A client logs the addresses that it asks, so the password goes where it is not logged.
        pair = f"{unquote(split.username)}:{unquote(split.password or '')}"
        headers.setdefault("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
        address = split._replace(netloc=split.netloc.rpartition("@")[2]).geturl()
    return OllamaHost(address.rstrip("/"), tuple(sorted(headers.items())))


def _split(address: str) -> SplitResult | None:
    try:
        return urlsplit(address)
    except ValueError:
        return None


def _port(place: Place) -> int | None:
    try:
        return urlsplit(place.host.address).port
    except ValueError:
        return None


def _listed(document: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the entries of an answer, each under its tag. Raises `NotAnOllama`."""
    entries = document.get("models") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        raise NotAnOllama("no list")
    for entry in entries:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise NotAnOllama("an entry without a name")
        yield tag_of(entry["name"]), entry


def _parameter(written: object) -> int | None:
    """Return `num_ctx` of a Modelfile's parameters: a line each, name and value."""
    for line in written.splitlines() if isinstance(written, str) else ():
        name, _, value = line.strip().partition(" ")
        if name == "num_ctx" and value.strip().isascii() and value.strip().isdigit():
            return _count(int(value))
    return None


def _abilities(listed: object) -> Mapping[Modality | Ability, bool]:
    """Return what is listed and what is not; nothing where an Ollama is too old to list anything."""
    if not isinstance(listed, list) or "completion" not in listed:
        return {}
    seen: dict[Modality | Ability, bool] = {modality: modality in listed for modality in SEEN}
    return {
        **seen,
        "image": "vision" in listed,
        Ability.TOOLS: "tools" in listed,
        Ability.REASONING: "thinking" in listed,
    }


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
