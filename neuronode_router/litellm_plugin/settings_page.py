"""LiteLLM's page of settings shows the operator's aliases, not ours: what it is shown it stores when it is saved.

The live map of aliases holds both. Stored in LiteLLM's database our names would come back after the plugin is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
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
        for place in PLACES:
            shown = document.get(place)
            if isinstance(shown, dict) and isinstance(shown.get(MAP), dict):
                shown[MAP] = {name: shown[MAP][name] for name in operators() if name in shown[MAP]}

    return Amendment(PATHS, leave_ours_out)
