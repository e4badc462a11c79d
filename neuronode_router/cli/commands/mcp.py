"""`neuronode mcp`: the admin API as tools for an agent that starts this command and speaks with it over its pipes.

It must not know the tools. Standard output belongs to the protocol.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import Any

import click

from neuronode_router.agents.tool import AdminCall
from neuronode_router.cli.http import Connection
from neuronode_router.cli.options import online
from neuronode_router.cli.terminal import note
from neuronode_router.errors import NeuronodeError
from neuronode_router.threads import in_thread


@click.command("mcp")
@click.option("--allow-writes", is_flag=True, help="Offer those that change something too.")
@online
def command(connection: Connection, *, allow_writes: bool) -> None:
    """Serve tools for agents (Model Context Protocol) on standard input and output.

    The tools may what the key may: status, plan, explain, usage and deployments; with --allow-writes also switch and
    rollback.
    """
    try:
        from mcp.server.stdio import stdio_server

        from neuronode_router.agents.server import agent_server
    except ImportError as error:
        raise NeuronodeError(
            "The SDK of the Model Context Protocol is not installed, or too old.",
            fix="Run scripts/install, or install the version of mcp that requirements.lock names.",
        ) from error

    async def serve() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, _end)
        server = agent_server(_through(connection), writes=allow_writes)
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    asyncio.run(serve())


def _end() -> None:
    """End at once: the SDK reads standard input in a thread that no cancelling reaches, until somebody closes it."""
    note("Aborted!")
    os._exit(1)


def _through(connection: Connection) -> AdminCall:
    """Return a way to call the admin API that does not keep the protocol waiting."""

    async def call(
        method: str, path: str, *, params: Mapping[str, object] | None = None, body: object = None
    ) -> Mapping[str, Any]:
        if method == "GET":
            answer = await in_thread(connection.get, path, **(params or {}))
        else:
            answer = await in_thread(connection.send, method, path, body, params=params)
        return answer.document

    return call
