"""What a request body asks for, whatever its wire format: the turns, the size, and whether tools are at work.

It must not know LiteLLM, nor keep or copy text beyond the turns that a classifier reads. Its cost is bounded, however
long the conversation is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from neuronode_router.routing.fallback_chain import Needs
from neuronode_router.routing.inventory import TEXT, Modality

Turn = Mapping[str, object]

LOOKED_AT = 64
"""Turns, and parts of a turn, that are looked at; older turns are taken to be as long as these on average."""

CHARS_PER_TOKEN = 3
"""Of German text; English has more, so this errs to the larger window."""

IMAGE_TOKENS = 1000

_MODALITIES: Mapping[str, Modality] = {
    "image_url": "image",
    "image": "image",
    "input_image": "image",
    "input_audio": "audio",
    "audio": "audio",
}
_TOOL_RESULTS = frozenset({"tool_result", "function_call_output", "custom_tool_call_output"})
_SYSTEM_KEYS = ("system", "instructions", "systemInstruction", "system_instruction")
_LONGEST_ANSWER = ("max_tokens", "max_completion_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class Conversation:
    """One request. It refers to the body's text and is dropped with it."""

    turns: Sequence[Turn] | str
    """As chat messages: what a classifier reads."""
    needs: Needs
    system: str = ""
    """The system prompt that stands beside the turns, as far as a classifier reads it."""
    uses_tools: bool = False
    in_tool_loop: bool = False
    """Whether the last turn hands in results of tools."""
    place: int = 0
    """The number of the turn that a person wrote last: it stays the same throughout a tool loop."""


def read(body: Mapping[str, object]) -> Conversation:
    """Return what a body of the chat, text, responses, messages or Gemini format asks for. Never raises.

    What is in none of these formats is an empty conversation.
    """
    turns = _turns(body)
    tokens = _longest_answer(body)
    if isinstance(turns, str):
        needs = Needs(tokens + len(turns) // CHARS_PER_TOKEN)
        return Conversation(turns, needs, _system(body), uses_tools=bool(body.get("tools")))
    recent = turns[-LOOKED_AT:]
    sizes = [_size(turn) for turn in recent]
    older = (len(turns) - len(recent)) * sum(sizes) // max(1, len(sizes))
    modalities = TEXT.union(*map(_modalities, recent))
    system = _system(body)
    return Conversation(
        turns=turns,
        needs=Needs(tokens + (sum(sizes) + older + len(system)) // CHARS_PER_TOKEN, modalities),
        system=system,
        uses_tools=bool(body.get("tools")),
        in_tool_loop=bool(recent) and _hands_in_results(recent[-1]),
        place=_place(turns),
    )


def _turns(body: Mapping[str, object]) -> Sequence[Turn] | str:
    if isinstance(messages := body.get("messages"), list):
        return _mappings(messages)
    if "contents" in body:
        return _many(body["contents"], _gemini)
    if "input" in body:
        return _many(body["input"], _item)
    prompt = body.get("prompt")
    if isinstance(prompt, list):
        prompt = next((text for text in reversed(prompt[-LOOKED_AT:]) if isinstance(text, str)), "")
    return prompt if isinstance(prompt, str) else ""


def _system(body: Mapping[str, object]) -> str:
    """Return the system prompt that the messages, responses and Gemini formats keep beside the turns."""
    found = [body[key] for key in _SYSTEM_KEYS if key in body]
    texts: list[str] = []
    for given in found:
        if isinstance(given, Mapping):
            given = given.get("parts")
        parts = [given] if isinstance(given, str) else _parts(given)
        texts += [
            text
            for part in parts
            if isinstance(text := part.get("text") if isinstance(part, Mapping) else part, str)
        ]
    return "\n".join(texts)


def _mappings(turns: list[object]) -> Sequence[Turn]:
    if all(isinstance(turn, Mapping) for turn in turns[-LOOKED_AT:]):
        return turns  # type: ignore[return-value]  # older ones are not looked at
    return [turn for turn in turns[-LOOKED_AT:] if isinstance(turn, Mapping)]


def _many(given: object, to_turn: Callable[[Turn], Turn]) -> Sequence[Turn] | str:
    if isinstance(given, str):
        return given
    if not isinstance(given, list):
        return ""
    # The older turns keep their number, for the size; only recent ones and the first are read.
    older: list[Turn] = [{}] * max(0, len(given) - LOOKED_AT)
    if older and isinstance(given[0], Mapping):
        older[0] = to_turn(given[0])
    return [*older, *(to_turn(turn) for turn in given[-LOOKED_AT:] if isinstance(turn, Mapping))]


def _gemini(turn: Turn) -> Turn:
    """Return a turn of Gemini's format as a chat message."""
    parts = turn.get("parts")
    found = [part for part in (parts if isinstance(parts, list) else [parts]) if isinstance(part, Mapping)]
    if any("functionResponse" in part or "function_response" in part for part in found):
        return {"role": "tool", "content": ""}
    content = [_gemini_part(part) for part in found[:LOOKED_AT]]
    return {"role": "assistant" if turn.get("role") == "model" else "user", "content": content}


def _gemini_part(part: Mapping[str, object]) -> Turn:
    if isinstance(text := part.get("text"), str):
        return {"type": "text", "text": text}
    inline = part.get("inlineData") or part.get("inline_data")
    mime = str((inline.get("mimeType") or inline.get("mime_type")) if isinstance(inline, Mapping) else "")
    return {"type": mime.partition("/")[0]}


def _item(item: Turn) -> Turn:
    """Return an item of the responses format as a chat message."""
    if _kind(item) in _TOOL_RESULTS:
        return {"role": "tool", "content": item.get("output", "")}
    return item


def _size(turn: Turn) -> int:
    content = turn.get("content")
    if isinstance(content, str):
        return len(content)
    return sum(_part_size(part) for part in _parts(content))


def _part_size(part: object) -> int:
    if isinstance(part, str):
        return len(part)
    if not isinstance(part, Mapping):
        return 0
    if _kind(part) in _MODALITIES:
        return IMAGE_TOKENS * CHARS_PER_TOKEN
    text = part.get("text", part.get("content"))
    return len(text) if isinstance(text, str) else 0


def _modalities(turn: Turn) -> Iterable[Modality]:
    for part in _parts(turn.get("content")):
        if isinstance(part, Mapping) and (found := _MODALITIES.get(_kind(part))):
            yield found


def _kind(part: Turn) -> str:
    kind = part.get("type")
    return kind if isinstance(kind, str) else ""


def _parts(content: object) -> Sequence[object]:
    return content[:LOOKED_AT] if isinstance(content, list) else ()


def _hands_in_results(turn: Turn) -> bool:
    if turn.get("role") in ("tool", "function"):
        return True
    parts = _parts(turn.get("content"))
    return any(isinstance(part, Mapping) and _kind(part) in _TOOL_RESULTS for part in parts)


def _place(turns: Sequence[Turn]) -> int:
    for number in range(len(turns) - 1, max(-1, len(turns) - 1 - LOOKED_AT), -1):
        if turns[number].get("role") == "user" and not _hands_in_results(turns[number]):
            return number
    return 0


def _longest_answer(body: Mapping[str, object]) -> int:
    return next((wish for key in _LONGEST_ANSWER if isinstance(wish := body.get(key), int) and wish > 0), 0)
