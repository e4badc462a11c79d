"""`neuronode classify`: what a prompt is taken for; asked of a proxy also where it would go.

It must not know how a prompt is classified. Without an address nothing leaves this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from neuronode_router.cli.http import connect, stated
from neuronode_router.cli.names import profile_names, task_names
from neuronode_router.cli.options import json_option, state_dir_option
from neuronode_router.cli.streams import standard_input
from neuronode_router.cli.terminal import clean, facts, print_json, show, table
from neuronode_router.domain.names import AUTO

STANDARD_INPUT = "-"


@click.command("classify")
@click.argument("text")
@click.option(
    "--url",
    envvar="LITELLM_BASE_URL",
    help="Ask this proxy, which also tells where the request would go. Default: classify here.",
)
@click.option(
    "--profile", shell_complete=profile_names, help="Decide under this profile, not the active one."
)
@click.option(
    "--task", shell_complete=task_names, help=f"The name a client would send as `model`. Default: {AUTO}."
)
@state_dir_option
@json_option
def command(
    *,
    text: str,
    url: str | None,
    state_dir: Path | None,
    profile: str | None,
    task: str | None,
    as_json: bool,
) -> None:
    """Show what TEXT is taken for; "-" reads it from standard input. Nothing is sent to a language model."""
    prompt = standard_input() if text == STANDARD_INPUT else text
    if url:
        body = stated({"text": prompt, "profile": profile, "task": task})
        with connect(url, state_dir) as connection:
            answer: Mapping[str, Any] = connection.send("POST", "/router/classify", body).document
    elif profile is not None or task is not None:
        raise click.UsageError("--profile and --task are the proxy's to decide: name it with --url.")
    else:
        answer = {"classification": _classify(prompt), "decision": None}
    if as_json:
        print_json(answer)
    else:
        _show(answer["classification"], answer["decision"])


def _classify(prompt: str) -> dict[str, Any]:
    """Return what the shipped classifier says, with the keys of the admin API's answer."""
    from neuronode_router.classifier import classify

    said = classify(prompt)
    return asdict(said) | {"confident": said.confident}


def _show(said: Mapping[str, Any], decision: Mapping[str, Any] | None) -> None:
    sure = "" if said["confident"] else ", not enough: the profile's `uncertain` tier decides"
    measured = "" if said["calibrated"] else ", by its length alone"
    cues = (cue.partition(": ") for cue in said["evidence"])
    show(
        facts(
            [
                ("task", " ".join(filter(None, (said["task"], said["detail"])))),
                ("tier", said["tier"]),
                ("confidence", f"{said['confidence']:.0%}{measured}{sure}"),
                ("difficulty", f"{said['difficulty']:.2f}"),
                ("found by", said["source"]),
            ]
        )
    )
    if said["evidence"]:
        show("", table(("speaks for", "cue"), ((task, cue) for task, _, cue in cues)))
    if decision is not None:
        show("", facts(_decided(decision)))


def _decided(decision: Mapping[str, Any]) -> list[tuple[str, object]]:
    told: list[tuple[str, object]] = [
        ("profile", decision["profile"]),
        ("group", decision["group"]),
        ("then", ", ".join(decision["ladder"]) or None),
        ("because", ", ".join((decision["reason"], *decision["steps"]))),
    ]
    left_out = [f"{clean(entry['group'])} ({entry['why']})" for entry in decision["left_out"]]
    return [*told, ("left out", ", ".join(left_out))] if left_out else told
