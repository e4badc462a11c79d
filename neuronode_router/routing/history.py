"""Makes the history of a conversation acceptable for another provider than the one that wrote it.

What only its maker can read is taken out: signed thinking, encrypted reasoning, ids of what the maker keeps. Nothing
else of a body changes, and the body that is handed in is never written to. It must not know LiteLLM or deployments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from neuronode_router.routing.conversation import is_answer, parameters
from neuronode_router.routing.fit import WEIGHTY

THINKING = frozenset({"thinking", "redacted_thinking"})
SIGNED_FIELDS = ("thinking_blocks", "reasoning_items")
"""Where LiteLLM keeps the same in chat messages."""
STORED = "item_reference"
"""An item of the responses format that is only the id of what the maker keeps."""
REASONING = "reasoning"
PLAIN = frozenset({"message", "function_call", "custom_tool_call"})
"""Items that need no id. Providers know those of others by their form."""
THINKING_PARAMETERS = ("thinking", "reasoning_effort")
"""What asks a model to think first."""

LIMITS = frozenset({"max_tokens", "max_completion_tokens"})

Foreign = Callable[[int, Mapping[str, Any]], bool]
"""From a turn's number and the turn to whether another provider wrote it than the one that is asked now."""


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
    for number, turn in enumerate(turns):
        if isinstance(turn, Mapping) and (is_answer(turn) or turn.get("type") == STORED):
            if foreign(number, turn):
                turn = clean(turn, names)
            if turn is None:
                continue
        yield turn


def _message(turn: Mapping[str, Any], names: set[str]) -> Mapping[str, Any] | None:
    """Return a chat message or an Anthropic one without what is signed; None where nothing is left of it."""
    kept = {key: value for key, value in turn.items() if key not in SIGNED_FIELDS}
    content = turn.get("content")
    if isinstance(content, list) and any(map(_is_thinking, content)):
        kept["content"] = [part for part in content if not _is_thinking(part)]
    if len(kept) == len(turn) and kept.get("content") is content:
        return turn
    names.add("thinking_blocks")
    return kept if kept.get("content") or kept.get("tool_calls") or kept.get("function_call") else None


def _item(item: Mapping[str, Any], names: set[str]) -> Mapping[str, Any] | None:
    """Return an item of the responses format without its maker's id; None for what only its maker can read."""
    if item.get("type") in (REASONING, STORED) or item.get("encrypted_content"):
        names.add(STORED if item.get("type") == STORED else "encrypted_content")
        return None
    if "id" in item and item.get("type", "message") in PLAIN:
        names.add("item_ids")
        return {key: value for key, value in item.items() if key != "id"}
    return item


def _is_thinking(part: object) -> bool:
    return isinstance(part, Mapping) and part.get("type") in THINKING


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
