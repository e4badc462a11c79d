"""LiteLLM's listings tell of our names what they can do now: its own answers, with the facts of the rows amended.

LiteLLM builds its rows from the group that a name mirrors, which is right for nobody who is bound elsewhere, capped or
kept to a place, and for `auto` is one group of many. It must not know how an offer comes about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.litellm_plugin.amending import Amendment
from neuronode_router.litellm_plugin.hooks.offers import NameOffer, Offers
from neuronode_router.litellm_plugin.router.deployments import team_name
from neuronode_router.routing.inventory import Ability

LISTING = re.compile(r"/models(?:/[^/].*)?$|/model/info$|/model_group/info$")
"""The ends of LiteLLM's paths that list names."""

NAMED_BY = ("model_name", "model_group", "id", "slug")
"""The fields of a row that may say its name: of deployments, groups, OpenAI's list and Codex' catalogue."""

NOTE = "neuronode"
"""Our own field of a row, with all that is known."""


def listings(offers: Offers) -> Amendment:
    """Return what is changed in listings."""

    def amend_rows(document: Any, caller: UserAPIKeyAuth) -> None:
        rows = list(_rows(document))
        found = offers.of(caller, [name for name, _ in rows])
        for name, row in rows:
            if name in found:
                amend(row, found[name])

    return Amendment(LISTING, amend_rows)


def _rows(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a listing with their names; a single row is its own listing.

    A team's own deployment is none of ours, whatever name LiteLLM shows it under, and may be stored as it is shown.
    """
    if not isinstance(document, dict):
        return
    listed = next(
        (rows for key in ("data", "models") if isinstance(rows := document.get(key), list)), [document]
    )
    for row in listed:
        if isinstance(row, dict):
            name = next((row[field] for field in NAMED_BY if isinstance(row.get(field), str)), None)
            if name is not None and name != team_name(row):
                yield name, row


def amend(row: dict[str, Any], found: NameOffer) -> None:
    """Write what a name offers into its row, in the words of the row's kind."""
    offer = found.offer
    facts: dict[str, Any] = {"max_input_tokens": offer.context_window, "max_output_tokens": offer.max_output}
    if "model_name" in row:
        about = row.get("model_info")
        row["model_info"] = {
            **(about if isinstance(about, dict) else {}),
            **facts,
            "max_tokens": offer.max_output,
            **_abilities(found),
            **_prices(found),
            NOTE: told(found),
        }
        row["litellm_params"] = {"model": found.groups[0] if found.groups else found.decision.group}
        return
    if "model_group" in row:
        row.update({**facts, **_abilities(found), **_prices(found), NOTE: told(found)})
    elif row.get("type") == "model":  # Anthropic's list: its max_tokens is of the answer
        row.update({"max_input_tokens": offer.context_window, "max_tokens": offer.max_output})
    elif "slug" in row:
        row.update({} if offer.context_window is None else {"context_window": offer.context_window})
    else:
        row.update({**facts, "context_length": offer.context_window, NOTE: told(found)})


def told(found: NameOffer) -> Mapping[str, Any]:
    """Return all that is known of a name, JSON-ready."""
    offer, abilities = found.offer, found.offer.abilities or {}
    return {
        "profile": found.decision.profile,
        "revision": found.decision.revision,
        "groups": list(found.groups),
        "context_window": offer.context_window,
        "max_output_tokens": offer.max_output,
        "modalities": list(offer.modalities),
        **{ability.value: abilities.get(ability) for ability in Ability},
        "usd_per_prompt_token": offer.prompt_usd,
        "usd_per_answer_token": offer.answer_usd,
    }


def _abilities(found: NameOffer) -> Mapping[str, Any]:
    """Return LiteLLM's words for them, which know yes and no: what nobody said is no."""
    abilities = found.offer.abilities or {}
    return {
        "supports_vision": "image" in found.offer.modalities,
        "supports_function_calling": bool(abilities.get(Ability.TOOLS)),
        "supports_response_schema": bool(abilities.get(Ability.SCHEMA)),
        "supports_reasoning": bool(abilities.get(Ability.REASONING)),
    }


def _prices(found: NameOffer) -> Mapping[str, float | None]:
    """Return the highest prices: who counts on less may pay more."""
    prompt, answer = found.offer.prompt_usd, found.offer.answer_usd
    return {
        "input_cost_per_token": prompt and prompt[1],
        "output_cost_per_token": answer and answer[1],
    }
