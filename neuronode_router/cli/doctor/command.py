"""`neuronode doctor`: runs the checks and shows what they find.

It must not know any trap.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from neuronode_router.cli.compose import compose_files, litellm_services, project_variables
from neuronode_router.cli.doctor import configuration, deployments, launching, proxy, reaching
from neuronode_router.cli.doctor.finding import Finding, Subject
from neuronode_router.cli.http import connect
from neuronode_router.cli.options import (
    config_option,
    json_option,
    profiles_option,
    settings_with,
    state_dir_option,
    url_option,
)
from neuronode_router.cli.terminal import clean, print_json, problem, show, warning
from neuronode_router.profiles.configuration import read_config
from neuronode_router.settings import Settings, process_environment

ON_PAPER = (*deployments.CHECKS, *configuration.CHECKS, *launching.CHECKS)
"""Checks that need nothing but files and the environment."""


@click.command("doctor")
@click.option("--online", is_flag=True, help="Ask the running proxy too.")
@click.option("--no-reach", is_flag=True, help="Do not try Redis, the database and the backends.")
@config_option
@profiles_option
@state_dir_option
@json_option
@url_option
def command(*, online: bool, no_reach: bool, as_json: bool, url: str, **paths: Path | None) -> None:
    """Look for the known traps, and say how to fix each.

    Exit code 1 when there is a problem; advice alone leaves it 0.
    """
    subject = read_subject(settings_with(paths), process_environment())
    findings = list(examine(subject, reach=not no_reach))
    if online:
        findings += proxy.examine(connect(url, paths["state_dir"]))
    findings.sort(key=lambda finding: finding.level != "problem")
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        print_json({"problems": problems, "findings": [asdict(finding) for finding in findings]})
    else:
        _show(findings, problems)
    sys.exit(1 if problems else 0)


def read_subject(settings: Settings, environ: Mapping[str, str]) -> Subject:
    """Return what is examined. Raises `SettingsError` for a configuration that cannot be read."""
    directory = settings.config.parent
    variables = project_variables(directory, environ)
    services = litellm_services(compose_files(directory, variables), variables)
    named = tuple(replace(service, name=f"service {service.name}") for service in services)
    return Subject(read_config(settings.config), settings, environ, named)


def examine(subject: Subject, *, reach: bool) -> Iterator[Finding]:
    """Yield everything that is wrong with a set-up, without asking a running proxy."""
    for check in (*ON_PAPER, *(reaching.CHECKS if reach else ())):
        yield from check(subject)


def _show(findings: Sequence[Finding], problems: int) -> None:
    for finding in findings:
        headline = f"{finding.code}  {finding.where}"
        show(
            problem(f"Problem  {headline}")
            if finding.level == "problem"
            else warning(f"Advice   {headline}"),
            f"         {clean(finding.message)}",
            f"         Fix: {clean(finding.fix)}",
            "",
        )
    show(f"{problems} problems, {len(findings) - problems} pieces of advice.")
