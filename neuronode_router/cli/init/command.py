"""`neuronode init`: reads a configuration, shows what it proposes and why, and writes it after consent.

It must not change anything that exists.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from neuronode_router.cli.compose import FILES_VARIABLE
from neuronode_router.cli.consent import require_consent
from neuronode_router.cli.effective import deployments_of
from neuronode_router.cli.init.files import ENV_FILE, NewFile, new_files
from neuronode_router.cli.init.groups import Group, litellm_prices, text_groups
from neuronode_router.cli.init.override import Composed, composed
from neuronode_router.cli.init.proposal import Names, names_in_use, propose
from neuronode_router.cli.options import (
    config_option,
    json_option,
    profiles_option,
    settings_with,
    yes_option,
)
from neuronode_router.cli.terminal import Part, clean, note, print_json, show, table
from neuronode_router.domain.names import TASK_ALIASES
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.errors import ProfilesInvalid, SettingsError
from neuronode_router.profiles.configuration import read_config
from neuronode_router.profiles.files import ProfileFiles
from neuronode_router.settings import process_environment

ENGINES = ("docker", "podman")
"""What can run a compose file."""

Documents = Mapping[str, Mapping[str, Any]]


@click.command("init")
@click.option("--dry-run", is_flag=True, help="Show what would be written; write nothing.")
@yes_option
@config_option
@profiles_option
@json_option
def command(*, dry_run: bool, yes: bool, as_json: bool, **paths: Path | None) -> None:
    """Add the plugin to a LiteLLM set-up that you have.

    Proposes the five profiles from your model groups and writes them, an environment file and, beside a compose file,
    its override. Your configuration and everything else that exists is left as it is.
    """
    settings = settings_with(paths)
    config = read_config(settings.config)
    deployments = deployments_of(config)
    groups, unused = text_groups(deployments, litellm_prices())
    if not groups:
        fix = "Add a deployment of a chat model to its model_list."
        raise SettingsError(f"{settings.config} has no model group that answers with text.", fix=fix)
    known = {str(deployment["model_name"]) for deployment in deployments}
    names = names_in_use(config, groups, known)
    documents = propose(groups, names)
    environ = process_environment()
    directory = settings.config.parent
    found = composed(directory, settings.profiles, environ)
    files = new_files(directory, settings.profiles, documents, environ) + list(found.files if found else ())
    _require_valid(files, settings.profiles, known)
    new = [file for file in files if not file.exists]
    plan = [*_plan(groups, unused, names, documents, files), *(found.told if found else ())]
    if dry_run:
        _print_json(groups, documents, files, new) if as_json else show(*plan)
        return
    if not yes:
        show(*plan, err=True)
        if new:
            require_consent(f"Write {len(new)} new files?")
    for file in new:
        file.write()
    _print_json(groups, documents, files, new) if as_json else show(*(str(file.path) for file in new))
    given = "".join(f" --{name} {shlex.quote(str(path))}" for name, path in paths.items() if path)
    _say_what_next(settings.config, given, found)


def _require_valid(files: Sequence[NewFile], profiles: Path, groups: set[str]) -> None:
    """Raise `ProfilesInvalid` where the proposal itself would be refused, such as a group that no header can hold."""
    with tempfile.TemporaryDirectory() as place:
        for file in files:
            if file.path.parent == profiles:
                (Path(place) / file.path.name).write_text(file.text, encoding="utf-8")
        if problems := ProfileFiles(Path(place)).check(HostFacts(groups=frozenset(groups))):
            raise ProfilesInvalid(problems)


def _plan(
    groups: Sequence[Group],
    unused: Mapping[str, str],
    names: Names,
    documents: Documents,
    files: Sequence[NewFile],
) -> list[Part]:
    rows = ((g.name, g.tier.value, g.tier_why, f"{g.price:g}", g.price_why, g.vendor) for g in groups)
    tasks = (
        (task, *(document["tasks"][task] for document in documents.values()))
        for task in TASK_ALIASES
        if task not in names.taken
    )
    states = ((file.path, "exists, is left as it is" if file.exists else "new") for file in files)
    return [
        "Your model groups:",
        table(("group", "tier", "because", ">price", "because", "vendor"), rows),
        *(f"Not used: {clean(name)}, {clean(why)}." for name, why in unused.items()),
        "",
        "The profiles:",
        table(("task", *documents), tasks),
        *_told(names),
        "",
        "Files:",
        table(("file", "state"), states),
    ]


def _told(names: Names) -> Iterator[str]:
    for task in TASK_ALIASES:
        if task in names.taken:
            yield f"Left out: {task}, a model group of yours has this name and goes on answering to it."
        elif task in names.kept:
            target = clean(names.kept[task])
            yield f"Kept: {task} leads to {target} in every profile, as your alias does. Change it to have it switched."
        elif task in names.other:
            yield (
                f"Changed: {task} leads to {clean(names.other[task])} by your alias, which no profile can name. "
                "From the first switch on it is the profile's."
            )


def _print_json(
    groups: Sequence[Group], documents: Documents, files: Sequence[NewFile], new: Sequence[NewFile]
) -> None:
    print_json(
        {
            "groups": [asdict(group) for group in groups],
            "profiles": documents,
            "files": [{"path": str(file.path), "new": file in new, "text": file.text} for file in files],
        }
    )


def _say_what_next(config: Path, given: str, found: Composed | None) -> None:
    for sentence in found.told if found else ():
        note(sentence)
    note(f"{config.name} is as it was. Next:")
    if found and found.named:
        note(f"  echo {shlex.quote(f'{FILES_VARIABLE}={os.pathsep.join(found.named)}')} >> .env")
        note(f"  {'':<40}compose would not read {found.named[-1]} by itself")
    note(f"  {f'neuronode doctor{given}':<40}what else your set-up should have")
    engine = next((name for name in ENGINES if shutil.which(name)), None)
    if found and engine:
        note(f"  {f'{engine} compose up --build':<40}with the override, or:")
    note(f"  set -a; . ./{ENV_FILE}; set +a; litellm --config {config.name}")
    note("  neuronode profile switch premium        once it runs")
