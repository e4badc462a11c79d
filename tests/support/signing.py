"""What a fake provider signs and keeps, and what it refuses because another one did: as the real ones do.

A deployment whose name holds `signs-<word>` belongs to the provider of that word. With tools it calls one for what a
person says and answers in words to a tool's results. It must not know sockets or LiteLLM.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

_MAKER = re.compile(r"\bsigns-(\w{1,16})\b")
_CHAT_PARTS = frozenset({"text", "image_url", "input_audio", "file", "refusal"})
CACHED_TOKENS = 8
"""Of every prompt, as the provider bills it."""

_numbers = count(1)

Found = Iterator[str]


def maker_of(name: str) -> str | None:
    """Return the provider that a deployment's name tells, None for one that signs nothing."""
    found = _MAKER.search(name)
    return found[1] if found else None


def refusal(path: str, body: Mapping[str, Any], maker: str) -> str | None:
    """Return why the provider refuses a body, in the words by which LiteLLM and clients know it; None where not."""
    checks: Mapping[str, Callable[[Mapping[str, Any], str], Found]] = {
        "/messages": _anthropic_faults,
        "/responses": _responses_faults,
        "/chat/completions": _chat_faults,
    }
    found = next((check for suffix, check in checks.items() if path.endswith(suffix)), None)
    return next(found(body, maker), None) if found else None


def answer(path: str, body: Mapping[str, Any], maker: str, whole: dict[str, Any]) -> dict[str, Any]:
    """Return a plain answer as the provider writes it: signed, with a call where that is its turn."""
    number = next(_numbers)
    if path.endswith("/messages"):
        return _anthropic(body, maker, whole, number)
    if path.endswith("/responses"):
        return _responses(body, maker, whole, number)
    return _chat(body, whole, number)


def _anthropic_faults(body: Mapping[str, Any], maker: str) -> Found:
    turns = body["messages"]
    for number, turn in enumerate(turns):
        parts = turn["content"] if isinstance(turn["content"], list) else []
        if isinstance(turn["content"], list) and not parts:
            yield f"messages.{number}.content: at least one content block is required"
        for place, part in enumerate(parts):
            where = f"messages.{number}.content.{place}"
            if part["type"] == "thinking" and not str(part.get("signature")).startswith(f"sig-{maker}-"):
                yield f"{where}: Invalid `signature` in `thinking` block"
            if part["type"] == "redacted_thinking" and not part["data"].startswith(f"red-{maker}-"):
                yield f"{where}: Invalid `data` in `redacted_thinking` block"
            yield from (f"{where}: {fault}" for fault in _search_faults(part, parts, maker))
    last = next((turn["content"] for turn in reversed(turns) if turn["role"] == "assistant"), None)
    if _thinks(body) and isinstance(last, list):
        kinds = [part["type"] for part in last]
        if "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking"):
            yield (
                "Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final "
                "`assistant` message must start with a thinking block."
            )


def _search_faults(part: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], maker: str) -> Found:
    if part["type"] == "server_tool_use":
        results = [one.get("tool_use_id") for one in parts if one["type"] == "web_search_tool_result"]
        if part["id"] not in results:
            yield f"`web_search` tool use with id `{part['id']}` was found without a corresponding result block"
    results = part["content"] if part["type"] == "web_search_tool_result" else ()
    if not all(one["encrypted_content"].startswith(f"found-{maker}-") for one in results):
        yield "Invalid `encrypted_content` in `search_result` block"
    if not all(one["encrypted_index"].startswith(f"found-{maker}-") for one in part.get("citations") or ()):
        yield "Invalid `encrypted_index` in `citations`"


def _responses_faults(body: Mapping[str, Any], maker: str) -> Found:
    given = body.get("previous_response_id")
    if given is not None and not given.startswith(f"resp_{maker}_"):
        yield f"Previous response with id '{given}' not found."
    prefixes = {"message": "msg_", "function_call": "fc_", "reasoning": "rs_"}
    items = body["input"] if isinstance(body["input"], list) else []
    for number, item in enumerate(items):
        kind = item.get("type", "message")
        if kind == "item_reference" and f"_{maker}_" not in item["id"]:
            yield f"Item with id '{item['id']}' not found."
        if kind == "reasoning" and not str(item.get("encrypted_content")).startswith(f"enc-{maker}-"):
            yield f"The encrypted content for item {item.get('id')} could not be verified. invalid_encrypted_content"
        if kind.endswith("_call") and "call_id" not in item:
            if not number or items[number - 1].get("type") != "reasoning":
                yield f"Item '{item['id']}' of type '{kind}' was provided without its required 'reasoning' item."
            if f"_{maker}_" not in item["id"]:
                yield f"Item with id '{item['id']}' not found."
        wanted = prefixes.get(kind)
        if wanted and item.get("id") is not None and not item["id"].startswith(wanted):
            yield f"Invalid 'input[{number}].id': '{item['id']}'. Expected an ID that begins with '{wanted}'."


def _chat_faults(body: Mapping[str, Any], maker: str) -> Found:
    for number, turn in enumerate(body["messages"]):
        for part in turn.get("content") if isinstance(turn.get("content"), list) else []:
            if part["type"] not in _CHAT_PARTS:
                yield f"Invalid value: '{part['type']}' in messages[{number}].content"
        if turn.get("audio"):
            yield f"Audio response with id '{turn['audio']['id']}' not found in messages[{number}]"
        if "thinking_blocks" in turn:
            yield f"Unrecognized field 'thinking_blocks' in messages[{number}]"


def _thinks(body: Mapping[str, Any]) -> bool:
    return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def _calls(body: Mapping[str, Any], results: Sequence[str]) -> bool:
    """Return whether it is the model's turn to call a tool: nothing is handed in at the end."""
    turns = body.get("messages", body.get("input"))
    last = turns[-1] if isinstance(turns, list) else {}
    parts = last["content"] if isinstance(last.get("content"), list) else []
    kinds = {last.get("role"), last.get("type"), *(part.get("type") for part in parts)}
    return bool(body.get("tools")) and kinds.isdisjoint(results)


def _anthropic(body: Mapping[str, Any], maker: str, whole: dict[str, Any], number: int) -> dict[str, Any]:
    content = list(whole["content"])
    if _calls(body, ["tool_result"]):
        content = [{"type": "tool_use", "id": f"toolu_{number}", "name": "look", "input": {}}]
        whole["stop_reason"] = "tool_use"
    if _thinks(body):
        thought = {"type": "thinking", "thinking": "hm", "signature": f"sig-{maker}-{number}"}
        hidden = {"type": "redacted_thinking", "data": f"red-{maker}-{number}"}
        content = [thought, hidden, *content]
    usage = whole["usage"] | {"cache_read_input_tokens": CACHED_TOKENS, "cache_creation_input_tokens": 0}
    return whole | {"id": f"msg_{maker}_{number}", "content": content, "usage": usage}


def _responses(body: Mapping[str, Any], maker: str, whole: dict[str, Any], number: int) -> dict[str, Any]:
    item: dict[str, Any] = dict(whole["output"][0], id=f"msg_{maker}_{number}")
    if _calls(body, ["function_call_output"]):
        item = {"type": "function_call", "id": f"fc_{maker}_{number}", "call_id": f"call_{number}"}
        item |= {"name": "look", "arguments": "{}", "status": "completed"}
    thought = {"type": "reasoning", "id": f"rs_{maker}_{number}", "summary": []}
    thought |= {"encrypted_content": f"enc-{maker}-{number}"}
    usage = whole["usage"] | {"input_tokens_details": {"cached_tokens": CACHED_TOKENS}}
    return whole | {"id": f"resp_{maker}_{number}", "output": [thought, item], "usage": usage}


def _chat(body: Mapping[str, Any], whole: dict[str, Any], number: int) -> dict[str, Any]:
    if _calls(body, ["tool"]):
        call = {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": "look", "arguments": "{}"},
        }
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        whole["choices"] = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    usage = whole["usage"] | {"prompt_tokens_details": {"cached_tokens": CACHED_TOKENS}}
    return whole | {"usage": usage}
