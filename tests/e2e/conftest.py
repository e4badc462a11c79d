"""The proxies that end-to-end tests share: a start takes seconds, so tests that leave no trace use one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from neuronode_router.access import AccessKey, Role, generate_key
from neuronode_router.domain.names import Tier
from tests.support.place import FIRST_PROFILE, Place
from tests.support.proxy import Proxy
from tests.support.recorder_names import RECORD, RECORDER
from tests.support.servers import RedisServer, running_redis
from tests.support.upstream import Upstream
from tests.unit.tasks.test_folder import URGENCY

ADMIN = "/admin/profiles"


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """One fake provider for the session."""
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="session")
def generated() -> Mapping[str, tuple[str, AccessKey]]:
    """The keys of the shared proxy by name: what a caller sends, and the entry of the access file."""
    capped, entry = generate_key("capped", tasks=("auto", "auto:complex"))
    low, low_entry = generate_key("low")
    researcher, member = generate_key("researcher", team="research")
    return {
        "researcher": (researcher, replace(member, manages=("research",))),
        "capped": (capped, replace(entry, max_tier=Tier.FAST)),
        "narrow": generate_key("narrow", tasks=("classification",)),
        "ordinary": generate_key("ordinary"),
        "chooser": generate_key("chooser", profiles=("balanced",)),
        "light": generate_key("light", tasks=("auto:fast",)),
        "low": (low, replace(low_entry, max_tier=Tier.FAST)),
        "viewer": generate_key("viewer", role=Role.VIEWER),
    }


@pytest.fixture(scope="session")
def keys(generated: Mapping[str, tuple[str, AccessKey]]) -> Mapping[str, str]:
    """The keys as callers send them."""
    return {name: plain for name, (plain, _) in generated.items()}


@pytest.fixture(scope="package")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The Redis server of the shared proxy."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="package")
def proxy(
    tmp_path_factory: pytest.TempPathFactory,
    upstream: Upstream,
    shared_redis: RedisServer,
    generated: Mapping[str, tuple[str, AccessKey]],
) -> Iterator[Proxy]:
    """The shared proxy: two workers, Redis, an access file, a recording callback, no limit on writes."""
    directory = tmp_path_factory.mktemp("shared")
    entries = tuple(entry for _, entry in generated.values())
    place = Place(directory=directory, upstream=upstream.url, keys=entries, callbacks=(RECORDER,))
    templates = directory / "tasks"
    templates.mkdir()
    (templates / "urgency.yaml").write_text(URGENCY)
    environ = {
        "NEURONODE_TASKS": str(templates),
        RECORD: str(directory / "record.ndjson"),
        "NEURONODE_REDIS_URL": shared_redis.url,
        "NEURONODE_WRITE_LIMIT": "100000/second",
        "NEURONODE_HISTORY": "on",
        "NEURONODE_USAGE_FLUSH_SECONDS": "0.5",
    }
    with Proxy(place, workers=2, environ=environ) as running:
        yield running


@pytest.fixture
def admin(proxy: Proxy) -> Iterator[httpx.Client]:
    """A client with the master key, on a proxy that serves the first profile again."""
    with proxy.client() as client:
        receipt = client.post(f"{ADMIN}/switch", json={"profile": FIRST_PROFILE}).raise_for_status().json()
        assert receipt["complete"]
        yield client


@pytest.fixture(scope="package")
def pair(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Proxy]:
    """A proxy of two workers whose policy and profile tests may change, and whose workers they may kill."""
    place = Place(directory=tmp_path_factory.mktemp("pair"), upstream=upstream.url)
    with Proxy(place, workers=2) as proxy:
        yield proxy


@pytest.fixture
def any_worker(pair: Proxy) -> Iterator[httpx.Client]:
    """An administrator of it who takes a new connection for each request, so any worker may answer."""
    with pair.client(connection="close") as client:
        yield client


@pytest.fixture
def record(proxy: Proxy) -> Path:
    """The file in which the recording callback notes what LiteLLM logs."""
    return proxy.place.directory / "record.ndjson"
