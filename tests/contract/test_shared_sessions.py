"""Sessions over a real Redis: another worker knows where a tool loop went; nothing that is sent there breaks one."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from neuronode_router.auto.shared_sessions import CHANNEL, FRESH_SECONDS, SharedSessions
from neuronode_router.domain.decisions import Reason
from neuronode_router.domain.names import Tier
from neuronode_router.redis import channel
from neuronode_router.routing.conversations import Conversations, Made, Sent, Standing, is_foreign
from neuronode_router.routing.fallback_chain import Held
from neuronode_router.routing.growth import Marks
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.servers

HELD = Held(Tier.COMPLEX, "large")
STANDING = Standing("chat", "g", None, "premium", Reason.ACTIVE_PROFILE, 4, 1_800_000_000.0, begun=True)


SENT = ["another worker", 1]


def content_of(*ways: object, sent: list[object] | None = None) -> bytes:
    """Return a message of the right form, without its hash."""
    return json.dumps([sent or [*SENT, time.time()], ways, []]).encode()


def shared(server: RedisServer, secret: bytes) -> SharedSessions:
    conversations = Conversations(secret=lambda: secret)
    return SharedSessions(server.url, secret=lambda: secret, conversations=conversations)


@pytest.fixture
async def workers(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[SharedSessions, SharedSessions]]:
    """Two workers with the same secret, both listening. A busy machine is no broken Redis, whose messages are lost."""
    monkeypatch.setattr(channel, "PUBLISH_SECONDS", 10.0)
    pair = tuple(shared(redis_server, b"of this proxy") for _ in range(2))
    for worker in pair:
        worker.start()
    await eventually(lambda: all(worker.connected for worker in pair))
    yield pair[0], pair[1]
    for worker in pair:
        await worker.stop()


async def test_another_worker_knows_the_way(workers: tuple[SharedSessions, SharedSessions]) -> None:
    """Tier and group at once, the deployment when it has answered."""
    first, second = workers
    key = first.key("loop", "me", "0", "who are you")

    first.hold(key, HELD)
    await eventually(lambda: second.held(key) == HELD)
    first.answered(key, "large-1")

    await eventually(lambda: second.held(key) == Held(Tier.COMPLEX, "large", "large-1"))
    assert second.key("loop", "me", "0", "who are you") == key


async def test_another_worker_knows_the_conversation(
    workers: tuple[SharedSessions, SharedSessions],
) -> None:
    """Where it is, who wrote what and by what that is known: all but that it does not come to this worker."""
    first, second = (worker._conversations for worker in workers)

    sent = Sent(b"k".hex(), first.number(), 1, -1)
    first.sent(b"k", replace(STANDING, request=sent.request))
    first.answered(sent, maker="maker", group="g")
    first.ended(sent, Marks("seal"))

    (known,) = first.get(b"k")
    assert known.made == (Made(1, "maker", "g", 1),)
    await eventually(lambda: second.get(b"k") == (replace(known, here=False),))


async def test_requests_that_ask_the_same_are_both_known(
    workers: tuple[SharedSessions, SharedSessions],
) -> None:
    """Two agents that open alike, on two workers at the same time."""
    first, second = (worker._conversations for worker in workers)

    sent = {one.number() for one in (first, second)}
    for one, request in zip((first, second), sent, strict=True):
        one.sent(b"k", replace(STANDING, request=request))

    await eventually(
        lambda: all({known.request for known in one.get(b"k")} == sent for one in (first, second))
    )


async def test_a_worker_of_an_earlier_release_disturbs_nothing(
    workers: tuple[SharedSessions, SharedSessions], redis_server: RedisServer
) -> None:
    """It tells less of a conversation, by a key that nobody here asks for; what else it says is heard."""
    earlier = {"name": "chat", "group": "g", "tier": None, "profile": "premium", "reason": "active_profile"}
    earlier |= {"revision": 4, "at": 1_800_000_000.0, "begun": True, "kept": False, "here": True}
    earlier |= {"made": [{"start": 1, "maker": "m", "group": "g"}], "placed_at": 0.0}
    way = [b"loop".hex(), "fast", "g", None]
    content = json.dumps([[*SENT, time.time()], [way], [[b"k".hex(), earlier]]]).encode()
    async with Redis.from_url(redis_server.url) as client:
        await client.publish(CHANNEL, workers[0]._mac(content) + content)

    await eventually(lambda: workers[1].held(b"loop") == Held(Tier.FAST, "g"))
    (known,) = workers[1]._conversations.get(b"k")
    assert all(is_foreign(known.made, 1, maker, trusting=False) for maker in ("m", "other"))


@pytest.mark.parametrize(
    "message",
    [
        *(b"", b"\xff", b"[]", b"{}", b"[[1,2,3,4],[]]", b'[[["ab","fast","g",null]],[]]'),
        *(b'[["a",1,1.5],[["ab","huge","g",null]],[]]', b'[["a",1,1.5],[],[["ab",{}]]]'),
        *(b'[["a",1,NOW],[["zz","fast","g",null]],[]]', b'[["a",1],[["ab","fast","g",null]],[]]'),
    ],
)
async def test_nonsense_on_the_channel_is_ignored(
    workers: tuple[SharedSessions, SharedSessions], redis_server: RedisServer, message: bytes
) -> None:
    """Signed or not it changes nothing, and what is well formed is still heard."""
    first, second = workers
    message = message.replace(b"NOW", str(time.time()).encode())
    async with Redis.from_url(redis_server.url) as stranger:
        await stranger.publish(CHANNEL, message)
        await stranger.publish(CHANNEL, first._mac(message) + message)

    first.hold(b"k", HELD)

    await eventually(lambda: second.held(b"k") == HELD)


@pytest.mark.parametrize("mac", ["none", "of another secret", "of another message"])
async def test_who_does_not_know_the_secret_moves_no_conversation(
    workers: tuple[SharedSessions, SharedSessions], redis_server: RedisServer, mac: str
) -> None:
    """A message of the right form, from somebody who may write to Redis."""
    first, second = workers
    stranger = shared(redis_server, b"guessed")
    content = content_of([b"k".hex(), "complex", "elsewhere", None])
    forged = {
        "none": content,
        "of another secret": stranger._mac(content) + content,
        "of another message": first._mac(b"[]") + content,
    }
    first.hold(b"k", HELD)
    await eventually(lambda: second.held(b"k") == HELD)

    async with Redis.from_url(redis_server.url) as client:
        await client.publish(CHANNEL, forged[mac])
    first.hold(b"later", HELD)
    await eventually(lambda: second.held(b"later") == HELD)

    assert first.held(b"k") == second.held(b"k") == HELD


@pytest.mark.parametrize("how", ["again", "before the newest", "too late"])
async def test_a_message_that_is_sent_again_moves_no_conversation(
    workers: tuple[SharedSessions, SharedSessions], redis_server: RedisServer, how: str
) -> None:
    """Who may write to Redis may also read it, and repeat what a worker has said."""
    first, second = workers
    way = [b"k".hex(), "fast", "elsewhere", None]
    sent = {
        "again": ["w", 7, time.time()],
        "before the newest": ["w", 6, time.time()],
        "too late": ["new", 1, time.time() - FRESH_SECONDS - 10],
    }[how]
    async with Redis.from_url(redis_server.url) as client:
        for content in (
            content_of([b"known".hex(), "fast", "g", None], sent=["w", 7, time.time()]),
            content_of(way, sent=sent),
            content_of([b"later".hex(), "fast", "g", None], sent=["w", 8, time.time()]),
        ):
            await client.publish(CHANNEL, first._mac(content) + content)

    await eventually(lambda: all(worker.held(b"later") for worker in workers))
    assert (second.held(b"known"), second.held(b"k")) == (Held(Tier.FAST, "g"), None)


async def test_no_fault_of_ours_ends_the_sharing(
    workers: tuple[SharedSessions, SharedSessions], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever telling or hearing raises once: the next news are told and heard."""
    first, second = workers

    def broken(*_: object) -> bytes:
        raise KeyError("nobody foresaw it")

    with monkeypatch.context() as one:
        one.setattr(first, "_mac", broken)
        first.hold(b"lost", HELD)
        await eventually(lambda: first._failures.total)
    with monkeypatch.context() as other:
        other.setattr(second, "_is_new", broken)
        first.hold(b"unheard", HELD)
        await eventually(lambda: not second.connected)
    await eventually(lambda: second.connected)

    first.hold(b"k", HELD)
    await eventually(lambda: second.held(b"k") == HELD)


async def test_without_redis_a_worker_keeps_its_own(redis_server: RedisServer) -> None:
    """A dead server costs nothing but the sharing, which comes back with it."""
    redis_server.kill()
    worker = shared(redis_server, b"x")
    worker.start()

    worker.hold(b"k", HELD)

    assert worker.held(b"k") == HELD
    await worker.stop()


async def test_no_text_reaches_redis(
    workers: tuple[SharedSessions, SharedSessions], redis_server: RedisServer
) -> None:
    """What is told is a keyed hash, a tier, a group and a deployment."""
    heard: list[bytes] = []
    async with Redis.from_url(redis_server.url) as listener, listener.pubsub() as subscription:
        await subscription.subscribe(CHANNEL)
        workers[0].hold(workers[0].key("session", "me", "Zebrafink"), HELD)
        while not heard:
            message = await subscription.get_message(ignore_subscribe_messages=True, timeout=5)
            heard += [message["data"]] if message else []

    assert b"Zebrafink" not in heard[0]
    assert b'"complex","large",null' in heard[0]
