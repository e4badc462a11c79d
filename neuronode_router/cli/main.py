"""The `neuronode` command: finds the command that was asked for, prints errors as lines, sets the exit code.

It must not know how anything is done. Exit codes: 0 done, 1 refused, failed or problems found, 2 wrong usage or
settings. A command's module is imported when it is used, not before: `neuronode --help` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import click
from click.shell_completion import CompletionItem

from neuronode_router.cli.lean import without
from neuronode_router.cli.options import leaves_to_subcommand, state_dir_option, url_option
from neuronode_router.cli.streams import give_up_writing, make_fit, refused, require_text
from neuronode_router.errors import NeuronodeError, SettingsError
from neuronode_router.version import VERSION

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "init": ("init.command", "Add the plugin to a LiteLLM set-up that you have."),
        "doctor": ("doctor.command", "Look for the known traps, and say how to fix each."),
        "serve": ("serve.command", "Start LiteLLM with the plugin."),
        "status": ("commands.status", "Show what is in force, in every worker."),
        "top": ("commands.top", "Watch what goes through the proxy now."),
        "profile": ("profile.command", "Show, compare, check and change profiles."),
        "rollout": ("commands.rollout", "Let a share of the requests try a profile, and go on or back."),
        "shadow": ("commands.shadow", "Have a profile answer requests once more, unseen."),
        "policy": ("commands.policy", "See what is active by the clock and by rules, and why."),
        "team": ("commands.team", "Let a team or key have a profile of its own."),
        "usage": ("commands.usage", "Show what was used, and what it cost."),
        "classify": ("commands.classify", "Show what a prompt is taken for, and where it would go."),
        "train": ("commands.train", "Let the classifier learn from your own traffic."),
        "evaluate": ("commands.evaluate", "Compare `auto` on your own log with simple ways to route."),
        "outcomes": ("commands.outcomes", "See what `auto` learned from how requests turned out."),
        "mcp": ("commands.mcp", "Serve tools for agents (Model Context Protocol)."),
        "audit": ("commands.audit", "Look into the audit log."),
        "key": ("commands.key", "Keys for a proxy without a database."),
        "completion": ("commands.completion", "Print the completion script of a shell."),
    }
)
"""Name -> the module of this room whose `command` it is, and what `--help` says of it."""


class LazyGroup(click.Group):
    """A group that imports the module of a command when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, None for a name that is no command."""
        if cmd_name not in COMMANDS:
            return None
        with without("attr"):  # to print objects that nobody prints here
            import rich.pretty  # noqa: F401
        module, _ = COMMANDS[cmd_name]
        command = importlib.import_module(f"neuronode_router.cli.{module}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table into the help, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so, without importing any command."""
        names = [
            CompletionItem(name, help=summary)
            for name, (_, summary) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(VERSION, prog_name="neuronode")
@url_option
@state_dir_option
@click.pass_context
def cli(context: click.Context, *, url: str, state_dir: Path | None) -> None:
    """Runtime control of which model answers behind a LiteLLM proxy.

    Alone it shows the status. Commands that talk to a running proxy find it by LITELLM_BASE_URL and LITELLM_API_KEY.
    """
    if leaves_to_subcommand(context):
        return
    status = context.command.get_command(context, "status")  # type: ignore[attr-defined]
    given = ["--url", url, *(("--state-dir", str(state_dir)) if state_dir else ())]
    with status.make_context("status", given, parent=context) as alone:
        status.invoke(alone)


def main() -> None:
    """Run the command line; errors of ours become one line, or one per problem, on standard error."""
    make_fit()
    try:
        for argument in sys.argv[1:]:
            require_text(argument, f"The argument {argument!r}")
        try:
            cli(prog_name="neuronode")
        except OSError as error:
            raise refused(error) from error
    except NeuronodeError as error:
        from neuronode_router.cli.terminal import error_lines

        with suppress(OSError):
            for line in error_lines(error):
                click.echo(f"neuronode: {line}", err=True)
        give_up_writing()
        sys.exit(2 if isinstance(error, SettingsError) else 1)
