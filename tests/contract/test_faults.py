"""A database or a Redis that dies, freezes and comes back, under switches."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import FileWake, RedisWake, Wake, WakeGroup
from neuronode_router.control.worker import Worker
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import StoreUnavailable
from neuronode_router.storage.database import TIMEOUT_SECONDS
from tests.support.control import HOST, MemorySource, RecordingApplier
from tests.support.servers import PostgresServer, RedisServer
from tests.support.waiting import eventually
from tests.unit.control.conftest import make_identity

ANNA = Actor("anna")


class Host:
    """One proxy process: worker and manager over one store and wake-up."""

    def __init__(self, url: str, wake: Wake) -> None:
        self.store = ControlStore(url)
        self.worker: Worker[ControlState] = Worker(
            store=self.store,
            applier=RecordingApplier(),
            wake=wake,
            identity=make_identity(),
            poll_seconds=0.1,
        )
        self.manager = ProfileManager(
            store=self.store, source=MemorySource(), host=lambda: HOST, wake=wake, receipt_timeout=10
        )

    async def start(self) -> None:
        await self.worker.start()
        await self.manager.reload(actor=FILES)

    async def stop(self) -> None:
        await self.worker.stop()
        self.store.close()


class TestFrozenPostgres:
    async def test_switches_are_refused_in_bounded_time_and_all_heals(
        self, postgres: PostgresServer, postgres_url: str, tmp_path: Path
    ) -> None:
        """SIGSTOP to the database: the switch is refused, the worker keeps its snapshot; SIGCONT: both go on."""
        host = Host(postgres_url, FileWake(tmp_path / "wake" / "revision"))
        await host.start()
        postgres.freeze()

        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await host.manager.switch("premium", actor=ANNA)
        elapsed = time.monotonic() - started
        await eventually(lambda: host.worker.store_failures > 0, seconds=30)
        assert host.worker.revision == 1

        postgres.thaw()
        assert elapsed < 4 * TIMEOUT_SECONDS
        await eventually(lambda: host.worker.store_failures == 0, seconds=30)
        receipt = await host.manager.switch("premium", actor=ANNA)
        assert (receipt.revision, receipt.complete) == (2, True)
        assert host.store.audit.verify() == 2
        await host.stop()


class TestRedisFaults:
    @pytest.fixture
    async def hosts(self, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[list[Host]]:
        """Two processes of one host, woken by the file and by Redis."""
        hosts = []
        for _ in range(2):
            wakes = FileWake(tmp_path / "wake" / "revision"), RedisWake(redis_server.url)
            hosts.append(Host(f"sqlite:///{tmp_path}/control.db", WakeGroup(wakes)))
            await hosts[-1].start()
        yield hosts
        for host in hosts:
            await host.stop()

    async def test_switches_converge_whatever_redis_does(
        self, hosts: list[Host], redis_server: RedisServer
    ) -> None:
        """Frozen, thawed, flushed, killed, restarted: every switch is complete in both processes."""
        faults = (
            redis_server.freeze,
            redis_server.thaw,
            lambda: redis_server.command("FLUSHALL"),
            redis_server.kill,
            redis_server.start,
        )
        for number, fault in enumerate(faults):
            fault()

            for name in ("premium", "balanced"):
                receipt = await hosts[number % 2].manager.switch(name, actor=ANNA)
                assert receipt.complete
                assert len(receipt.workers) == 2
                assert {host.worker.revision for host in hosts} == {receipt.revision}

        assert hosts[0].store.audit.verify() == 1 + 2 * len(faults)
