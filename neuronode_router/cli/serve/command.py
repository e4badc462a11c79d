"""`neuronode serve`: its options. It must not know how anything is served: `serve` does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from neuronode_router.cli.options import config_option, profiles_option, settings_with, state_dir_option


@click.command("serve")
@click.option("--port", default=4000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
@state_dir_option
@config_option
@profiles_option
def command(port: int, host: str, workers: int, **paths: Path | None) -> None:
    """Start LiteLLM with the plugin.

    Model groups whose provider is not configured are answered by a tiny built-in model.
    """
    from neuronode_router.cli.serve.prepare import Listen
    from neuronode_router.cli.serve.run import serve

    sys.exit(asyncio.run(serve(settings_with(paths), Listen(host, port, workers))))
