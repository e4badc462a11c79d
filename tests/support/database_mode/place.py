"""A test proxy in database mode: its configuration, and the environment it is started with.

It must not know PostgreSQL servers or Prisma; it is handed a database's URL and the folder that `build` made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.support.database_mode.build import environment
from tests.support.place import Place

SYNC_SECONDS = 2
"""How often each worker reads LiteLLM's settings from its database; 30 by default."""

UI_USER, UI_PASSWORD = "operator", "ui-password-7b1f04d2"
SALT_KEY = "sk-salt-2c9e51a7f3d8"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabasePlace(Place):
    """What a test proxy with a database is configured with."""

    router: Mapping[str, Any] = field(default_factory=dict)
    """More `router_settings`."""
    map_in_file: bool = True
    """LiteLLM lets its database change only what the file leaves out."""

    def _config(self) -> dict[str, Any]:
        config = Place._config(self)
        config["general_settings"] |= {
            "store_model_in_db": True,
            "proxy_config_reload_interval_seconds": SYNC_SECONDS,
            "proxy_batch_write_at": 1,
        }
        if not self.map_in_file:
            del config["router_settings"]["model_group_alias"]
        config["router_settings"] |= self.router
        return config


def database_environ(made: Path, url: str) -> Mapping[str, str]:
    """Return the variables of a proxy that keeps its keys, teams and models in the database at `url`."""
    ui = {"UI_USERNAME": UI_USER, "UI_PASSWORD": UI_PASSWORD}
    return MappingProxyType(
        {
            **environment(made),
            **ui,
            "DATABASE_URL": url,
            "LITELLM_SALT_KEY": SALT_KEY,
            "NEURONODE_WRITE_LIMIT": "1000/second",
        }
    )
