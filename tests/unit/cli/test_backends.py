"""Which deployments count as configured, and how Ollamas are asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from neuronode_router.cli.serve.backends import Backends, Deployment, find_backends

TAGS = b'{"models": [{"name": "llama3.1:8b"}, {"name": "mistral:latest"}]}'


def deployment(**params: object) -> Deployment:
    """A deployment with these `litellm_params`."""
    return {"model_name": "group", "litellm_params": params}


@pytest.mark.parametrize(
    ("params", "environ", "expected"),
    [
        ({"model": "openai/gpt", "api_key": "os.environ/KEY"}, {}, "KEY is not set"),
        ({"model": "openai/gpt", "api_key": "os.environ/KEY"}, {"KEY": " "}, "KEY is not set"),
        ({"model": "openai/gpt", "api_key": "os.environ/KEY"}, {"KEY": "x"}, None),
        ({"model": "openai/gpt", "api_key": "literal"}, {}, None),
        ({"model": "openai/gpt"}, {}, "OPENAI_API_KEY is not set"),
        ({"model": "openai/gpt"}, {"OPENAI_API_KEY": "x"}, None),
        ({"model": "openai/own", "api_base": "http://10.0.0.1/v1"}, {}, None),
        ({"model": "openai/own", "api_base": "os.environ/BASE"}, {}, "BASE is not set"),
        ({"model": "gemini/flash"}, {"GOOGLE_API_KEY": "x"}, None),
        ({"model": "bedrock/claude", "aws_access_key_id": "os.environ/AWS"}, {}, "AWS is not set"),
        ({"model": "bedrock/claude"}, {}, None),
        ({"model": "ollama_chat/llama3.1:8b"}, {}, "OLLAMA_API_BASE is not set"),
        ({"model": "ollama_chat/llama3.1:8b", "api_base": "http://there/"}, {}, None),
        ({"model": "ollama/mistral", "api_base": "http://there"}, {}, None),
        ({"model": "ollama/llama3.1:70b", "api_base": "http://there"}, {}, "Ollama has no llama3.1:70b"),
        ({"model": "ollama/mistral", "api_base": "http://silent"}, {}, "Ollama does not answer"),
        (
            {"model": "ollama/mistral", "api_base": "os.environ/OLLAMA_API_BASE"},
            {},
            "OLLAMA_API_BASE is not set",
        ),
    ],
)
def test_what_a_deployment_lacks(
    params: dict[str, object], environ: dict[str, str], expected: str | None
) -> None:
    """A missing key, address or tag is named; a provider we do not know is taken as configured."""
    backends = Backends(environ, {"http://there": frozenset({"llama3.1:8b", "mistral:latest"})})

    assert backends.missing(deployment(**params)) == expected


GIVEN: list[tuple[Mapping[str, object], Mapping[str, str], dict[str, object], str | None]] = [
    ({"environment_variables": {"KEY": "x"}}, {}, {"model": "openai/gpt", "api_key": "os.environ/KEY"}, None),
    (
        {"environment_variables": {"KEY": ""}},
        {"KEY": "x"},
        {"model": "openai/gpt", "api_key": "os.environ/KEY"},
        "KEY is not set",
    ),
    (
        {"environment_variables": {"OPENAI_API_KEY": "os.environ/MINE"}},
        {"MINE": "x"},
        {"model": "openai/gpt"},
        None,
    ),
    (
        {"environment_variables": {"OPENAI_API_KEY": "os.environ/MINE"}},
        {},
        {"model": "openai/gpt"},
        "OPENAI_API_KEY is not set",
    ),
    (
        {"environment_variables": {"OPENAI_API_KEY": None}},
        {},
        {"model": "openai/gpt"},
        "OPENAI_API_KEY is not set",
    ),
    ({"environment_variables": ["KEY"]}, {}, {"model": "openai/gpt"}, "OPENAI_API_KEY is not set"),
    ({"general_settings": {"key_management_system": "aws_kms"}}, {}, {"model": "openai/gpt"}, None),
    (
        {"general_settings": {"key_management_system": "aws_kms"}},
        {},
        {"model": "bedrock/claude", "aws_access_key_id": "os.environ/AWS"},
        None,
    ),
    (
        {"general_settings": {"use_azure_key_vault": True}},
        {},
        {"model": "ollama/x", "api_base": "os.environ/BASE"},
        None,
    ),
    (
        {"general_settings": {"use_azure_key_vault": False}},
        {},
        {"model": "ollama/x", "api_base": "os.environ/BASE"},
        "BASE is not set",
    ),
    (
        {"credential_list": [{"credential_name": "c", "credential_values": {"api_key": "x"}}]},
        {},
        {"model": "openai/gpt", "litellm_credential_name": "c"},
        None,
    ),
    (
        {"credential_list": [{"credential_name": "c", "credential_values": {"api_key": "os.environ/KEY"}}]},
        {},
        {"model": "openai/gpt", "litellm_credential_name": "c"},
        "KEY is not set",
    ),
    (
        {"credential_list": "c"},
        {},
        {"model": "openai/gpt", "litellm_credential_name": "of the database"},
        None,
    ),
]


@pytest.mark.parametrize(("config", "environ", "params", "expected"), GIVEN)
async def test_every_way_of_litellm_to_give_a_key_counts(
    config: Mapping[str, object], environ: Mapping[str, str], params: dict[str, object], expected: str | None
) -> None:
    """Sections of the configuration are looked into; a secret manager and a database are believed to have it."""
    backends = await find_backends(config, [], environ)

    assert backends.missing(deployment(**params)) == expected


@pytest.mark.parametrize("credential", [None, "c"])
async def test_an_ollama_is_asked_at_the_address_that_the_configuration_sets(credential: str | None) -> None:
    """LiteLLM would ask it there too."""
    asked = deployment(model="ollama/mistral", litellm_credential_name=credential)
    async with answering(lambda _: ok(TAGS)) as address:
        by_credential = {
            "credential_list": [{"credential_name": "c", "credential_values": {"api_base": address}}]
        }
        by_variable = {"environment_variables": {"OLLAMA_API_BASE": address}}
        found = await find_backends(by_credential if credential else by_variable, [asked], {})

    assert found.missing(asked) is None


async def test_an_answering_ollama_is_known_by_its_tags() -> None:
    """Only `/api/tags` is asked: everything else could load a model."""
    asked: list[bytes] = []

    async with answering(lambda request: asked.append(request) or ok(TAGS)) as address:
        found = await find_backends(
            {},
            [
                deployment(model="ollama_chat/llama3.1:8b", api_base=address),
                deployment(model="ollama/other", api_base=f"{address}/"),
            ],
            {},
        )

    assert found.ollama_tags == {address: frozenset({"llama3.1:8b", "mistral:latest"})}
    assert [request.split(b"\r\n")[0] for request in asked] == [b"GET /api/tags HTTP/1.1"]


async def test_a_redirect_is_not_followed() -> None:
    """A probe must not be led to an address inside the network."""
    reached: list[bytes] = []

    async with answering(lambda request: reached.append(request) or ok(TAGS)) as target:
        moved = f"HTTP/1.1 302 Found\r\nLocation: {target}/api/tags\r\nContent-Length: 0\r\n\r\n".encode()
        async with answering(lambda _: moved) as address:
            found = await find_backends({}, [deployment(model="ollama/x", api_base=address)], {})

    assert found.ollama_tags == {}
    assert reached == []


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"nonsense", None, b'["no"]', b"{}"]
)
async def test_anything_else_is_no_ollama(answer: bytes | None) -> None:
    """Silence, errors, other JSON and garbage all mean: not usable, within the second that a probe may take."""
    reply = ok(answer) if answer and answer[:1] in b"[{" else answer
    began = time.monotonic()

    async with answering(lambda _: reply) as address:
        found = await find_backends({}, [deployment(model="ollama/x", api_base=address)], {})

    assert found.ollama_tags == {}
    assert time.monotonic() - began < 5


async def test_a_malformed_address_is_no_ollama() -> None:
    """A typing mistake in the configuration is reported as a missing backend, not as a crash."""
    found = await find_backends({}, [deployment(model="ollama/x", api_base="http://[::1")], {})

    assert found.ollama_tags == {}


def test_keys_stay_out_of_repr() -> None:
    """The environment is full of secrets."""
    assert "hunter2" not in repr(Backends({"OPENAI_API_KEY": "hunter2"}, {}, {"c": {"api_key": "hunter2"}}))


def ok(body: bytes) -> bytes:
    """A complete HTTP answer."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@asynccontextmanager
async def answering(reply: Callable[[bytes], bytes | None]) -> AsyncIterator[str]:
    """Run a server that gives this answer to each request; None keeps the caller waiting."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = reply(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await over.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        over.set()
        server.close()
        await server.wait_closed()
