"""LiteLLM's table of models in its database, read at once instead of at LiteLLM's next interval.

It must not know what a missing group is needed for.
"""

from __future__ import annotations

import asyncio
from typing import Any

from neuronode_router.background import Failures

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
        if self._proxy.prisma_client is None or not self._stores():
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="neuronode-models")
        # Waited for and never cancelled: LiteLLM takes deployments out and puts them back while it reads.
        await asyncio.wait({self._reading}, timeout=REFRESH_SECONDS)

    def _stores(self) -> bool:
        settings = self._proxy.general_settings or {}
        return settings.get("store_model_in_db") is True or self._proxy.store_model_in_db is True

    async def _read(self) -> None:
        with self._failures.survived("reading LiteLLM's models"):
            await self._proxy.proxy_config.add_deployment(
                prisma_client=self._proxy.prisma_client, proxy_logging_obj=self._proxy.proxy_logging_obj
            )
