"""The `neuronode` command: parses arguments, prints errors as one line each, sets the exit code.

It must not know how anything is done. Exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from neuronode_router import __version__
from neuronode_router.cli.prepare import Listen
from neuronode_router.cli.serve import serve
from neuronode_router.errors import NeuronodeError, ProfilesInvalid, SettingsError
from neuronode_router.settings import Settings, process_environment, variable


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="neuronode")
def cli() -> None:
    """Runtime control of which model answers behind a LiteLLM proxy."""


@cli.command("serve")
@click.option("--port", default=4000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where state and the master key are kept.")
@click.option("--config", type=click.Path(path_type=Path), help="The LiteLLM configuration.")
@click.option("--profiles", type=click.Path(path_type=Path), help="The directory of the profile files.")
def serve_command(port: int, host: str, workers: int, **paths: Path | None) -> None:
    """Start LiteLLM with the plugin; without keys or Ollama a tiny built-in model answers."""
    sys.exit(asyncio.run(serve(settings_with(paths), Listen(host, port, workers))))


def settings_with(paths: dict[str, Path | None]) -> Settings:
    """Return the settings, with flags going before the environment. Raises `SettingsError`."""
    flags = {variable(name): str(path) for name, path in paths.items() if path is not None}
    return Settings.load({**process_environment(), **flags})


def main() -> None:
    """Run the command line; errors of ours become one line (or one per problem) on standard error."""
    try:
        cli()
    except NeuronodeError as error:
        lines = (
            [str(p) for p in error.problems]
            if isinstance(error, ProfilesInvalid)
            else [f"{error.message} {error.mend}"]
        )
        for line in lines:
            click.echo(f"neuronode: {line}", err=True)
        sys.exit(2 if isinstance(error, SettingsError) else 1)
