"""When LiteLLM is made to read its table of models, and when not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from neuronode_router.background import Failures
from neuronode_router.litellm_plugin.model_table import ModelTable, stores_in_database


@dataclass
class FakeProxy:
    """What LiteLLM's proxy module has for it, and how often its models were read."""

    prisma_client: object | None = field(default_factory=object)
    store_model_in_db: bool = False
    general_settings: dict[str, Any] | None = field(default_factory=lambda: {"store_model_in_db": True})
    proxy_logging_obj: object = field(default_factory=object)
    reads: int = 0
    failure: Exception | None = None

    @property
    def proxy_config(self) -> FakeProxy:
        return self

    async def add_deployment(self, *, prisma_client: object, proxy_logging_obj: object) -> None:
        """Read the models."""
        assert (prisma_client, proxy_logging_obj) == (self.prisma_client, self.proxy_logging_obj)
        self.reads += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure


async def test_those_who_ask_at_once_wait_for_one_reading() -> None:
    """Several changes cost LiteLLM one reading; a later one costs another."""
    proxy = FakeProxy()
    table = ModelTable(proxy, Failures())

    await asyncio.gather(*(table.refresh() for _ in range(5)))
    together = proxy.reads
    await table.refresh()

    assert (together, proxy.reads) == (1, 2)


@pytest.mark.parametrize(
    "proxy", [FakeProxy(prisma_client=None), FakeProxy(general_settings={})], ids=["no database", "no models"]
)
async def test_where_litellm_stores_no_models_nothing_is_read(proxy: FakeProxy) -> None:
    """Without its database, or with models in the file only, LiteLLM is left alone."""
    await ModelTable(proxy, Failures()).refresh()

    assert proxy.reads == 0


async def test_a_reading_that_fails_is_counted_and_stops_nothing() -> None:
    """The change that asked is then judged by the groups as they are known."""
    failures = Failures()

    await ModelTable(FakeProxy(failure=RuntimeError("no database")), failures).refresh()

    assert failures.total == 1


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize(
    ("settings", "environ", "stores"),
    [
        ({}, {}, False),
        ({"store_model_in_db": False}, {}, False),
        ({"store_model_in_db": None}, {"STORE_MODEL_IN_DB": "False"}, False),
        ({"store_model_in_db": True}, {}, True),
        ({"store_model_in_db": False}, {"STORE_MODEL_IN_DB": " True"}, True),
        (None, {"STORE_MODEL_IN_DB": "true"}, True),
    ],
)
def test_where_litellm_stores_its_models(
    monkeypatch: pytest.MonkeyPatch,
    *,
    settings: dict[str, Any] | None,
    environ: dict[str, str],
    stores: bool,
    flag: bool,
) -> None:
    """Any of the places it may be said counts, also beside the False that LiteLLM notes where the file is silent."""
    monkeypatch.delenv("STORE_MODEL_IN_DB", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert stores_in_database(FakeProxy(general_settings=settings, store_model_in_db=flag)) is (
        stores or flag
    )
