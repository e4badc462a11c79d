"""One request read once, whatever its wire format: the turns, all that it needs, whose turn it is, and its identity.

It must not know LiteLLM, nor keep or copy text beyond the turns that a classifier reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from neuronode_router.routing.contents import EXTRA, SYSTEM, TURNS, collect
from neuronode_router.routing.fit import Needs
from neuronode_router.routing.inventory import TEXT, Ability

Turn = Mapping[str, object]

LOOKED_AT = 64
"""Turns, and parts of a turn, that a classifier is handed; all are counted."""
KNOWN_BY = 400
"""Characters of a text, from each of its ends, by which it is known again."""
SPREAD = 8192
"""At most so many of those between them count, by a checksum, at even distances: up to this length all. Requests often
share a template and have their own document in its middle.
"""

_TOOL_RESULTS = frozenset(
    {"tool_result", "function_call_output", "custom_tool_call_output", "computer_call_output"}
    | {"local_shell_call_output", "shell_call_output", "apply_patch_call_output", "mcp_approval_response"}
)
_ANSWERS = frozenset(
    {"reasoning", "function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call"}
    | {
        "apply_patch_call",
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "compaction",
        "item_reference",
    }
    | {"image_generation_call", "mcp_call", "mcp_list_tools", "mcp_approval_request"}
)
"""Items of the responses format that an assistant writes and that name no role."""
_RESULT_KEYS = frozenset({"functionResponse", "function_response"})
_REMINDER = re.compile(r"\s*<([a-z][a-z_-]{1,40})>")
"""How a text begins that a coding agent puts beside what its user or a tool has said."""

_LONGEST_ANSWER = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
_GENERATION = ("generationConfig", "generation_config", "config")
_ANSWER_FORMS = ("response_format", "output_format", "output_config", "text", "format")
"""Where the wires say how an answer is to look, themselves or in a `format` of theirs."""
_SCHEMAS = (
    *("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema"),
    *("schema", "json_schema"),
)
_GUIDED = ("guided_json", "output_schema")
"""Schemas that stand in the body itself."""
_REASONING = ("reasoning_effort", "reasoning", "thinking")
_SAY_ANSWERS = frozenset({*_LONGEST_ANSWER, *_GENERATION})
NOTHING: frozenset[Ability] = frozenset()
_ASK_ABILITIES = frozenset({"tools", "functions", *_GENERATION, *_ANSWER_FORMS, *_GUIDED, *_REASONING})
"""Fields without which a body says nothing of its answer's length, and asks for no ability."""
_PARAMETERS = frozenset(
    {
        *("tools", "tool_choice", "functions", "function_call", "parallel_tool_calls", "response_format"),
        *(
            "logprobs",
            "top_logprobs",
            "n",
            "seed",
            "stop",
            "logit_bias",
            "frequency_penalty",
            "presence_penalty",
        ),
        *("temperature", "top_p", "max_tokens", "max_completion_tokens", "reasoning_effort", "thinking"),
        *("modalities", "audio", "prediction", "web_search_options", "verbosity"),
    }
)
"""OpenAI's names of what a request may set, and a deployment may not take."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One request. It refers to the body's text and is dropped with it."""

    turns: Sequence[Turn] | str
    """As chat messages: what a classifier reads. In a tool loop they end with what a person wrote last."""
    needs: Needs
    system: str = ""
    """The system prompt that stands beside the turns, as far as a classifier reads it."""
    uses_tools: bool = False
    in_tool_loop: bool = False
    """Whether the last turn hands in results of tools, perhaps with reminders beside them or after them."""
    place: int = 0
    """The number of the turn that a person wrote last: it stays the same throughout a tool loop."""
    known_by: tuple[str, ...] = ()
    """Texts that tell this conversation's loop from others: how it opened, and what a person wrote last."""


def is_answer(turn: Turn) -> bool:
    """Return whether a turn, or an item of the responses format, was written by an assistant."""
    return turn.get("role") in ("assistant", "model") or kind_of(turn) in _ANSWERS


def read(body: Mapping[str, object]) -> Conversation:
    """Return what a body of the chat, text, responses, messages or Gemini format asks for. Never raises.

    What is in none of these formats is an empty conversation.
    """
    needs, body = read_needs(body), _sent(body)
    (raw, to_turn), system = raw_turns(body), system_beside(body)
    uses_tools = bool(body.get("tools") or body.get("functions"))
    if isinstance(raw, str):
        known = (shortened(raw),) if uses_tools else ()
        return Conversation(raw, needs, system, uses_tools=uses_tools, known_by=known)
    place, looping = _place(raw)
    until = place + 1 if looping and place >= 0 else len(raw)
    return Conversation(
        turns=_looked_at(raw, until, to_turn),
        needs=needs,
        system=system,
        uses_tools=uses_tools,
        in_tool_loop=looping,
        place=max(0, place),
        known_by=_identity(raw, place) if uses_tools or looping else (),
    )


def opening(said: Conversation) -> tuple[str, ...]:
    """Return texts by which a conversation is known from its first question on; none of a mere text."""
    return () if isinstance(said.turns, str) else _identity(said.turns, -1)


def answered_place(said: Conversation) -> int:
    """Return the number of the turn that a person wrote last, 0 where nobody has answered before it."""
    if isinstance(said.turns, str) or not any(turn.get("role") == "assistant" for turn in said.turns):
        return 0
    return said.place


def read_needs(body: Mapping[str, object]) -> Needs:
    """Return what a body of any of these formats needs of a deployment. Never raises."""
    found, body = collect(body), _sent(body)
    return Needs(
        tokens=found.tokens,
        guessed=found.guessed,
        answer=_longest_answer(body),
        modalities=TEXT | found.modalities if found.modalities else TEXT,
        abilities=NOTHING if _ASK_ABILITIES.isdisjoint(body) else frozenset(_abilities(body)),
        parameters=frozenset(parameters(body)),
    )


def _sent(body: Mapping[str, object]) -> Mapping[str, object]:
    """Return a body with what LiteLLM puts over it."""
    extra = body.get(EXTRA)
    return {**body, **extra} if isinstance(extra, Mapping) else body


def raw_turns(body: Mapping[str, object]) -> tuple[Sequence[object] | str, Callable[[Turn], Turn]]:
    """Return the turns as they were sent, and what makes a chat message of one."""
    for key in TURNS:
        given = body.get(key)
        if given is None or (key == "messages" and not isinstance(given, list)):
            continue
        if key == "prompt" and isinstance(given, list):
            return next(
                (text for text in reversed(given[-LOOKED_AT:]) if isinstance(text, str)), ""
            ), _as_it_is
        if isinstance(given, str | list):
            return given, {"contents": _gemini, "input": _item}.get(key, _as_it_is)
        return "", _as_it_is
    return "", _as_it_is


def _looked_at(raw: Sequence[object], until: int, to_turn: Callable[[Turn], Turn]) -> Sequence[Turn]:
    """Return the turns that a classifier looks at: the first, and the last before `until`."""
    begin = max(0, until - LOOKED_AT)
    recent = [to_turn(turn) for turn in raw[begin:until] if isinstance(turn, dict)]
    first = raw[0] if begin else None
    # A classifier looks at the first turn and at so many from the end: the others keep their number only.
    return [to_turn(first), {}, *recent] if isinstance(first, Mapping) else recent


def system_beside(body: Mapping[str, object]) -> str:
    """Return the system prompt that the messages, responses and Gemini formats keep beside the turns."""
    texts: list[str] = []
    for given in (body[key] for key in SYSTEM if key in body):
        if isinstance(given, Mapping):
            given = given.get("parts")
        parts = [given] if isinstance(given, str) else parts_of(given)
        texts += [
            text
            for part in parts
            if isinstance(text := part.get("text") if isinstance(part, dict) else part, str)
        ]
    return "\n".join(texts)


def _as_it_is(turn: Turn) -> Turn:
    return turn


def _gemini(turn: Turn) -> Turn:
    """Return a turn of Gemini's format as a chat message."""
    found = [part for part in _content(turn) if isinstance(part, dict)]
    if _hands_in_results(turn):
        return {"role": "tool", "content": ""}
    content = [_gemini_part(part) for part in found[:LOOKED_AT]]
    return {"role": "assistant" if turn.get("role") == "model" else "user", "content": content}


def _gemini_part(part: Mapping[str, object]) -> Turn:
    text = part.get("text")
    return {"type": "text", "text": text} if isinstance(text, str) else {"type": "file"}


def _item(item: Turn) -> Turn:
    """Return an item of the responses format as a chat message."""
    return {"role": "tool", "content": item.get("output", "")} if kind_of(item) in _TOOL_RESULTS else item


def kind_of(part: Turn) -> str:
    """Return what a turn, an item or a part says it is, empty where it says nothing."""
    kind = part.get("type")
    return kind if isinstance(kind, str) else ""


def parts_of(content: object) -> Sequence[object]:
    """Return the parts that are looked at of what may hold some."""
    return content[:LOOKED_AT] if isinstance(content, list) else ()


def _content(turn: Turn) -> Sequence[object]:
    """Return the parts of a turn of any format; a text is one part."""
    content = turn.get("content", turn.get("parts"))
    return content if isinstance(content, list) else (content,)


def _hands_in_results(turn: Turn) -> bool:
    if turn.get("role") in ("tool", "function") or kind_of(turn) in _TOOL_RESULTS:
        return True
    if isinstance(turn.get("content"), str):
        return False
    for part in _content(turn):
        if isinstance(part, dict) and (kind_of(part) in _TOOL_RESULTS or not _RESULT_KEYS.isdisjoint(part)):
            return True
    return False


def _place(turns: Sequence[object]) -> tuple[int, bool]:
    """Return the number of the turn that a person wrote last, -1 for none, and whether results came after it."""
    results = False
    for number in range(len(turns) - 1, -1, -1):
        turn = turns[number]
        if not isinstance(turn, dict):
            continue
        if _hands_in_results(turn):
            results = True
        elif _is_users(turn):
            # A reminder of its own after a tool's results is nobody's question.
            if any(not is_reminder(text) for text in texts_of(turn)) or not _follows_results(turns, number):
                return number, results
        elif not results:
            # What an assistant said last ends a loop; what comes before it is no news.
            return _person_before(turns, number), False
    return -1, results


def _person_before(turns: Sequence[object], end: int) -> int:
    places = range(end - 1, -1, -1)
    return next((at for at in places if isinstance(turn := turns[at], dict) and is_persons(turn)), -1)


def _follows_results(turns: Sequence[object], number: int) -> bool:
    before = turns[number - 1] if number else None
    return isinstance(before, Mapping) and (_hands_in_results(before) or _is_users(before))


def _is_users(turn: Turn) -> bool:
    return turn.get("role") == "user" or ("parts" in turn and turn.get("role") is None)


def is_persons(turn: Turn) -> bool:
    """Return whether a person wrote a turn."""
    return _is_users(turn) and not _hands_in_results(turn)


def texts_of(turn: Turn) -> Iterator[str]:
    """Yield the texts of a turn of any format."""
    for part in _content(turn):
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            yield text


def is_reminder(text: str) -> bool:
    """Return whether a text is wrapped in one tag: `<system-reminder>...</system-reminder>`."""
    found = _REMINDER.match(text, 0, 80)
    return found is not None and text[-80:].rstrip().endswith(f"</{found[1]}>")


def _identity(turns: Sequence[object], place: int) -> tuple[str, ...]:
    """Return how the conversation opened and what a person wrote last, without reminders, which come and go."""
    opening = next((turn for turn in turns if isinstance(turn, dict) and is_persons(turn)), {})
    last = turns[place] if place >= 0 else {}
    said = last if isinstance(last, Mapping) else {}
    return tuple(
        shortened(text) for turn in (opening, said) for text in texts_of(turn) if not is_reminder(text)
    )


def shortened(text: str) -> str:
    """Return a text by which it is known again: all of a short one, ends and a checksum of a long one."""
    if len(text) <= 2 * KNOWN_BY:
        return text
    between = text[KNOWN_BY : -KNOWN_BY : len(text) // SPREAD + 1]
    checksum = crc32(between.encode("utf-8", "surrogatepass"))
    return f"{len(text)} {checksum} {text[:KNOWN_BY]}{text[-KNOWN_BY:]}"


def _longest_answer(body: Mapping[str, object]) -> int:
    if _SAY_ANSWERS.isdisjoint(body):
        return 0
    places = (body, *(part for key in _GENERATION if isinstance(part := body.get(key), Mapping)))
    wishes = (place.get(key) for place in places for key in _LONGEST_ANSWER)
    return next((wish for wish in wishes if type(wish) is int and wish > 0), 0)


def _abilities(body: Mapping[str, object]) -> Iterator[Ability]:
    if (body.get("tools") or body.get("functions")) and body.get("tool_choice") != "none":
        yield Ability.TOOLS
    if _asks_for_schema(body):
        yield Ability.SCHEMA
    if any(body.get(key) for key in _REASONING):
        yield Ability.REASONING


def _asks_for_schema(body: Mapping[str, object]) -> bool:
    """Return whether an answer is wanted by a schema: in a format, or in a setting that holds one."""
    settings = [part for key in (*_GENERATION, *_ANSWER_FORMS) if isinstance(part := body.get(key), Mapping)]
    formats = [part for place in settings if isinstance(part := place.get("format"), Mapping)]
    return any(body.get(key) for key in _GUIDED) or any(
        kind_of(place) == "json_schema" or any(place.get(key) for key in _SCHEMAS)
        for place in (*settings, *formats)
    )


def parameters(body: Mapping[str, object]) -> Iterator[str]:
    """Yield the parameters that are set to more than what goes without saying."""
    for key in _PARAMETERS.intersection(body):
        value = body[key]
        if value is not None and value is not False and not (key == "n" and value == 1):
            yield key
