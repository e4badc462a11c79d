"""What the live router knows for forecasts: the listed price of a model group, and what its deployments can hold.

Reads LiteLLM's model list and price map; changes nothing and never returns `litellm_params` (they hold keys).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import litellm

from neuronode_router.routing.inventory import Deployment, Inventory
from neuronode_router.usage.prices import Price
from neuronode_router.usage.targets import GroupNote

PROMPT_RATE, COMPLETION_RATE = "input_cost_per_token", "output_cost_per_token"
CACHED_RATE = "cache_read_input_token_cost"


def listed_price(entries: Iterable[Mapping[str, Any]], group: str) -> Price | None:
    """Return the price of the group's first deployment that has one, None where none has. Never raises.

    The operator's word goes before LiteLLM's map, and may be zero; a zero of the map says only that nobody is paid for
    it through LiteLLM.
    """
    for entry in entries:
        if entry.get("model_name") == group:
            price = price_of(entry)
            if price is not None:
                return price
    return None


def dearest_price(entries: Iterable[Mapping[str, Any]], group: str) -> Price | None:
    """Return the most that a token of the group costs, None where one of its deployments has no price. Never raises."""
    prices = [price_of(entry) for entry in entries if entry.get("model_name") == group]
    known = [price for price in prices if price is not None]
    if not known or len(known) < len(prices):
        return None
    return Price(max(price.prompt for price in known), max(price.completion for price in known))


def rates(entries: Iterable[Mapping[str, Any]]) -> Mapping[str, tuple[float, float]]:
    """Return the prices of a token of prompt and answer of each deployment that has any, by its id. Never raises."""
    priced = ((entry.get("model_info") or {}, price_of(entry)) for entry in entries)
    return {
        str(about.get("id")): (price.prompt, price.completion) for about, price in priced if price is not None
    }


def group_notes(registry: Inventory) -> Mapping[str, GroupNote]:
    """Return what is known of every group. Never raises."""
    return {group: _note(deployments) for group, deployments in registry.groups.items()}


def price_of(entry: Mapping[str, Any]) -> Price | None:
    """Return what a token of one deployment costs, None where nobody has set a price. Never raises."""
    about, params = entry.get("model_info") or {}, entry.get("litellm_params") or {}
    for place in (about, params):
        if place.get(PROMPT_RATE) is not None or place.get(COMPLETION_RATE) is not None:
            return _from_rates(place)
    name = str(params.get("model") or "")
    for known in (name, name.partition("/")[2]):
        price = _from_rates(litellm.model_cost.get(known) or {})
        if price.prompt or price.completion:
            return price
    return None


def _from_rates(place: Mapping[str, Any]) -> Price:
    cached = place.get(CACHED_RATE)
    return Price(
        float(place.get(PROMPT_RATE) or 0),
        float(place.get(COMPLETION_RATE) or 0),
        cached=None if cached is None else float(cached),
    )


def _note(deployments: Sequence[Deployment]) -> GroupNote:
    windows = [deployment.context_window for deployment in deployments]
    known = [window for window in windows if window is not None]
    abilities = [frozenset(deployment.capabilities) for deployment in deployments]
    return GroupNote(
        context_window=max(known) if len(known) == len(windows) else None,
        modalities=frozenset().union(*(deployment.modalities for deployment in deployments)),
        capabilities=frozenset().union(*abilities) if all(abilities) else frozenset(),
    )
