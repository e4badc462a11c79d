"""LiteLLM in its database mode, as most teams run it: started once, with two workers, for all tests of this folder."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.database.asking import switch
from tests.support.database_mode.build import built
from tests.support.database_mode.place import DatabasePlace, database_environ
from tests.support.place import FALLING, FIRST_PROFILE, GROUPS
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer, free_port, missing
from tests.support.upstream import Upstream

HOUSE = "house"
"""An alias of the operator's own."""

WILD = "wild"
"""What comes before the slash of names that a wildcard deployment answers."""

ADMINISTRATOR = """
    INSERT INTO "LiteLLM_UserTable" (user_id, user_role) VALUES ('default_user_id', 'proxy_admin')
"""
"""Who has logged in to LiteLLM's UI before. Whoever uses the master key first makes this user without a role, and a
worker remembers that for a minute, whatever a login at another worker writes meanwhile.
"""

OPERATORS_SETTINGS = {
    "fallbacks": [{FALLING[0]: [FALLING[1]]}, {"trading_analysis": [FALLING[1]]}],
    "model_group_alias": {**GROUPS[FIRST_PROFILE], HOUSE: "chat_premium"},
}
"""`router_settings` as operators write them: fallbacks by the name that clients send, an alias beside ours."""


def wildcard(upstream: Upstream) -> dict[str, Any]:
    """Return a deployment of the operator's that answers every name of its kind."""
    params = {"model": "openai/*", "api_base": f"{upstream.url}/v1", "api_key": "none"}
    return {"model_name": f"{WILD}/*", "litellm_params": params}


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """One fake provider for the session."""
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="session")
def database_mode() -> Path:
    """The folder that makes database mode possible here."""
    try:
        return built()
    except (OSError, subprocess.SubprocessError) as error:
        missing("LiteLLM's database mode (PyPI and npm)", error)


@pytest.fixture(scope="session")
def litellm_database(postgres: PostgresServer, database_mode: Path) -> str:
    """The URL of a database with LiteLLM's tables, to be copied and never connected to."""
    url = postgres.new_database()
    with psycopg.connect(url) as connection:
        connection.execute((database_mode / "schema.sql").read_bytes())
        connection.execute(ADMINISTRATOR)
    return url


@pytest.fixture(scope="session")
def database_url(postgres: PostgresServer, litellm_database: str) -> str:
    """The database of the shared proxy."""
    return postgres.new_database(like=litellm_database)


@pytest.fixture(scope="package")
def proxy(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream, database_mode: Path, database_url: str
) -> Iterator[Proxy]:
    """The shared proxy: two workers, LiteLLM's models, keys and settings in its database."""
    port = free_port()
    page = {
        "name": "neuronode-profiles",
        "display_name": "Profiles",
        "url": f"http://127.0.0.1:{port}/admin/ui",
    }
    place = DatabasePlace(
        directory=tmp_path_factory.mktemp("database"),
        upstream=upstream.url,
        router=OPERATORS_SETTINGS,
        deployments=[wildcard(upstream)],
        general={"plugins": [page], "password_policy_check_breached_passwords": False},
    )
    environ = database_environ(database_mode, database_url)
    with Proxy(place, workers=2, port=port, environ=environ) as running:
        yield running


@pytest.fixture
def admin(proxy: Proxy) -> Iterator[httpx.Client]:
    """A client with the master key, on a proxy that serves the first profile again."""
    with proxy.client() as client:
        switch(client, FIRST_PROFILE)
        yield client


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection to LiteLLM's database, to read what it wrote."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection
