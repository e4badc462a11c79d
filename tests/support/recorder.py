"""Two LiteLLM callbacks that tests load into a proxy: one records what LiteLLM logs, one meddles with it.

It must not import the plugin: it stands for the operator's other callbacks. Texts are not recorded, so that a
search for them in all files finds only what the product itself wrote.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server

from tests.support.recorder_names import MEDDLE, RECORD


class Recorder(CustomLogger):
    """Appends one JSON line for every request that LiteLLM logs."""

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Record an answered request."""
        self._record(kwargs["standard_logging_object"])

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Record a failed request."""
        self._record(kwargs["standard_logging_object"])

    def _record(self, logged: dict[str, Any]) -> None:
        row = {
            "status": logged["status"],
            "group": logged["model_group"],
            "tags": logged["request_tags"],
            "end_user": logged["end_user"],
            "cost": logged["response_cost"],
            "spend": logged["metadata"].get("spend_logs_metadata"),
        }
        with Path(os.environ[RECORD]).open("a") as file:
            file.write(json.dumps(row) + "\n")


recorder = Recorder()


@proxy_server.app.post(MEDDLE, include_in_schema=False)
async def replace_aliases() -> int:
    """Replace the live alias map by an empty one, past what writes settings; return the process id."""
    router = proxy_server.llm_router
    if hasattr(router, "registry"):
        router.update_settings(model_group_alias={})
    else:
        type(router).update_settings(router, model_group_alias={})
    return os.getpid()
