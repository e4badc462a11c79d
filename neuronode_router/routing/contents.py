"""Everything of a request body that is sent to a deployment: its texts, and its images, files, audio and video.

It must not know which turn says what. It walks whatever was sent, however it is nested, and copies no text.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from neuronode_router.routing.inventory import Modality
from neuronode_router.routing.tokens import estimate

TURNS = ("messages", "input", "prompt", "contents")
"""Where the wires keep what is said, in the order in which they are looked for."""
SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction")
_CONTENT = (*TURNS, *SYSTEM, "suffix", "prediction")
_STRUCTURED = ("tools", "functions", "response_format", "text", "output_format", "output_config")
_GENERATION = ("generationConfig", "generation_config", "config")
_OBJECTS = frozenset({"input", "args", "arguments", "response", "parameters", "input_schema", "action"})
"""Keys of calls and results whose objects are sent as JSON."""
_SILENT = frozenset(
    {
        *("role", "type", "id", "call_id", "tool_call_id", "tool_use_id", "status", "signature", "object"),
        *("encrypted_content", "thoughtSignature", "thought_signature", "detail", "item_id", "phase"),
    }
)
"""Keys whose texts are no text to a deployment."""

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

_ENCODER = json.JSONEncoder(ensure_ascii=False, skipkeys=True, check_circular=False, default=str)


@dataclass(slots=True)
class Contents:
    """What was found. It refers to the body's texts and is dropped with it."""

    texts: list[str] = field(default_factory=list)
    modalities: set[Modality] = field(default_factory=set)
    other: int = 0
    """Tokens of what is no text."""

    @property
    def tokens(self) -> int:
        """Tokens of everything, estimated."""
        return estimate(self.texts) + self.other

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
                if len(item) <= 2 and plain.__class__ in (str, list):  # type: ignore[arg-type]
                    stack.append(plain)
                else:
                    self._mapping(item, stack)  # type: ignore[arg-type]  # a dict
            elif kind is str:
                self.texts.append(item)  # type: ignore[arg-type]  # a text
            elif kind is list:
                left -= 1
                stack += item  # type: ignore[arg-type]  # a list
        if stack:
            self.json(stack)

    def json(self, node: object) -> None:
        """Add `node` as JSON, with its keys: tools, schemas, arguments of calls. Never raises."""
        try:
            self.texts.append(_ENCODER.encode(node))
        except (RecursionError, ValueError, TypeError):
            self.other += _leaves(node)

    def _mapping(self, item: dict[object, object], stack: list[object]) -> None:
        kind = item.get("type")
        typed = kind.__class__ is str and kind in _BY_TYPE
        if (typed or not _INLINE.isdisjoint(item)) and not _is_text(item):
            self._medium(item, _BY_TYPE[str(kind)] if typed else None)
            return
        for key, value in item.items():
            form = value.__class__
            if form is str:
                if key not in _SILENT:
                    self.texts.append(value)  # type: ignore[arg-type]  # a text
            elif form is dict and key in _OBJECTS:
                self.json(value)
            elif form is dict or form is list:
                stack.append(value)

    def _medium(self, part: Mapping[object, object], modality: Modality | None) -> None:
        about = dict(_flat(part))
        modality = modality or _modality(about)
        data = max(
            (len(text) for key in _DATA if (text := about.get(key)) and _is_inline(key, text)), default=0
        )
        piece, per_bytes = _SIZES[modality]
        self.other += piece + (data * 3 // 4 // per_bytes if per_bytes else 0)
        self.modalities.add(modality)


def collect(body: Mapping[str, object]) -> Contents:
    """Return everything that a body of any wire sends. Never raises."""
    found = Contents()
    for key in _CONTENT:
        if (given := body.get(key)) is not None:
            if (
                key in ("input", "prompt")
                and isinstance(given, list)
                and (one := _one_of_many(given)) is not None
            ):
                given, size = one
                found.other += size
            found.walk(given)
    for key in (*_STRUCTURED, *_GENERATION):
        if (given := body.get(key)) and isinstance(given, Mapping | list | tuple):
            found.json(given)
    turns = next((given for key in TURNS if (given := body.get(key)) is not None), None)
    found.other += PER_TURN * (len(turns) if isinstance(turns, list) else 1)
    return found


def _one_of_many(given: list[object]) -> tuple[str, int] | None:
    """Return the longest of prompts or embedded texts that are served each on its own, and the size of one in tokens.

    None where the list is a conversation.
    """
    if all(isinstance(item, str) for item in given):
        return max(given, key=len, default=""), 0  # type: ignore[arg-type, return-value]  # all are texts
    if all(isinstance(item, int) for item in given):
        return "", len(given)
    if all(isinstance(item, list) for item in given):
        return "", max(map(len, given))  # type: ignore[arg-type]  # all are lists
    return None


def _is_text(part: Mapping[object, object]) -> bool:
    """Return whether a document is given as text, which is walked like any other."""
    source = part.get("source")
    return isinstance(source, Mapping) and source.get("type") in ("text", "content")


def _flat(part: Mapping[object, object], levels: int = 3) -> Iterator[tuple[object, str]]:
    for key, value in part.items():
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, Mapping) and levels:
            yield from _flat(value, levels - 1)


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


def _leaves(node: object) -> int:
    """Return about how many tokens something is that is nested too deep to be JSON."""
    stack, size = [node], 0
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            stack.extend((*item.keys(), *item.values()))
        elif isinstance(item, Sequence) and not isinstance(item, str):
            stack.extend(item)
        size += 1 + (len(item) // 3 if isinstance(item, str) else 0)
    return size
