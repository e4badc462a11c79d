"""LiteLLM in its database mode, as most teams run it: started once, with two workers, for all tests of this folder."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from tests.support.database_mode.build import built, environment
from tests.support.servers import PostgresServer, missing


@pytest.fixture(scope="session")
def database_mode() -> Path:
    """The folder that makes database mode possible here."""
    try:
        return built()
    except (OSError, subprocess.SubprocessError) as error:
        missing("LiteLLM's database mode (npm and PyPI)", error)


@pytest.fixture(scope="session")
def empty_litellm_database(postgres: PostgresServer, database_mode: Path) -> str:
    """The URL of a database with LiteLLM's tables, to be copied and never connected to."""
    url = postgres.new_database()
    with psycopg.connect(url) as connection:
        connection.execute((database_mode / "schema.sql").read_bytes())
    return url
