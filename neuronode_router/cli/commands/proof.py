"""`neuronode profile validate` and `matrix`: are the profiles right, and do their groups answer?

It must not know how a probe is made or judged: the proxy does both.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from neuronode_router.cli.answers import NotOffered, read_answer
from neuronode_router.cli.http import Connection, checked, problem_of, refusal
from neuronode_router.cli.names import group_names, profile_names, task_names
from neuronode_router.cli.options import PATH, Number, json_option, online
from neuronode_router.cli.profile.text import read_valid_profile
from neuronode_router.cli.terminal import answer, clean, moment, note, problem, table
from neuronode_router.errors import Problem, ProfilesInvalid

WORDS = {
    "green": "ok",
    "red": "FAILS",
    "not_loaded": "not loaded",
    "too_old": "too old",
    "unknown": "not proven",
}
"""How a cell's state is shown."""


@click.command("validate")
@click.argument("file", required=False, type=PATH)
@click.option("--live", is_flag=True, help="Ask every model group for real. It may cost a little.")
@click.option(
    "--profile",
    multiple=True,
    shell_complete=profile_names,
    help="With --live: only this profile; may be repeated.",
)
@click.option(
    "--task", multiple=True, shell_complete=task_names, help="With --live: only this task; may be repeated."
)
@click.option(
    "--group",
    multiple=True,
    shell_complete=group_names,
    help="With --live: only this model group, also where no profile names it yet; may be repeated.",
)
@click.option("--wake", is_flag=True, help="With --live: also ask what must be loaded into memory first.")
@click.option("--max-cost", type=Number(0), help="With --live: US dollars after which no probe begins.")
@click.option("--max-seconds", type=Number(0, min_open=True), help="With --live: how long it may take.")
@json_option
@online
def validate(connection: Connection, file: Path | None, *, live: bool, as_json: bool, **given: Any) -> None:
    """Check the proxy's profile files.

    With FILE that one is checked instead, as if it were one of them. With --live every group is asked with a small
    real request, as each of its tasks needs it. No profile is changed. Exit code 1 when there are problems, or a
    group fails.
    """
    if not live and any(given.values()):
        raise click.UsageError("Only --live takes these options.")
    if live and file is not None:
        raise click.UsageError("Only profiles that are in force can be asked: leave out --live or FILE.")
    if live:
        given |= {"wake": given["wake"] or None, "max_cost_usd": given.pop("max_cost")}
        _prove(connection, {"live": True, **given}, as_json=as_json)
    else:
        _check(connection, file, as_json=as_json)


def _check(connection: Connection, file: Path | None, *, as_json: bool) -> None:
    problems = checked(connection, None) if file is None else _wrong_with(connection, file)
    verdict = {"valid": not problems, "problems": [asdict(problem) for problem in problems]}
    answer(verdict, lambda: _problems(problems), as_json=as_json)
    sys.exit(1 if problems else 0)


def _wrong_with(connection: Connection, file: Path) -> Sequence[Problem]:
    try:
        read_valid_profile(connection, file.stem, file)
    except ProfilesInvalid as error:
        return error.problems
    return ()


def _problems(problems: Sequence[Problem]) -> list[Table | str]:
    return [*map(clean, problems), f"{len(problems)} problems." if problems else "Valid."]


def _prove(connection: Connection, params: Mapping[str, object], *, as_json: bool) -> None:
    verdict = _told(connection, params)
    problems = [problem_of(place) for place in verdict["problems"]]
    answer(verdict, lambda: [*_problems(problems), *_shown(verdict["live"])], as_json=as_json)
    sys.exit(0 if verdict["valid"] else 1)


def _told(connection: Connection, params: Mapping[str, object]) -> dict[str, Any]:
    """Say on standard error what each probe finds, and return the outcome."""
    for sent in connection.stream("POST", "/proof/validate", params=params):
        if sent is None:
            continue
        document = read_answer(sent.data)
        if sent.event == "problem":
            raise refusal(document["status"], document)
        if sent.event == "result":
            return document
        state = WORDS.get(document["state"], document["state"])
        why = f" ({document['why']})" if document["state"] == "red" else ""
        note(
            f"{document['done']}/{document['wanted']} {document['group']} ({document['shape']}): {state}{why}"
        )
    raise NotOffered("The proxy ended the run without an outcome.")


def _shown(run: Mapping[str, Any]) -> list[Table | str]:
    stopped = f"; stopped by the cap on {run['stopped']}" if run["stopped"] else ""
    cost = f"{run['cost_usd']:.4f} USD" if run["cost_usd"] else "nothing that has a price"
    return ["", _table(run["cells"]), "", f"{run['done']} of {run['wanted']} probes, {cost}{stopped}."]


@click.command("matrix")
@json_option
@online
def matrix(connection: Connection, *, as_json: bool) -> None:
    """Show for every profile and task whether its group was proven to answer. Nobody is asked.

    Exit code 1 when a cell is red.
    """
    found = connection.get("/proof/matrix").document
    answer(found, lambda: [_table(found["cells"]), "", *_reds(found["cells"])], as_json=as_json)
    sys.exit(1 if any(cell["state"] == "red" for cell in found["cells"]) else 0)


def _table(cells: Sequence[Mapping[str, Any]]) -> Table:
    """Return tasks below each other and profiles beside each other."""
    profiles = dict.fromkeys(cell["profile"] for cell in cells)
    tasks = dict.fromkeys(cell["task"] for cell in cells)
    shown = {(cell["profile"], cell["task"]): WORDS.get(cell["state"], cell["state"]) for cell in cells}
    rows = ([task, *(shown.get((profile, task)) for profile in profiles)] for task in tasks)
    return table(("task", *map(clean, profiles)), rows)


def _reds(cells: Sequence[Mapping[str, Any]]) -> list[Text]:
    return [
        problem(
            f"{cell['profile']}.{cell['task']}: {cell['group']} {cell['why']}, {moment(cell['checked_at'])}"
        )
        for cell in cells
        if cell["state"] == "red"
    ]
