"""`neuronode key`: keys for a proxy without a database. It must not know how keys are kept: `access` does."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from neuronode_router.cli.names import askable_names, profile_names
from neuronode_router.cli.options import PATH, json_option, settings_with
from neuronode_router.cli.terminal import note, print_json
from neuronode_router.domain.names import LABEL_PATTERN, NAME_PATTERN
from neuronode_router.domain.rules import PersonalDataRule
from neuronode_router.errors import SettingsError


@click.group("key")
def command() -> None:
    """Keys for a proxy without a database."""


def _places(context: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if NAME_PATTERN.fullmatch(name) is None:
            raise click.BadParameter(f"{name!r} is no place: write local, eu, de or a provider's name.")
    return names


def _label(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    if text is not None and LABEL_PATTERN.fullmatch(text) is None:
        raise click.BadParameter(
            f"{text!r} cannot be written: take up to 64 of A-Z, a-z, 0-9, _ . @ -, and begin with a letter or a digit."
        )
    return text


def _to_come(context: click.Context, parameter: click.Parameter, moment: datetime | None) -> datetime | None:
    if moment is not None and moment.timestamp() <= time.time():
        raise click.BadParameter(f"{moment} is over: the key would never be taken.")
    return moment


@command.command("create")
@click.option(
    "--name", required=True, callback=_label, help="What the key is called in logs and in the audit log."
)
@click.option("--role", default="member", show_default=True, type=click.Choice(["member", "viewer", "admin"]))
@click.option("--team", callback=_label, help="The team the key belongs to.")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    shell_complete=askable_names,
    help="A task alias or group it may ask for; none means all.",
)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    shell_complete=profile_names,
    help='A profile it may choose per request; "*" is all.',
)
@click.option(
    "--residency",
    multiple=True,
    callback=_places,
    help="Where the data of its requests may go, such as local or eu.",
)
@click.option(
    "--personal-data",
    default="allow",
    show_default=True,
    type=click.Choice(["allow", "local", "refuse"]),
    help="What becomes of its requests that hold personal data.",
)
@click.option("--expires", type=click.DateTime(), callback=_to_come, help="When it ends, in local time.")
@click.option("--file", "file", type=PATH, help="The access file. Default: NEURONODE_ACCESS_FILE.")
@json_option
def create(*, name: str, role: str, file: Path | None, as_json: bool, **grants: Any) -> None:
    """Add a key to the access file and print it, this once; the file keeps only its hash."""
    from neuronode_router.access import Role, add_key, generate_key

    path = settings_with({"access_file": file}).access_file
    if path is None:
        raise SettingsError("No access file is named.", fix="Pass --file FILE or set NEURONODE_ACCESS_FILE.")
    expires: datetime | None = grants.pop("expires")
    rules = {
        "residency": grants.pop("residency"),
        "personal_data": PersonalDataRule(grants.pop("personal_data")),
    }
    plain, entry = generate_key(
        name, role=Role(role), expires=None if expires is None else expires.timestamp(), **grants
    )
    add_key(path, replace(entry, **rules))
    if as_json:
        print_json({"key": plain, "name": name, "file": str(path)})
        return
    click.echo(plain)
    note(f"Added to {path}. This is the only time the key is shown.")
