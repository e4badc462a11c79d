"""The `neuronode` command: parses arguments, prints errors as one line each, sets the exit code.

It must not know how anything is done. Exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from neuronode_router import __version__
from neuronode_router.errors import AuditBroken, NeuronodeError, ProfilesInvalid, SettingsError
from neuronode_router.settings import Settings, process_environment, variable

# Imports stand in the commands that need them, so that `neuronode --help` does not load SQLAlchemy.

_PATH = click.Path(path_type=Path)
_CONFIG = click.option("--config", type=_PATH, help="The LiteLLM configuration.")
_STATE_DIR = click.option("--state-dir", type=_PATH, help="Where state and the master key are kept.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="neuronode")
def cli() -> None:
    """Runtime control of which model answers behind a LiteLLM proxy."""


@cli.command("serve")
@click.option("--port", default=4000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
@_STATE_DIR
@_CONFIG
@click.option("--profiles", type=_PATH, help="The directory of the profile files.")
def serve_command(port: int, host: str, workers: int, **paths: Path | None) -> None:
    """Start LiteLLM with the plugin; without keys or Ollama a tiny built-in model answers."""
    from neuronode_router.cli.prepare import Listen
    from neuronode_router.cli.serve import serve

    sys.exit(asyncio.run(serve(settings_with(paths), Listen(host, port, workers))))


@cli.group("audit")
def audit_group() -> None:
    """Look into the audit log."""


@audit_group.command("verify")
@_STATE_DIR
@_CONFIG
@_JSON
def audit_verify(*, as_json: bool, **paths: Path | None) -> None:
    """Check the hash chain of the audit log; exit code 1 names the first revision that is wrong."""
    from neuronode_router.control.store import ControlStore

    store = ControlStore(settings_with(paths).state_url)
    try:
        count = store.audit.verify()
        if count == 0:
            raise AuditBroken("The store holds no audit log: nothing was ever committed in it.", revision=0)
    except AuditBroken as error:
        _print(
            {"ok": False, "revision": error.revision, "message": error.message},
            error.message,
            as_json=as_json,
        )
        sys.exit(1)
    finally:
        store.close()
    _print({"ok": True, "revisions": count}, f"The audit log is intact: {count} revisions.", as_json=as_json)


@cli.group("key")
def key_group() -> None:
    """Keys for a proxy without a database."""


@key_group.command("create")
@click.option("--name", required=True, help="What the key is called in logs and in the audit log.")
@click.option("--role", default="member", show_default=True, type=click.Choice(["member", "viewer", "admin"]))
@click.option("--team", help="The team the key belongs to.")
@click.option("--task", "tasks", multiple=True, help="A task alias or group it may ask for; none means all.")
@click.option("--profile", "profiles", multiple=True, help='A profile it may choose per request; "*" is all.')
@click.option("--expires", type=click.DateTime(), help="When it ends, in local time.")
@click.option("--file", "file", type=_PATH, help="The access file. Default: NEURONODE_ACCESS_FILE.")
@_JSON
def key_create(*, name: str, role: str, file: Path | None, as_json: bool, **grants: Any) -> None:
    """Add a key to the access file and print it, this once; the file keeps only its hash."""
    from neuronode_router.access import Role, add_key, generate_key

    path = settings_with({"access_file": file}).access_file
    if path is None:
        raise SettingsError("No access file is named.", mend="Pass --file FILE or set NEURONODE_ACCESS_FILE.")
    expires: datetime | None = grants.pop("expires")
    plain, entry = generate_key(
        name, role=Role(role), expires=None if expires is None else expires.timestamp(), **grants
    )
    add_key(path, entry)
    _print({"key": plain, "name": name, "file": str(path)}, plain, as_json=as_json)
    if not as_json:
        click.echo(f"Added to {path}. This is the only time the key is shown.", err=True)


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
            [str(problem) for problem in error.problems]
            if isinstance(error, ProfilesInvalid)
            else [f"{error.message} {error.mend}"]
        )
        for line in lines:
            click.echo(f"neuronode: {line}", err=True)
        sys.exit(2 if isinstance(error, SettingsError) else 1)


def _print(document: dict[str, Any], text: str, *, as_json: bool) -> None:
    click.echo(json.dumps(document) if as_json else text)
