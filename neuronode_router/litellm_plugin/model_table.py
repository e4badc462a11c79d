"""LiteLLM's table of models in its database, read at once instead of at LiteLLM's next interval.

It must not know what a missing group is needed for.
"""

from __future__ import annotations

import asyncio
from typing import Any

from neuronode_router.background import Failures
from neuronode_router.settings import process_environment

REFRESH_SECONDS = 5.0
"""How long a reading is waited for. One that takes longer goes on."""


class ModelTable:
    """Makes this worker's router have what other workers stored. Does nothing where LiteLLM stores no models."""

    def __init__(self, proxy: Any, failures: Failures) -> None:
        self._proxy = proxy
        self._failures = failures
        self._reading: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Let LiteLLM read its models anew; those who ask meanwhile wait for the same reading. Never raises."""
        if self._proxy.prisma_client is None or not stores_in_database(self._proxy):
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="neuronode-models")
        # Waited for and never cancelled: LiteLLM takes deployments out and puts them back while it reads.
        await asyncio.wait({self._reading}, timeout=REFRESH_SECONDS)

    async def _read(self) -> None:
        with self._failures.survived("reading LiteLLM's models"):
            await self._proxy.proxy_config.add_deployment(
                prisma_client=self._proxy.prisma_client, proxy_logging_obj=self._proxy.proxy_logging_obj
            )


def stores_in_database(proxy: Any) -> bool:
    """Return whether LiteLLM takes models and settings from its database: by its configuration, the environment, or the
    database itself.

    Where the configuration says nothing LiteLLM notes False in its settings, whatever the others say. It reads the
    environment only after it has a router and its database.
    """
    given = (proxy.general_settings or {}).get("store_model_in_db"), proxy.store_model_in_db
    said = process_environment().get("STORE_MODEL_IN_DB", "")
    return True in given or said.strip().lower() == "true"
