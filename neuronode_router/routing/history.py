"""Makes the history of a conversation acceptable for another provider than the one that wrote it.

Of an answer stays what anybody can read: what it said, and the calls whose results its client has handed in. What only
its maker can read goes: what is signed or encrypted, ids of what the maker keeps, tools that the maker itself ran.
Nothing else of a body changes, and the body that is handed in is never written to. It must not know LiteLLM or
deployments.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from neuronode_router.routing.conversation import is_answer, kind_of, parameters
from neuronode_router.routing.fit import WEIGHTY
from neuronode_router.routing.growth import begins

THINKING = frozenset({"thinking", "redacted_thinking"})
OWN_FIELDS = {
    **dict.fromkeys(("thinking_blocks", "reasoning_items"), "thinking_blocks"),
    "provider_specific_fields": "encrypted_content",
    "audio": "item_ids",
}
"""Where chat messages have the same, what else is their provider's own, and the id of what it said aloud; what that is
called.
"""
STORED = "item_reference"
"""An item of the responses format that is only the id of what the maker keeps."""
REASONING = "reasoning"
HOSTED_PARTS = frozenset({"server_tool_use", "mcp_tool_use", "container_upload"})
"""Parts of an Anthropic message about tools that its provider ran, beside their results."""
MESSAGE = "message"
APPROVAL = "approval_request_id"
"""By which a client's answer names the question whether the maker may call an MCP server."""
THINKING_PARAMETERS = ("thinking", "reasoning_effort")
"""What asks a model to think first."""

LIMITS = frozenset({"max_tokens", "max_completion_tokens"})

Foreign = Callable[[int], bool]
"""From where an answer begins to whether another provider may have given it than the one that is asked now."""


@dataclass(frozen=True, slots=True)
class Acceptable:
    """What takes the place of fields of a body, and what was taken out, by name."""

    changed: Mapping[str, Any] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    """Fields of the body that must go."""
    names: frozenset[str] = frozenset()


def acceptable(body: Mapping[str, Any], foreign: Foreign, *, keeps_state: bool) -> Acceptable:
    """Return what of a chat, messages or responses body must change. Never raises.

    `keeps_state` says that the one who is asked now keeps what `previous_response_id` names, or never sees it.
    """
    names: set[str] = set()
    changed: dict[str, Any] = {}
    for key, clean in (("messages", _message), ("input", _item)):
        turns = body.get(key)
        if isinstance(turns, list):
            found = list(_turns(turns, foreign, clean, names))
            if len(found) != len(turns) or any(a is not b for a, b in zip(found, turns, strict=True)):
                changed[key] = found
    left_out = set()
    if not keeps_state and body.get("previous_response_id"):
        left_out.add("previous_response_id")
    return Acceptable(changed, frozenset(left_out), frozenset(names | left_out))


def unfit_thinking(body: Mapping[str, Any], messages: object) -> frozenset[str]:
    """Return the parameters that ask for thinking in the middle of a tool loop that began without any.

    Anthropic refuses those: with thinking, the turn whose results are handed in must begin with it.
    """
    asked = frozenset(name for name in THINKING_PARAMETERS if body.get(name))
    turns = messages if isinstance(messages, list) else []
    last = next((turn for turn in reversed(turns) if isinstance(turn, Mapping) and is_answer(turn)), {})
    return asked if _calls(last) and not _thinks(last) else frozenset()


def rejected(body: Mapping[str, Any], accepts: frozenset[str]) -> Acceptable:
    """Return which parameters of a body go because a deployment that takes only `accepts` would refuse them.

    What a request asks to think by is put in the deployment's own words where it has some. What an answer cannot do
    without stays, and so do limits of its length, which LiteLLM names anew.
    """
    names = frozenset(parameters(body)) - accepts - WEIGHTY - LIMITS
    thinking, effort = THINKING_PARAMETERS
    changed: dict[str, Any] = {}
    if thinking in names and effort in accepts:
        changed = {} if body.get(effort) else {effort: _effort(body[thinking])}
    return Acceptable(changed, names, names)


def _effort(thinking: object) -> str:
    """Return LiteLLM's word for an amount of thinking, by its own thresholds."""
    budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    if not isinstance(budget, int):
        return "medium"
    return "high" if budget >= 4096 else "medium" if budget >= 2048 else "low"


def _turns(
    turns: Sequence[Any],
    foreign: Foreign,
    clean: Callable[[Mapping[str, Any], set[str]], Mapping[str, Any] | None],
    names: set[str],
) -> Iterator[Any]:
    place, gone = -1, list[object]()
    for number, turn in enumerate(turns):
        place = number if begins(turns, number) else place
        if isinstance(turn, Mapping) and place >= 0 and foreign(place):
            left = clean(turn, names) if is_answer(turn) else _reply(turn, gone, names)
            if left is None:
                gone.append(turn.get("id"))
                continue
            turn = left
        yield turn


def _message(turn: Mapping[str, Any], names: set[str]) -> Mapping[str, Any] | None:
    """Return a chat message or an Anthropic one without what only its maker can read; None where nothing is left."""
    found = {name for key, name in OWN_FIELDS.items() if _holds(turn.get(key))}
    content = turn.get("content")
    if isinstance(content, list):
        content = [part for part in (_part(each, found) for each in content) if part is not None]
    if not found:
        return turn
    names |= found
    kept = {key: content if key == "content" else turn[key] for key in turn if key not in OWN_FIELDS}
    return kept if kept.get("content") or kept.get("tool_calls") or kept.get("function_call") else None


def _holds(field: object) -> bool:
    return any(field.values()) if isinstance(field, Mapping) else bool(field)


def _part(part: Any, names: set[str]) -> Any:
    """Return a part of a message without what only its maker can read; None where nothing is left of it."""
    if _is_thinking(part):
        names.add("thinking_blocks")
        return None
    if not isinstance(part, Mapping):
        return part
    kind = kind_of(part)
    if kind in HOSTED_PARTS or (kind.endswith("_tool_result") and kind != "tool_result"):
        names.add("hosted_tools")
        return None
    if _is_sealed(part):
        names.add("encrypted_content")
        return None
    cited = part.get("citations")
    if isinstance(cited, list) and any(map(_is_sealed, cited)):
        names.add("encrypted_content")
        left = [each for each in cited if not _is_sealed(each)]
        return {**part, "citations": left} if left else {k: v for k, v in part.items() if k != "citations"}
    return part


def _item(item: Mapping[str, Any], names: set[str]) -> Mapping[str, Any] | None:
    """Return an item of the responses format without its maker's id; None for what only its maker can read."""
    kind = kind_of(item) or MESSAGE
    if kind in (REASONING, STORED) or _is_sealed(item):
        names.add(STORED if kind == STORED else "encrypted_content")
        return None
    if kind != MESSAGE and "call_id" not in item:
        names.add("hosted_tools")
        return None
    return _nameless(item, names)


def _reply(turn: Mapping[str, Any], gone: Collection[object], names: set[str]) -> Mapping[str, Any] | None:
    """Return what a client has put after a foreign answer; None where what it replies to is gone."""
    if APPROVAL in turn and turn[APPROVAL] in gone:
        return None
    return _nameless(turn, names) if "call_id" in turn else turn


def _nameless(item: Mapping[str, Any], names: set[str]) -> Mapping[str, Any]:
    """Return an item without the id under which its maker keeps it."""
    if "id" not in item:
        return item
    names.add("item_ids")
    return {key: value for key, value in item.items() if key != "id"}


def _is_sealed(part: object) -> bool:
    return isinstance(part, Mapping) and any(
        str(key).startswith("encrypted_") and value for key, value in part.items()
    )


def _is_thinking(part: object) -> bool:
    return isinstance(part, Mapping) and kind_of(part) in THINKING


def _calls(turn: Mapping[str, Any]) -> bool:
    content = turn.get("content")
    parts = content if isinstance(content, list) else []
    return bool(turn.get("tool_calls")) or any(
        isinstance(part, Mapping) and part.get("type") == "tool_use" for part in parts
    )


def _thinks(turn: Mapping[str, Any]) -> bool:
    content = turn.get("content")
    return bool(turn.get("thinking_blocks")) or (
        isinstance(content, list) and bool(content) and _is_thinking(content[0])
    )
