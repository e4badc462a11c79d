"""Who gets in, what leaks out, and what odd requests reach: T1, T2, T13, T14 on the HTTP side."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from admin_api.http import guard
from admin_api.http.endpoints import Endpoint
from admin_api.http.guard import MAX_BODY_BYTES
from admin_api.http.problems import KINDS, MEDIA_TYPE, NO_ROUTE, TASK_KINDS
from admin_api.router import ENDPOINTS, PREFIX, SECOND_PREFIX
from neuronode_router import errors
from tests.admin_api.world import BASE, CANARY, KNOWN_CALL, World
from tests.support.web import serving

CALLERS = (None, "wrong", "member", "stranger", "viewer", "admin")
REFUSED = {None: 401, "wrong": 401}
MEMBERS_MAY = {"list_profiles", "read_access", "read_status", "read_profile", "compare_profiles", "classify"}
MEMBERS_MAY |= {"list_bindings", "give_feedback", "read_schema"}
TEAMS_MAY = {"read_usage", "read_residency", "read_series", "newest_requests", "explain_request"}
"""Members of a team may, and only see its own."""
VIEWERS_MAY = (
    MEMBERS_MAY
    | TEAMS_MAY
    | {
        "plan",
        *("read_audit", "list_workers", "stream_events", "validate"),
        *(
            "read_router_stats",
            "read_registry",
            "read_outcomes",
            "report_outcomes",
            "read_matrix",
            "read_metrics",
            "read_policy",
            "preview_policy",
        ),
        *("list_rollouts", "read_rollout", "read_rollout_history", "list_shadows", "read_shadow"),
    }
)

PLACES = {"name": "premium", "task": "chat", "kind": "team", "subject": "a", "call_id": KNOWN_CALL}
BODIES: dict[str, Any] = {
    "plan": {"profile": "balanced"},
    "switch": {"profile": "balanced"},
    "rollback": {"to": 1},
    "reload": {},
    "start_rollout": {"profile": "balanced"},
    "start_shadow": {"profile": "cost_effective", "budget_usd": 1},
    "validate": {"name": "premium", "profile": {}},
    "put_profile": {"description": "x"},
    "put_task": {"group": "chat_balanced"},
    "put_binding": {"profile": "balanced"},
    "classify": {"text": "Summarise this."},
    "give_feedback": {"call_id": KNOWN_CALL, "verdict": "right"},
}


def expected(endpoint: Endpoint, caller: str | None) -> set[int]:
    """Return the statuses that the access rules allow."""
    name = endpoint.answer.__name__
    if caller in REFUSED:
        return {REFUSED[caller]}
    allowed = caller == "admin" or name in (VIEWERS_MAY if caller == "viewer" else MEMBERS_MAY)
    allowed = allowed or (caller == "member" and name in TEAMS_MAY)
    # 422: the made-up profile of PUT, and of a rollback to what never changed, is refused after the access check.
    nobodys = endpoint.path.startswith(("/rollouts/", "/shadows/"))  # none of them has this name
    found = {404} if nobodys else {200, 422}
    if name == "release_policy":
        found = {409}  # nobody holds anything
    return found if allowed else {403}


async def call(client: httpx.AsyncClient, endpoint: Endpoint, prefix: str, **extra: Any) -> int:
    """Call a route with a plausible request and return the status, without reading an endless body."""
    path = prefix + endpoint.path.format(**PLACES)
    request = client.build_request(
        endpoint.method,
        path,
        params={"from": "premium", "to": "balanced"} if endpoint.path == "/diff" else None,
        json=BODIES.get(endpoint.answer.__name__),
        headers={"If-Match": "*"} if endpoint.method == "PUT" else None,
        **extra,
    )
    response = await client.send(request, stream=True)
    await response.aclose()
    return response.status_code


@pytest.mark.parametrize("prefix", [PREFIX, SECOND_PREFIX])
@pytest.mark.parametrize("caller", CALLERS)
async def test_each_route_lets_in_whom_it_should(world: World, caller: str | None, prefix: str) -> None:
    """T1: every route of the router, for every kind of caller, under both prefixes."""
    async with serving(world.app) as (url, _), httpx.AsyncClient(base_url=url) as client:
        if caller:
            client.headers["Authorization"] = f"Bearer {world.keys[caller]}"
        statuses = [(endpoint, await call(client, endpoint, prefix)) for endpoint in ENDPOINTS]

    wrong = {e.answer.__name__: s for e, s in statuses if s not in expected(e, caller)}
    assert wrong == {}


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic YTpi", "bearer\tx", "Bearer null"])
async def test_odd_authorization_is_401(world: World, authorization: str) -> None:
    """Whatever is no known bearer key gives 401 with the way to authenticate."""
    async with world.client(None) as client:
        answer = await client.get(f"{BASE}/list", headers={"Authorization": authorization})

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


ODD_HOSTS = ("localhost:4000/#@evil", "evil.test", "127.0.0.1", "a b", "")
ODD_PATHS = (
    f"{BASE}/list",
    f"/{BASE}/list",
    "/admin//profiles/list",
    f"{BASE}/%2e%2e",
    f"{BASE}/%2e%2e/%2e%2e/health",
    f"{BASE}/..;/list",
    f"{BASE}/list%00",
    f"{BASE}/LIST",
)


async def test_no_host_or_path_gets_around_the_key(world: World) -> None:
    """T2: with whatever Host header and spelling of the path, there is no data without a key."""
    let_in = []

    async with world.client(None) as client:
        for path, host in itertools.product(ODD_PATHS, ODD_HOSTS):
            url = httpx.URL(scheme="http", host="proxy.test", raw_path=path.encode())
            answer = await client.get(url, headers={"Host": host})
            if answer.status_code not in {401, 404} or "premium" in answer.text:
                let_in.append((path, host))

    assert let_in == []


async def test_an_anonymous_caller_learns_nothing_from_a_bad_request(world: World) -> None:
    """The key is looked at before the body, the parameters and the preconditions."""
    async with world.client(None) as client:
        answers = [
            await client.post(f"{BASE}/switch", content=b"{", headers={"Content-Type": "application/json"}),
            await client.post(f"{BASE}/switch", content=b"<x/>", headers={"Content-Type": "text/xml"}),
            await client.get(f"{PREFIX}/audit", params={"limit": "-1"}),
            await client.put(f"{BASE}/premium", json={}),
            await client.get(f"{BASE}/nobody"),
        ]

    assert [answer.status_code for answer in answers] == [401] * 5


async def test_no_key_is_ever_repeated(world: World) -> None:
    """T13: a crawl over every route, good and bad, by everybody: neither a key nor a provider's key in any answer."""
    secrets = [*world.keys.values(), CANARY]
    world.reported = {"litellm_version": "1", "warnings": []}
    texts: list[str] = []

    for caller in CALLERS:
        async with world.client(caller) as client:
            for endpoint in ENDPOINTS:
                if endpoint.path == "/events":
                    continue
                path = PREFIX + endpoint.path.format(**PLACES)
                for body in (
                    BODIES.get(endpoint.answer.__name__),
                    {"profile": {"api_key": CANARY}},
                    [CANARY],
                ):
                    answer = await client.request(
                        endpoint.method, path, json=body, headers={"If-Match": "*", "Idempotency-Key": CANARY}
                    )
                    texts += [answer.text, *answer.headers.values()]

    assert len(texts) > 100
    assert [text for text in texts if any(secret in text for secret in secrets)] == []


async def test_a_reason_cannot_forge_a_log_line(
    world: World, admin: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """T14: newline and escape sequences in a reason are kept as data and reach the log only as JSON."""
    reason = "evening\nINFO neuronode revision committed \x1b[31mforged"
    caplog.set_level("INFO")

    await admin.post(f"{BASE}/switch", json={"profile": "balanced", "reason": reason})
    export = await admin.get(f"{PREFIX}/audit", params={"format": "ndjson"})

    assert json.loads(export.text.splitlines()[0])["reason"] == reason
    assert all(line.isprintable() for record in caplog.records for line in [record.getMessage()])
    assert "forged" in caplog.text


@pytest.mark.parametrize("reason", ["x" * 501, "a\x00b", "\ud800"])
async def test_a_reason_that_cannot_be_kept_is_refused(admin: httpx.AsyncClient, reason: str) -> None:
    """Too long, NUL, half a surrogate pair: 422 and no revision, not a failure in the database."""
    body = json.dumps({"profile": "balanced", "reason": reason})

    answer = await admin.post(f"{BASE}/switch", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b'{"profile": "balanced"}', "application/json", 200),
        (b'{"profile": "balanced"}', "APPLICATION/JSON; charset=utf-8", 200),
        (b'{"profile": "balanced"}', "text/plain", 415),
        (b'{"profile": "balanced"}', "application/x-www-form-urlencoded", 415),
        (b'{"profile": "balanced"}', "multipart/form-data; boundary=x", 415),
        (b'{"profile": "balanced"}', "", 415),
        (b"", "application/json", 422),
        (b"{", "application/json", 422),
        (b"null", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"\xff\xfe", "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b'{"profile": "balanced", "team": "b"}', "application/json", 422),
        (b'{"profile": 7}', "application/json", 422),
        (b" " * (MAX_BODY_BYTES + 1), "application/json", 413),
    ],
)
async def test_odd_bodies_get_the_status_they_deserve(
    admin: httpx.AsyncClient, content: bytes, content_type: str, status: int
) -> None:
    """Not JSON, too large, too deep, unknown fields: a problem each, never a failure."""
    answer = await admin.post(f"{BASE}/switch", content=content, headers={"Content-Type": content_type})

    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["content-type"] == MEDIA_TYPE


async def test_a_body_without_a_length_is_capped_too(world: World) -> None:
    """A chunked body is cut off at the cap, over a real connection."""

    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 16_384

    async with serving(world.app) as (url, _), httpx.AsyncClient(base_url=url) as client:
        client.headers["Authorization"] = f"Bearer {world.keys['admin']}"
        answer = await client.post(f"{BASE}/switch", content=endless())

    assert answer.status_code == 413


async def test_no_body_of_somebody_unknown_is_read(world: World) -> None:
    """The key is looked at first: who has none cannot make us wait for, or keep, a body."""
    read = []

    async def endless() -> AsyncIterator[bytes]:
        for number in range(100):
            read.append(number)
            yield b" " * 16_384

    async with world.client("wrong") as nobody:
        answers = [
            await nobody.request(
                endpoint.method,
                PREFIX + endpoint.path.format(**PLACES),
                content=endless(),
                headers={"Content-Type": "application/json"},
            )
            for endpoint in ENDPOINTS
        ]

    assert {answer.status_code for answer in answers} == {401}
    assert read == []


@pytest.mark.parametrize("path", [f"{BASE}/switch", f"{PREFIX}/ui/session"])
async def test_a_body_that_does_not_arrive_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Neither a known caller's nor that of whoever signs in."""
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.05)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with asyncio.timeout(10), world.client("admin") as admin:
        answer = await admin.post(path, content=stuck(), headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (408, "body_too_slow")


@pytest.mark.parametrize("path", [f"{BASE}/switch", f"{PREFIX}/ui/session"])
async def test_who_hangs_up_in_a_body_is_nobodys_error(world: World, path: str) -> None:
    """Nothing is raised into the application, which would log it at length for whoever asks for that."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {world.keys['admin']}"}
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "root_path": "",
        "scheme": "http", "query_string": b"", "http_version": "1.1", "server": ("proxy.test", 80),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"claim"', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await world.app(scope, receive, send)

    assert sent[0]["status"] == 400


async def test_answers_are_not_stored_nor_shared_across_origins(world: World) -> None:
    """Every answer forbids caching, and none invites another origin's page."""
    async with world.client("admin") as admin, world.client(None) as nobody:
        answers = [
            await admin.get(f"{BASE}/list", headers={"Origin": "http://evil.test"}),
            await admin.get(f"{PREFIX}/audit", params={"format": "ndjson"}),
            await admin.post(f"{BASE}/switch", json={}),
            await nobody.get(f"{BASE}/list", headers={"Origin": "http://evil.test"}),
        ]
        preflight = await nobody.options(
            f"{BASE}/switch",
            headers={"Origin": "http://evil.test", "Access-Control-Request-Method": "POST"},
        )

    assert [answer.headers["cache-control"] for answer in answers] == ["no-store"] * 4
    assert preflight.status_code == 401
    for answer in (*answers, preflight):
        assert not any(name.startswith("access-control-") for name in answer.headers)


async def test_the_hosts_own_routes_keep_their_errors(world: World) -> None:
    """Our form of errors ends at our routes: the application's others answer as before."""

    def add_host_routes(app: FastAPI) -> None:
        @app.get("/theirs/{number}")
        def theirs(number: int) -> int:
            return number

    add_host_routes(world.leave_the_shared_application())
    async with world.client("admin") as client:
        answer = await client.get("/theirs/x")
        missing = await client.get("/nowhere")

    assert answer.headers["content-type"] == "application/json"
    assert "detail" in answer.json()
    assert missing.json() == {"detail": "Not Found"}


async def test_a_writer_who_hangs_up_is_no_failure(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A client that is known and goes away in the middle of its body leaves no traceback."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def received() -> Message:
            message = await receive()
            begun.set()
            return message

        try:
            await world.app(scope, received, send)
        finally:
            ended.set()

    async with asyncio.timeout(10), serving(watched) as (url, _):
        address = httpx.URL(url)
        _, writer = await asyncio.open_connection(address.host, address.port)
        head = f"POST {BASE}/switch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.keys['admin']}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        await begun.wait()  # its key is known, and the rest of the body is waited for
        writer.close()
        await ended.wait()

    assert caplog.text == ""


def test_every_error_of_the_package_has_a_presentation() -> None:
    """An error class that a route could raise has a status; the others never leave the start-up or the CLI."""
    not_over_http = {
        "unsupported_litellm",
        "compromised_litellm",
        "bad_settings",
        "audit_broken",
        "render_failed",
        "artefact_refused",
        "templates_invalid",
        "router_taken",  # for callers of the SDK
        "lease_lost",  # between workers
        *("unknown_tier", "does_not_fit"),  # admission's answers, in LiteLLM's form
    }
    codes = {
        error.code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.NeuronodeError)
    }

    assert codes - not_over_http <= {*KINDS, *TASK_KINDS, *NO_ROUTE}
