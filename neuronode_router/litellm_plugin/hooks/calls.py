"""Which calls of LiteLLM's there are: by what its hooks and bodies call them.

It must not know who calls, nor where a name leads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from neuronode_router.errors import InvalidRequest
from neuronode_router.routing import targets

MAX_ASKED = 16
"""So many names a `model` field may hold. LiteLLM asks each of them, and for each admission reads the whole body."""

MAX_NAMES = 200
"""So many further names of a request are judged, of its fallbacks and of its tools."""

ROUTED = frozenset(
    {
        *("completion", "acompletion", "text_completion", "atext_completion", "embedding", "aembedding"),
        *("responses", "aresponses", "compact_responses", "acompact_responses"),
        *("anthropic_messages", "aanthropic_messages"),
        *("generate_content", "agenerate_content", "generate_content_stream", "agenerate_content_stream"),
        *("image_generation", "aimage_generation", "image_edit", "aimage_edit", "ocr", "aocr"),
        *("speech", "aspeech", "transcription", "atranscription", "_arealtime"),
        *("moderation", "amoderation", "rerank", "arerank"),
        *("create_video", "acreate_video", "video_generation", "avideo_generation"),
        *("create_interaction", "acreate_interaction"),
    }
)
"""The calls whose `model` LiteLLM's router resolves: they are admitted. Others are not changed."""

SEVERAL = frozenset({"completion", "acompletion"})
"""The calls that LiteLLM sends to each of several names between commas."""

LATER = frozenset({"_arealtime"})
"""Those whose content comes when they are admitted, by a way that no hook sees."""

HARMLESS = frozenset({"get", "list", "retrieve", "delete", "cancel", "content", "status", "mcp", "message"})
"""Words in the names of calls that choose no model: they look at or end what a call has made, or ask tools and agents,
of which the door has seen the latter.
"""

OF_TOOLS = frozenset({"mcp"})
"""The word in the names of those by which tools are asked, also from within a request."""

OF_THE_WEB = frozenset({"search", "asearch"})
"""The calls that choose no model, and whose words go to others: searches of the web."""


def is_harmless(call_type: str) -> bool:
    """Return whether a call chooses no model, and nobody need read it."""
    return call_type not in ROUTED and not HARMLESS.isdisjoint(_words(call_type))


def is_of_tools(call_type: str) -> bool:
    """Return whether a call asks tools."""
    return not OF_TOOLS.isdisjoint(_words(call_type))


def _words(call_type: str) -> list[str]:
    return call_type.strip("_").removeprefix("a").split("_")


def asked(model: str, call_type: str) -> tuple[str, ...]:
    """Return the names of a `model` field. Raises `InvalidRequest` for more than `MAX_ASKED`."""
    found = targets.asked(model, several=call_type in SEVERAL)
    if len(found) > MAX_ASKED:
        raise InvalidRequest(f"The field model asks for more than {MAX_ASKED} names.")
    return found


def bounded_names(data: Mapping[str, Any]) -> frozenset[str]:
    """Return every name that a body asks for. Raises `InvalidRequest` for more than `MAX_NAMES`."""
    found = frozenset(names(data))
    if len(found) > MAX_NAMES:
        raise InvalidRequest(f"The request asks for more than {MAX_NAMES} names.")
    return found


def names(data: Mapping[str, Any]) -> Iterable[str]:
    """Yield every name that a body asks for, fallbacks included."""
    model = data.get("model")
    if isinstance(model, str):
        yield from targets.asked(model, several=True)
    override = data.get(targets.OVERRIDE)
    for place in (data, override if isinstance(override, Mapping) else {}):
        for field in targets.FALLBACK_FIELDS:
            yield from targets.names(targets.read_fallbacks(place.get(field)))
