"""The wake-ups' contract, over a watched file and real Redis, and what each does when its channel breaks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from watchdog.observers.api import BaseObserver

from neuronode_router.control.notify import DirectoryEvents
from neuronode_router.control.wake import FileWake, RedisWake, Wake, WakeGroup
from neuronode_router.redis.breaker import CircuitBreaker
from tests.support.servers import RedisServer
from tests.support.waiting import eventually


class Listener:
    """Counts wake-ups."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture(params=["file", "redis", "both"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Wake, Wake]]:
    """Two wake-ups that share a channel, as in two processes; the test starts them, the fixture stops them."""

    def make() -> Wake:
        wakes: list[Wake] = []
        if request.param != "redis":
            wakes.append(FileWake(tmp_path / "wake" / "revision"))
        if request.param != "file":
            wakes.append(RedisWake(request.getfixturevalue("redis_server").url))
        return WakeGroup(wakes) if len(wakes) > 1 else wakes[0]

    wakes = make(), make()
    yield wakes
    for wake in wakes:
        await wake.stop()


async def started(wake: Wake) -> Listener:
    """Start `wake` and wait until it really listens."""
    listener = Listener()
    await wake.start(listener)
    await eventually(lambda: "down" not in wake.mode)
    return listener


class TestWake:
    async def test_a_signal_wakes_the_other_and_oneself(self, pair: tuple[Wake, Wake]) -> None:
        """A signal reaches every listener, the sender's own too."""
        ours, theirs = await started(pair[0]), await started(pair[1])
        ours.count = theirs.count = 0

        pair[0].signal(1)

        await eventually(lambda: theirs.count > 0)
        assert ours.count > 0

    async def test_every_signal_is_followed_by_a_wake(self, pair: tuple[Wake, Wake]) -> None:
        """Wakes may be merged, but after each signal there is one more."""
        theirs = await started(pair[1])
        await started(pair[0])

        for revision in range(20):
            theirs.count = 0
            pair[0].signal(revision)
            await eventually(lambda: theirs.count > 0)

    async def test_signal_before_start_and_after_stop_is_harmless(self, pair: tuple[Wake, Wake]) -> None:
        """A manager without a listener may signal; nothing raises and nothing is left behind."""
        pair[0].signal(1)

        listener = await started(pair[0])
        await pair[0].stop()
        listener.count = 0

        await pair[0].stop()
        assert listener.count == 0


class TestFileWake:
    async def test_without_inotify_it_polls_and_says_so(self, tmp_path: Path) -> None:
        """Where the kernel has no watches left, polling stands in."""

        def exhausted() -> BaseObserver:
            raise OSError("inotify watch limit reached")

        events = DirectoryEvents(tmp_path, native=exhausted)
        wake, sender = FileWake(tmp_path / "revision", events=events), FileWake(tmp_path / "revision")
        listener = await started(wake)

        assert wake.mode == "poll"
        sender.signal(1)
        await eventually(lambda: listener.count > 0)
        await wake.stop()

    async def test_a_directory_that_cannot_be_made_is_no_error(self, tmp_path: Path) -> None:
        """A wake-up that cannot work leaves the poll in charge."""
        (tmp_path / "file").touch()
        wake = FileWake(tmp_path / "file" / "below" / "revision")

        await wake.start(Listener())
        wake.signal(1)

        assert wake.mode == "off"
        await wake.stop()


class TestRedisWake:
    """Redis killed, frozen, restarted, flushed, absent."""

    @pytest.fixture
    async def wake(self, redis_server: RedisServer) -> AsyncIterator[RedisWake]:
        """One connected wake-up."""
        wake = RedisWake(redis_server.url)
        self.listener = await started(wake)
        yield wake
        await wake.stop()

    async def test_an_outage_of_redis_is_logged_once(
        self,
        wake: RedisWake,
        redis_server: RedisServer,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """However many messages are lost, the log says once that Redis takes none, and once that it does again."""
        monkeypatch.setattr(CircuitBreaker, "is_open", False)  # every message is tried
        caplog.set_level(logging.INFO, "neuronode_router.redis.channel")
        redis_server.kill()

        def told() -> list[str]:
            return [record.getMessage().partition(" on ")[0] for record in caplog.records]

        for revision in range(5):
            wake.signal(revision)
        await eventually(lambda: told() != [])
        redis_server.start()
        await eventually(lambda: wake.mode == "redis")
        wake.signal(6)

        await eventually(lambda: told() == ["Redis takes no messages", "Redis takes messages"])

    async def test_a_thread_wakes_others_whatever_the_event_loop_does(self, wake: RedisWake) -> None:
        """Changes are committed in threads: a signal from one is published as well."""
        self.listener.count = 0

        await asyncio.to_thread(wake.signal, 1)

        await eventually(lambda: self.listener.count > 1)  # our own wake-up, and the message

    async def test_frozen_redis_holds_up_no_signal(self, wake: RedisWake, redis_server: RedisServer) -> None:
        """Nobody waits for a server that does not answer."""
        redis_server.freeze()

        spent = [elapsed(lambda: wake.signal(1)) for _ in range(21)]

        assert sorted(spent)[10] < 0.1, "its time-out of seconds was waited for"
        assert self.listener.count > 0, "our own process is woken all the same"
        redis_server.thaw()

    async def test_restart_reconnects_and_wakes(self, wake: RedisWake, redis_server: RedisServer) -> None:
        """What was published while Redis was away is lost, so a new connection counts as a wake-up."""
        redis_server.kill()
        await eventually(lambda: wake.mode == "redis (down)")
        wake.signal(1)
        self.listener.count = 0

        redis_server.start()

        await eventually(lambda: self.listener.count > 0)
        assert wake.mode == "redis"

    async def test_flush_changes_nothing(self, wake: RedisWake, redis_server: RedisServer) -> None:
        """Nothing of the control state lives in Redis."""
        redis_server.command("FLUSHALL")
        self.listener.count = 0
        other = RedisWake(redis_server.url)
        await started(other)

        other.signal(1)

        await eventually(lambda: self.listener.count > 0)
        assert redis_server.command("DBSIZE").startswith(b":0")
        await other.stop()

    async def test_nobody_there_is_no_error(self, redis_server: RedisServer) -> None:
        """Start and signal return at once and raise nothing when Redis was never up."""
        redis_server.kill()
        wake = RedisWake(redis_server.url)

        begun = time.monotonic()
        await wake.start(Listener())
        wake.signal(1)

        assert time.monotonic() - begun < 5
        assert wake.mode == "redis (down)"
        await wake.stop()

    async def test_a_server_that_lies_is_no_error(self) -> None:
        """Answers that are not of Redis' protocol fail no signal and end no subscription."""
        asked = 0

        async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            while await reader.read(1024):
                asked += 1
                writer.write(b":not a number\r\n")
            writer.close()

        server = await asyncio.start_server(lie, "127.0.0.1", 0)
        wake = RedisWake(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await wake.start(Listener())

        wake.signal(1)
        await eventually(lambda: asked > 3)

        assert wake.mode == "redis (down)"
        await wake.stop()
        server.close()


def elapsed(call: Callable[[], object]) -> float:
    """Return the seconds that a call took."""
    start = time.monotonic()
    call()
    return time.monotonic() - start
