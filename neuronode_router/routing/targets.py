"""What a request may lead to: every name in it that LiteLLM might call, read once, and the fallbacks written anew.

It knows LiteLLM's shapes and nothing of profiles, callers or groups. Whatever a client sends, the work is bounded and
nothing is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuronode_router.routing.fields import credentials, unchecked

FALLBACK_FIELDS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
"""Where a request says where it goes when it fails."""

OVERRIDE = "router_settings_override"
"""Settings of the router for one request, which LiteLLM merges into it after all hooks before the call."""

EVERY = "*"
"""In fallbacks by group: the groups that are not named."""

MAX_TARGETS = 64
"""So many targets of one list are read."""

MAX_SPOKEN, MAX_NAME = 20_000, 400
"""So many values of a body are looked at for names, of so many characters."""

MAX_DEPTH = 4
"""So deep may fallbacks bring fallbacks of their own."""

_STATE = frozenset(
    {
        *("metadata", "model_info", "proxy_server_request", "secret_fields", "specific_deployment"),
        *("original_function", "original_generic_function"),
        *("attempted_targets", "fallback_depth", "max_fallbacks"),
    }
)
"""What LiteLLM keeps in a request itself: a fallback that brings it would take the caller's name from the request."""

_STATE_PREFIXES = ("_", "litellm_", "user_api_key")

Target = str | Mapping[str, Any]
"""A name, or parameters that go over the request's, mostly with another `model`."""

Leads = Mapping[str, Sequence[str]]
"""From a name to the names that take its place; a name that is not there leads nowhere."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """Where requests to one group go when they fail; without a group, requests to any."""

    group: str | None
    targets: tuple[Target, ...]


def asked(model: str, *, several: bool) -> tuple[str, ...]:
    """Return the names of a `model` field. With `several`, LiteLLM sends the request to each between commas."""
    return tuple(name.strip() for name in model.split(",")) if several and "," in model else (model,)


def of_tools(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names by which tools ask for a model of their own, as advisors do."""
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, Mapping) and isinstance(model := tool.get("model"), str):
            yield model


def lead_tools(body: dict[str, Any], leads: Mapping[str, str]) -> None:
    """Write the groups that they lead to in the place of such names."""
    if leads:
        body["tools"] = [
            {**tool, "model": leads[tool["model"]]}
            if isinstance(tool, Mapping) and isinstance(tool.get("model"), str) and tool["model"] in leads
            else tool
            for tool in body["tools"]
        ]


def spoken(body: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the short texts of a body, names of fields included; None where there are too many to tell."""
    found: set[str] = set()
    waiting: list[object] = [body]
    left = MAX_SPOKEN
    while waiting:
        node = waiting.pop()
        left -= 1
        if left < 0:
            return None
        if isinstance(node, str):
            if len(node) <= MAX_NAME:
                found.add(node)
        elif isinstance(node, Mapping):
            waiting += [*node.keys(), *node.values()]
        elif isinstance(node, list | tuple):
            waiting += node
    return frozenset(found)


def has_fallbacks(body: Mapping[str, Any]) -> bool:
    """Return whether a request brings fallbacks, or settings of the router that may hold some."""
    return any(name in body for name in (*FALLBACK_FIELDS, OVERRIDE))


def take_over(body: dict[str, Any]) -> None:
    """Move the fallbacks of `OVERRIDE` to where LiteLLM would merge them; what a request says itself goes first."""
    override = body.get(OVERRIDE)
    if not isinstance(override, Mapping):
        return
    for name in FALLBACK_FIELDS:
        if override.get(name) is not None and name not in body:
            body[name] = override[name]
    body[OVERRIDE] = {key: value for key, value in override.items() if key not in FALLBACK_FIELDS}


def read_fallbacks(entries: object) -> tuple[Fallback, ...]:
    """Return a list of fallbacks in one form, whichever of LiteLLM's shapes, also mixed, it is written in.

    These are names, parameters with a `model`, and targets by the group that failed.
    """
    return tuple(_read(entries)) if isinstance(entries, list | tuple) else ()


def names(fallbacks: Iterable[Fallback], *, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Yield every name that these fallbacks, and those that they bring along, may lead to."""
    for fallback in fallbacks:
        for target in fallback.targets:
            if isinstance(target, str):
                yield target
                continue
            if isinstance(model := target.get("model"), str):
                yield model
            if depth:
                for field in FALLBACK_FIELDS:
                    yield from names(read_fallbacks(target.get(field)), depth=depth - 1)


def led(
    fallbacks: Iterable[Fallback], leads: Leads, *, strict: bool, depth: int = MAX_DEPTH
) -> tuple[Fallback, ...]:
    """Return the fallbacks with each name replaced by what it leads to; with `strict`, without `unchecked` fields."""
    return tuple(
        Fallback(
            fallback.group,
            tuple(
                new for target in fallback.targets for new in _led(target, leads, strict=strict, depth=depth)
            ),
        )
        for fallback in fallbacks
    )


def written(
    fallbacks: Sequence[Fallback],
    first: Mapping[str, Sequence[Target]] | None = None,
    *,
    by_group: bool = False,
) -> list[Any]:
    """Return the fallbacks as LiteLLM follows all of them, those of each group after its `first`.

    LiteLLM follows a list of names, one of parameters, or one by groups, and no mixture. `by_group` asks for the last,
    the only one that it knows in the settings for outgrown windows and refused content.
    """
    first = first or {}
    anywhere = [target for entry in fallbacks if entry.group is None for target in entry.targets]
    keyed = [entry for entry in fallbacks if entry.group is not None]
    if not keyed and len(first) <= 1 and not (by_group and first):
        flat = [*(target for ladder in first.values() for target in ladder), *anywhere]
        if all(isinstance(target, str) for target in flat):
            return flat
        return [{"model": target} if isinstance(target, str) else dict(target) for target in flat]
    own = {group: [*ladder, *anywhere, *_for_group(keyed, group)] for group, ladder in first.items()}
    others = [{entry.group: list(entry.targets)} for entry in keyed if entry.group not in own]
    return [*({group: targets} for group, targets in own.items()), *others]


def _for_group(keyed: Iterable[Fallback], group: str) -> tuple[Target, ...]:
    by_name = {entry.group: entry.targets for entry in reversed(list(keyed))}
    return by_name.get(group, by_name.get(EVERY, ()))


def _read(entries: Sequence[Any]) -> Iterator[Fallback]:
    for entry in entries[:MAX_TARGETS]:
        if isinstance(entry, str) or _is_parameters(entry):
            yield Fallback(None, (entry,))
        elif isinstance(entry, Mapping):
            for group, targets in list(entry.items())[:MAX_TARGETS]:
                if isinstance(group, str):
                    yield Fallback(group, tuple(_targets(targets)))


def _targets(value: object) -> Iterator[Target]:
    many = value if isinstance(value, list | tuple) else [value]
    for target in many[:MAX_TARGETS]:
        if isinstance(target, str | Mapping):
            yield target


def _is_parameters(entry: object) -> bool:
    """Return whether an entry is parameters, and no map of groups: a map has lists of targets only."""
    return isinstance(entry, Mapping) and (
        isinstance(entry.get("model"), str)
        or not all(isinstance(value, list | tuple | str) for value in entry.values())
    )


def _led(target: Target, leads: Leads, *, strict: bool, depth: int) -> Iterator[Target]:
    if isinstance(target, str):
        yield from leads.get(target, ())
        return
    kept = {key: value for key, value in target.items() if not _is_state(key)}
    # Models that its own tools ask for nobody judges.
    if any(credentials(kept)) or any(of_tools(kept)) or (strict and any(unchecked(kept))):
        return
    for field in FALLBACK_FIELDS:
        if field in kept:
            nested = read_fallbacks(kept[field]) if depth else ()
            kept[field] = written(led(nested, leads, strict=strict, depth=depth - 1))
    model = kept.get("model")
    if "model" not in kept:
        yield kept
    elif isinstance(model, str):
        for name in leads.get(model, ()):
            yield {**kept, "model": name}


def _is_state(key: object) -> bool:
    return not isinstance(key, str) or key in _STATE or key.startswith(_STATE_PREFIXES)
