"""Everything of a request body that is sent to a deployment: its texts, and its images, files, audio and video.

It must not know which turn says what. All of a body counts but what is named in `KEPT_BACK`; it copies no text.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from neuronode_router.routing.inventory import Modality
from neuronode_router.routing.tokens import estimate, largest

TURNS = ("messages", "input", "prompt", "contents")
"""Where the wires keep what is said, in the order in which they are looked for."""
SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction")
EXTRA = "extra_body"
"""Fields that a client of LiteLLM's puts over the others of the body that is sent."""
_CONTENT = frozenset({*TURNS, *SYSTEM, "suffix", "prediction"})
_EACH_ON_ITS_OWN = frozenset({"input", "prompt", "messages", "documents"})
"""Lists of texts here are prompts, or texts to embed or to rank, and LiteLLM hands prompts on as messages."""

KEPT_BACK = frozenset(
    {
        *("model", "user", "metadata", "temperature", "top_p", "top_k", "stop", "stop_sequences", "seed"),
        *("logit_bias", "service_tier", "safety_identifier", "prompt_cache_key", "previous_response_id"),
        *("stream", "stream_options", "store", "encoding_format", "dimensions", "file", "image", "mask"),
        # What LiteLLM takes for itself, or adds, and sends to no model.
        *("proxy_server_request", "secret_fields", "model_info", "fallbacks", "router_settings_override"),
        *("context_window_fallbacks", "content_policy_fallbacks", "tags", "guardrails", "policies", "cache"),
        *("headers", "extra_headers", "provider_specific_header", "mock_response", "user_config"),
        *("allowed_openai_params", "additional_drop_params", "specific_deployment", "attempted_targets"),
        *("api_key", "api_base", "base_url", "api_version", "custom_llm_provider", "shared_session"),
        *("model_list", "model_group", "deployment", "previous_models", "original_function"),
        *("enable_tag_filtering", "model_group_retry_policy", "retry_policy", "routing_strategy"),
        *("model_group_alias", "tiered_pricing", "timeout", "stream_timeout", "request_timeout"),
    }
)
"""Fields that are no part of what a model reads. Any other counts, known or not; ours and LiteLLM's are beside it."""
_KEPT_BACK_PREFIXES = ("_", "litellm_", "user_api_key")

_OBJECTS = frozenset({"input", "args", "arguments", "response", "parameters", "input_schema", "action"})
"""Keys of calls and results whose objects are sent as JSON."""
_STRUCTURE = frozenset(
    {
        *("content", "text", "parts", "tool_calls", "function", "name", "arguments", "input", "output"),
        *("source", "thinking", "cache_control", "reasoning_content", "thinking_blocks", "summary"),
        *("functionCall", "functionResponse", "args", "response", "annotations", "index"),
    }
)
"""Keys that a template writes in a few tokens, if at all; any other counts as what it is."""
_SILENT = frozenset(
    {
        *("role", "type", "id", "call_id", "tool_call_id", "tool_use_id", "status", "signature", "object"),
        *("encrypted_content", "thoughtSignature", "thought_signature", "detail", "item_id", "phase"),
    }
)
"""Keys whose texts are no text to a deployment, as long as they are short."""
SHORT, PER_TOKEN = 100, 4
"""Characters of a silent text that cost nothing, and of a longer one for which there is a token: what is sealed in it
is shorter than it."""

PER_TURN = 4
"""Tokens that a turn takes beside its text: its role, and what a template writes around it."""
MOST_NODES = 20_000
"""Lists and mappings that are looked into; what is left then counts as JSON."""

_BY_TYPE: Mapping[str, Modality | None] = {
    **dict.fromkeys(("image_url", "image", "input_image", "computer_screenshot"), "image"),
    **dict.fromkeys(("input_audio", "audio", "audio_url"), "audio"),
    **dict.fromkeys(("video_url", "video", "input_video"), "video"),
    **dict.fromkeys(("file", "input_file", "document"), None),
}
"""What a part is, by its type. None: by what its file says."""
_INLINE = frozenset({"inlineData", "inline_data", "fileData", "file_data"})
"""Gemini's parts have no type."""
_MIMES = ("mimeType", "mime_type", "media_type", "format")
_NAMED = ("filename", "url", "file_url", "fileUri", "file_uri")
_DATA = ("data", "file_data", "url", "image_url", "video_url", "audio_url")
_OF_FILES = frozenset({*_MIMES, *_NAMED, *_DATA, *_SILENT, "file_id", "fileId"})
"""Keys of a part whose texts are a file, or say which."""
_TEXTUAL = ("text/", "application/json", "application/xml", "application/yaml")

_SIZES: Mapping[Modality, tuple[int, int]] = {
    "image": (1000, 0),
    "pdf": (1500, 25),
    "audio": (100, 500),
    "video": (1000, 800),
    "text": (0, 3),
}
"""Tokens of a piece, and bytes for which there is one more: a page of a PDF is taken to be 40 kB and 1,600 tokens, a
second of audio 16 kB and 32, a second of video 240 kB and 300.
"""
_PACKED = frozenset({"pdf", "audio", "video"})
"""Of these the bytes tell next to nothing: a scanned page has 3 MB and a page of text 3 kB."""
MOST_GUESSED = 160_000
"""Tokens that the bytes of one such file are taken for, whatever they are: 100 pages."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, skipkeys=True, check_circular=False, default=lambda _: None)


@dataclass(slots=True)
class Contents:
    """What was found. It refers to the body's texts and is dropped with it."""

    texts: list[str] = field(default_factory=list)
    modalities: set[Modality] = field(default_factory=set)
    apart: list[str] = field(default_factory=list)
    """Texts that are served each on its own."""
    other: int = 0
    """Tokens of what is no text, and of the longest of those apart."""
    guessed: int = 0
    """Tokens of files beyond the first of their pages or seconds, which nothing but their bytes tell."""

    @property
    def tokens(self) -> int:
        """Tokens of everything, estimated."""
        return estimate(self.texts) + self.other + self.guessed

    def walk(self, node: object) -> None:
        """Add whatever is in `node`. Never raises."""
        stack, left = [node], MOST_NODES
        # By class and not by `isinstance`: a conversation has hundreds of these, and JSON has no other kinds.
        while stack and left:
            item = stack.pop()
            kind = item.__class__
            if kind is dict:
                left -= 1
                # Most turns and parts have a text, or a list of parts, and at most a role or a type beside it.
                plain = item.get("content") or item.get("text") or item.get("parts")  # type: ignore[attr-defined]
                name = item.get("role") or item.get("type") or ""  # type: ignore[attr-defined]  # a dict
                few = len(item) == 1 + (name != "")  # type: ignore[arg-type]  # a dict
                form = plain.__class__
                if few and (form is str or form is list) and name.__class__ is str and len(name) <= SHORT:
                    stack.append(plain)
                else:
                    self._mapping(item, stack)  # type: ignore[arg-type]  # a dict
            elif kind is str:
                self.texts.append(item)  # type: ignore[arg-type]  # a text
            elif kind is list:
                left -= 1
                stack += item  # type: ignore[arg-type]  # a list
            elif kind is int or kind is float:
                self.texts.append(str(item))
        if stack:
            self._unwalked(stack)

    def json(self, node: object) -> None:
        """Add `node` as JSON, with its keys: tools, schemas, arguments of calls. Never raises."""
        try:
            self.texts.append(_ENCODER.encode(node))
        except (RecursionError, ValueError, TypeError):
            self._leaves(node)

    def _unwalked(self, nodes: list[object]) -> None:
        """Add what is too much to be looked into: as JSON, and whatever else its text names."""
        self.json(nodes)
        written = self.texts[-1] if self.texts else ""
        for kind, modality in _BY_TYPE.items():
            if f'"type": "{kind}"' in written:
                self.modalities.add(modality or "pdf")
        if any(f'"{key}": ' in written for key in _INLINE):
            self.modalities.add("pdf")

    def _leaves(self, node: object) -> None:
        """Add the texts of what is nested too deep to be JSON."""
        stack = [node]
        while stack:
            item = stack.pop()
            if isinstance(item, Mapping):
                stack.extend((*item.keys(), *item.values()))
            elif isinstance(item, list | tuple):
                stack.extend(item)
            elif isinstance(item, str):
                self.texts.append(item)
            self.other += 1

    def _mapping(self, item: dict[object, object], stack: list[object]) -> None:
        kind = item.get("type")
        typed = kind.__class__ is str and kind in _BY_TYPE
        if (typed or not _INLINE.isdisjoint(item)) and not _is_text(item):
            self._medium(item, _BY_TYPE[str(kind)] if typed else None, stack)
            return
        for key, value in item.items():
            form = value.__class__
            if key in _SILENT and form is str:
                if len(value) > SHORT:  # type: ignore[arg-type]  # a text
                    self._silent(value)  # type: ignore[arg-type]  # a text
            elif form is dict and key in _OBJECTS:
                self.json(value)
            elif value is not None:
                if key not in _STRUCTURE:
                    self.texts.append(str(key))
                stack.append(value)

    def _silent(self, text: str) -> None:
        if len(text) > SHORT:
            self.other += len(text) // PER_TOKEN

    def _medium(self, part: Mapping[object, object], modality: Modality | None, stack: list[object]) -> None:
        """Add a part that is an image or a file; what it says beside that goes to the stack."""
        about: dict[object, str] = {}
        data = 0
        for key, value in _flat(part):
            if not isinstance(value, str) or key not in _OF_FILES:
                stack.append(value)
            elif _is_inline(str(key), value):
                data = max(data, len(value))
                about[key] = value
            else:
                self._silent(value)
                about[key] = value
        modality = modality or _modality(about)
        piece, per_bytes = _SIZES[modality]
        by_size = data * 3 // 4 // per_bytes if per_bytes else 0
        if modality in _PACKED:
            self.guessed += min(by_size, MOST_GUESSED)
            by_size = 0
        self.other += piece + by_size
        self.modalities.add(modality)


def collect(body: Mapping[str, object]) -> Contents:
    """Return everything that a body of any wire sends. Never raises."""
    found, extra = Contents(), body.get(EXTRA)
    _fields(body, found)
    if isinstance(extra, Mapping):
        # LiteLLM puts it over the rest, for some providers: either may be what is sent.
        _fields(extra, found, inner=True)
    turns = next((given for key in TURNS if (given := body.get(key)) is not None), None)
    found.other += PER_TURN * (len(turns) if isinstance(turns, list) else 1)
    return found


def _fields(body: Mapping[str, object], found: Contents, *, inner: bool = False) -> None:
    for key, given in body.items():
        if len(key) > SHORT:
            found.texts.append(key)
        form = given.__class__
        if form not in (str, list, dict, tuple) or not given or _is_kept_back(key):
            continue
        if key in _EACH_ON_ITS_OWN and form is list and (one := _one_of_many(given)) is not None:  # type: ignore[arg-type]
            found.other += one
            found.apart.extend(text for text in given if text.__class__ is str)  # type: ignore[attr-defined]
        elif key in _CONTENT or form is str:
            found.walk(given)
        elif inner or key != EXTRA or form is not dict:
            found.json(given)


def _is_kept_back(key: str) -> bool:
    return key in KEPT_BACK or key.startswith(_KEPT_BACK_PREFIXES)


def _one_of_many(given: list[object]) -> int | None:
    """Return the tokens of the longest of texts that are served each on its own, None where the list is no such."""
    kinds = set(map(type, given))
    if kinds == {str}:
        return largest(given)  # type: ignore[arg-type]  # all are texts
    if kinds == {int}:
        return len(given)
    if kinds == {list} and all(set(map(type, tokens)) <= {int} for tokens in given):  # type: ignore[call-overload]
        return max(map(len, given))  # type: ignore[arg-type]  # all are lists
    return None


def _is_text(part: Mapping[object, object]) -> bool:
    """Return whether a document is given as text, which is walked like any other."""
    source = part.get("source")
    return isinstance(source, Mapping) and source.get("type") in ("text", "content")


def _flat(part: Mapping[object, object]) -> Iterator[tuple[object, object]]:
    stack = [part]
    while stack:
        for key, value in stack.pop().items():
            if len(str(key)) > SHORT:
                yield None, key
            if value.__class__ is dict:
                stack.append(value)
            else:
                yield key, value


def _is_inline(key: str, text: str) -> bool:
    return key in ("data", "file_data") or text.startswith("data:")


def _modality(about: Mapping[object, str]) -> Modality:
    """Return what a file is, by its MIME type or its name; one that says neither is taken for a document."""
    mime = next((about[key] for key in _MIMES if about.get(key)), "")
    inline = next((text for key in _DATA if (text := about.get(key, "")).startswith("data:")), "")
    if "/" not in mime:
        mime = inline[5:80].partition(";")[0]
    if not mime:
        name = next((about[key] for key in _NAMED if about.get(key)), "")
        mime = mimetypes.guess_type("x" + name[-40:].rpartition("/")[2])[0] or ""
    kind = mime.partition("/")[0]
    if kind in ("image", "audio", "video"):
        return kind  # type: ignore[return-value]  # narrowed by the line above
    return "text" if mime.startswith(_TEXTUAL) else "pdf"
