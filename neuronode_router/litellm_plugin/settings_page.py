"""LiteLLM's page of settings shows the operator's aliases, not ours: what it is shown it stores when it is saved.

The live map of aliases holds both. Stored in LiteLLM's database our names would come back after the plugin is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.litellm_plugin.amending import Amendment
from neuronode_router.litellm_plugin.router.bridge import AliasTable

PATHS = re.compile(r"^/get/config/callbacks/?$|^/router/settings/?$")
PLACES = ("router_settings", "current_values")
"""The fields of the documents that hold the settings."""

MAP = "model_group_alias"


def shown_settings(operators: Callable[[], AliasTable]) -> Amendment:
    """Return what is changed in the settings that LiteLLM shows; `operators` tells the aliases without ours."""

    def leave_ours_out(document: Any, caller: UserAPIKeyAuth) -> None:
        theirs = operators()
        for place, entry in _shown(document):
            place[entry] = {name: place[entry][name] for name in theirs if name in place[entry]}

    return Amendment(PATHS, leave_ours_out)


def _shown(document: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield where a document shows the map: in the settings, and as the value of the field that is theirs."""
    fields = document.get("fields")
    listed = [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []
    places = [(document.get(place), MAP) for place in PLACES]
    places += [(field, "field_value") for field in listed if field.get("field_name") == MAP]
    for place, entry in places:
        if isinstance(place, dict) and isinstance(place.get(entry), dict):
            yield place, entry
