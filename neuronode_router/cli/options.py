"""The options that several commands share, and the settings they lead to.

It must not know what a command does with them, nor import anything heavy.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from neuronode_router.settings import Settings


class Number(click.FloatRange):
    """A number within bounds. NaN is within all of them, and JSON has neither that nor an infinite one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Raises `click.BadParameter`."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is no number.", param, ctx)
        return found


DEFAULT_URL = "http://127.0.0.1:4000"

PATH = click.Path(path_type=Path)
config_option = click.option("--config", type=PATH, help="The LiteLLM configuration.")
state_dir_option = click.option("--state-dir", type=PATH, help="Where state and the master key are kept.")
profiles_option = click.option("--profiles", type=PATH, help="The directory of the profile files.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
reason_option = click.option("--reason", default="", help="Why, for the audit log.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
force_option = click.option(
    "--force", is_flag=True, help="Also onto a profile that is not proven to answer; audited."
)
wait_option = click.option(
    "--wait",
    default="all",
    show_default=True,
    type=click.Choice(["all", "one", "none"]),
    help="Whose acknowledgements to wait for.",
)
url_option = click.option(
    "--url", envvar="LITELLM_BASE_URL", default=DEFAULT_URL, show_default=True, help="The proxy's address."
)


WARM_SECONDS = 120.0
"""How long local models may take where nobody says it. A proxy may be set otherwise, and then is told this."""


def warm_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--warm`, `--warm-timeout` and `--pull`, which `consent.warmed` takes."""
    for option in (
        click.option("--pull", is_flag=True, help="Fetch the models that an Ollama does not have."),
        click.option(
            "--warm-timeout",
            type=Number(0, 3600, min_open=True),
            help="Seconds that Ollama models may take. Default: the proxy's setting; 120 with --warm wait.",
        ),
        click.option(
            "--warm",
            type=click.Choice(["wait", "background", "off"]),
            help="Wait until Ollama models are in memory, load them afterwards, or not. Default: the proxy's setting.",
        ),
    ):
        function = option(function)
    return function


def settings_with(paths: Mapping[str, Path | None]) -> Settings:
    """Return the settings, with flags going before the environment. Raises `SettingsError`."""
    from neuronode_router.settings import Settings, process_environment, variable

    flags = {variable(name): str(path) for name, path in paths.items() if path is not None}
    return Settings.load({**process_environment(), **flags})


def change_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command what `consent.How` holds: `--yes`, `--dry-run`, `--reason`, `--wait` and `--json`."""
    for option in (json_option, wait_option, reason_option, dry_run_option, yes_option):
        function = option(function)
    return function


def online(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--url`, `--state-dir` and, as its first argument, a connection that is closed at its end.

    A group of which a subcommand was asked for does nothing.
    """

    @url_option
    @state_dir_option
    @functools.wraps(function)
    def connected(*args: Any, url: str, state_dir: Path | None, **kwargs: Any) -> None:
        if leaves_to_subcommand(click.get_current_context()):
            return
        from neuronode_router.cli.http import connect

        with connect(url, state_dir) as connection:
            function(connection, *args, **kwargs)

    return connected


def leaves_to_subcommand(context: click.Context) -> bool:
    """Return whether a group that also does something by itself was asked for a subcommand.

    Raises `click.UsageError` for options before it, which it would not hear of.
    """
    if context.invoked_subcommand is None:
        return False
    for parameter in context.command.params:
        name = parameter.name or ""
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = parameter.opts[0]
            command = f"{context.command_path} {context.invoked_subcommand} {option} ..."
            raise click.UsageError(f"Write {option} after the command: {command}")
    return True
