"""`neuronode profile edit`: a profile in the operator's editor, checked, shown as a difference, and put back.

It must not know what is valid, and never loses what was typed.
"""

from __future__ import annotations

import difflib
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from neuronode_router.cli.commands.audit import entry_line
from neuronode_router.cli.consent import How, PendingChange, Warmed, carry_out, warmed
from neuronode_router.cli.http import Connection, Refused
from neuronode_router.cli.names import profile_names
from neuronode_router.cli.options import (
    PATH,
    change_options,
    online,
    warm_options,
)
from neuronode_router.cli.profile.text import ProfileText, canonical, read_valid_profile, write_profile
from neuronode_router.cli.terminal import clean, note
from neuronode_router.domain.names import path_step
from neuronode_router.errors import ProfilesInvalid, SettingsError, UnknownProfile


@dataclass(frozen=True, slots=True)
class Base:
    """The profile as it was when the edit began, and under which state of the proxy."""

    name: str
    text: str
    etag: str | None
    revision: int


@click.command("edit")
@click.argument("name", shell_complete=profile_names)
@click.option(
    "--file", "file", type=PATH, help="Take this file instead of opening an editor; may add a profile."
)
@warm_options
@change_options
@online
def edit(connection: Connection, name: str, file: Path | None, **how: Any) -> None:
    """Edit a profile in $EDITOR.

    The proxy checks it before anything changes. If somebody else commits in between, nothing is overwritten: the text
    is kept and what changed is shown.
    """
    base, warm = _read_base(connection, name, may_be_new=file is not None), warmed(how)
    if file is not None:
        sys.exit(_apply(connection, base, file, How(**how), warm))
    edited = _new_file(base)
    try:
        _let_edit(connection, base, edited)
        code = _apply(connection, base, edited, How(**how), warm)
    except BaseException:  # Ctrl-C too, and whatever nobody thought of
        note(f"Your text is kept in {edited}; apply it with: neuronode profile edit {name} --file {edited}")
        raise
    edited.unlink()
    sys.exit(code)


def _apply(connection: Connection, base: Base, file: Path, how: How, warm: Warmed) -> int:
    text = read_valid_profile(connection, base.name, file)
    if not _show_difference(base, text):
        note("Nothing was edited.")
        if not how.as_json:
            return 0
        how = replace(how, dry_run=True)  # a program gets the receipt of what changes nothing
    return _put(connection, base, text, how, warm)


def _read_base(connection: Connection, name: str, *, may_be_new: bool) -> Base:
    listed = connection.get("/profiles/list")
    profiles: Mapping[str, Any] = {profile["name"]: profile for profile in listed.document["profiles"]}
    if name not in profiles and not may_be_new:
        raise UnknownProfile(name, list(profiles))
    text = write_profile(profiles[name]) if name in profiles else ""
    return Base(name, text, listed.etag, listed.document["revision"])


def _new_file(base: Base) -> Path:
    if not sys.stdin.isatty():
        raise SettingsError("There is no terminal for an editor.", fix="Pass --file FILE.")
    handle, name = tempfile.mkstemp(prefix=f"{base.name}.", suffix=".yaml")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(base.text)
    return Path(name)


def _let_edit(connection: Connection, base: Base, file: Path) -> None:
    """Open the editor, again for as long as the text has problems and the operator wants to fix them."""
    while True:
        click.edit(filename=str(file))
        try:
            read_valid_profile(connection, base.name, file)
        except ProfilesInvalid as error:
            for problem in error.problems:
                note(str(problem))
            if click.confirm("Edit again?", default=True, err=True):
                continue
        return


def _show_difference(base: Base, edited: ProfileText) -> bool:
    """Show on standard error what the edit means, however it is written. Returns whether it means anything."""
    after = canonical(base.name, edited.document).splitlines()
    lines = list(difflib.unified_diff(base.text.splitlines(), after, "now", "edited", lineterm=""))
    for line in lines:
        note(line)
    return bool(lines)


def _put(connection: Connection, base: Base, text: ProfileText, how: How, warm: Warmed) -> int:
    path, (beside, patience) = f"/profiles/{path_step(base.name)}", warm
    try:
        change = PendingChange(
            "PUT",
            path,
            text.document,
            if_match=base.etag,
            options_in_query=True,
            beside=beside,
            patience=patience,
        )
        return carry_out(connection, change, how)
    except Refused as error:
        if error.code == "revision_conflict":
            _show_what_came_between(connection, base)
        raise


def _show_what_came_between(connection: Connection, base: Base) -> None:
    note("Somebody else committed since you began:")
    for entry in connection.get("/audit", after=base.revision).document["entries"][::-1]:
        note(f"  {entry_line(entry)}")
    now = _read_base(connection, base.name, may_be_new=True)
    theirs = difflib.unified_diff(base.text.splitlines(), now.text.splitlines(), "then", "now", lineterm="")
    for line in theirs:
        note(f"  {clean(line)}")
