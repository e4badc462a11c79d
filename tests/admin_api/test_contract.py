"""The OpenAPI page and the routes say the same: statuses, codes, schemas, stable names."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin_api.http.endpoints import Endpoint
from admin_api.http.problems import KINDS, MEDIA_TYPE, TYPE_PREFIX, ProblemDocument
from admin_api.router import ENDPOINTS, PREFIX
from tests.admin_api.world import BASE, KNOWN_CALL, World

BY_NAME = {endpoint.answer.__name__: endpoint for endpoint in ENDPOINTS}
FINITE = [endpoint for endpoint in ENDPOINTS if endpoint.path != "/events"]

KEYS = (
    "profile",
    "reason",
    "wait",
    "dry_run",
    "to",
    "name",
    "group",
    "tasks",
    "tiers",
    "description",
    "text",
    "messages",
    "explain",
    "api_key",
    "é",
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**70),
    st.floats(),
    st.sampled_from(
        ["balanced", "premium", "none", "all", "previous", "chat_balanced", "", "a\n\x1b[0m", "\x00"]
    ),
    st.text(max_size=8),
)
JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=8,
)
QUERY = st.dictionaries(
    st.sampled_from(
        ["from", "to", "limit", "before", "since", "format", "wait", "dry_run", "reason", "by", "step", "x"]
    ),
    st.sampled_from(
        [
            "premium",
            "balanced",
            "0",
            "1",
            "60",
            "-1",
            "1e999",
            "nan",
            "true",
            "ndjson",
            "csv",
            "task,team",
            "\x00",
            "",
        ]
    ),
    max_size=3,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "If-Match": st.sampled_from(["*", '"1"', '"x"', ""]),
        "Idempotency-Key": st.sampled_from(["a", "b", " "]),
        "Accept": st.sampled_from(["application/x-ndjson", "text/html"]),
    },
)
NAMES = st.sampled_from(["premium", "balanced", "new", "list", "%00", "%e2%82%ac", "-", "a" * 65, "%2e"])


def documented(world: World, endpoint: Endpoint) -> set[int]:
    """Return the statuses of the OpenAPI page for a route."""
    operation = world.app.openapi()["paths"][PREFIX + endpoint.path][endpoint.method.lower()]
    return {int(status) for status in operation["responses"]}


@settings(
    max_examples=settings().max_examples * 3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    endpoint=st.sampled_from(FINITE),
    caller=st.sampled_from(["admin", "admin", "admin", "viewer", "member", None]),
    body=st.none() | JSON,
    query=st.just({}) | QUERY,
    headers=HEADERS,
    name=NAMES,
)
async def test_whatever_is_sent_the_answer_is_a_documented_one(
    world: World,
    *,
    endpoint: Endpoint,
    caller: str | None,
    body: Any,
    query: dict[str, str],
    headers: dict[str, str],
    name: str,
) -> None:
    """Any body, query, header, name and caller: never 500, never an undocumented status, every refusal a problem."""
    path = PREFIX + endpoint.path.format(name=name, task="chat", kind="team", subject=name, call_id=name)
    content = None if body is None else to_json(body)

    async with world.client(caller) as client:
        answer = await client.request(
            endpoint.method,
            path,
            params=query,
            content=content,
            headers=headers | {"Content-Type": "application/json"},
        )

    assert answer.status_code in documented(world, endpoint) - {500}, answer.text
    if answer.status_code != 200:
        problem = ProblemDocument.model_validate_json(answer.content)
        assert answer.headers["content-type"] == MEDIA_TYPE
        assert KINDS[problem.code].status == problem.status == answer.status_code
        assert problem.type == TYPE_PREFIX + problem.code.replace("_", "-")
        assert problem.fix
        assert problem.detail


def to_json(value: Any) -> bytes:
    """Return JSON as a careless client writes it: NaN, Infinity and unpaired surrogates included."""
    return json.dumps(value).encode()


async def test_answers_match_their_schemas(world: World, admin: httpx.AsyncClient) -> None:
    """Each successful answer is valid under the schema that the OpenAPI page shows for it."""
    page = world.app.openapi()
    answers = {
        "list_profiles": await admin.get(f"{BASE}/list"),
        "read_status": await admin.get(f"{BASE}/status"),
        "compare_profiles": await admin.get(f"{PREFIX}/diff", params={"from": "premium", "to": "balanced"}),
        "read_schema": await admin.get(f"{PREFIX}/schema"),
        "list_workers": await admin.get(f"{PREFIX}/workers"),
        "read_profile": await admin.get(f"{BASE}/premium"),
        "switch": await admin.post(f"{BASE}/switch", json={"profile": "balanced"}),
        "read_audit": await admin.get(f"{PREFIX}/audit"),
        "validate": await admin.post(f"{PREFIX}/proof/validate"),
        "read_usage": await admin.get(f"{PREFIX}/usage", params={"by": "team,task"}),
        "read_series": await admin.get(f"{PREFIX}/usage/series", params={"task": "chat"}),
        "newest_requests": await admin.get(f"{PREFIX}/requests"),
        "plan": await admin.post(f"{PREFIX}/plan", json={"profile": "balanced"}),
        "explain_request": await admin.get(f"{PREFIX}/requests/{KNOWN_CALL}/explain"),
        "give_feedback": await admin.post(
            f"{PREFIX}/router/feedback", json={"call_id": KNOWN_CALL, "verdict": "right"}
        ),
        "read_router_stats": await admin.get(f"{PREFIX}/router/stats"),
        "read_registry": await admin.get(f"{PREFIX}/router/registry"),
        "classify": await admin.post(f"{PREFIX}/router/classify", json={"text": "Hi", "explain": True}),
    }

    for name, answer in answers.items():
        endpoint = BY_NAME[name]
        operation = page["paths"][PREFIX + endpoint.path][endpoint.method.lower()]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), schema | {"components": page["components"]})


def test_names_on_the_openapi_page_are_stable(world: World) -> None:
    """Generated clients depend on operation ids, and each route says what it does and who may be refused."""
    operations = {
        operation["operationId"]: operation
        for path, methods in world.app.openapi()["paths"].items()
        for operation in methods.values()
    }

    assert set(operations) == {f"neuronode_{name}" for name in BY_NAME}
    for operation in operations.values():
        assert operation["description"]
        assert operation["security"] == [{"NeuronodeKey": []}]
        assert {"200", "401", "403", "422", "500", "503"} <= set(operation["responses"])


def test_every_code_is_documented_on_some_route(world: World) -> None:
    """A code that no route could answer with would be a lie in the documents."""
    text = str(world.app.openapi()["paths"])

    assert [code for code in KINDS if f"`{code}`" not in text] == []
