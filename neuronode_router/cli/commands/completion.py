"""`neuronode completion`: the script that lets a shell complete commands and options.

It must not know the commands: click asks them when the user presses the key.
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

PROGRAM = "neuronode"
VARIABLE = "_NEURONODE_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    For bash: neuronode completion bash > ~/.local/share/bash-completion/completions/neuronode, in a directory that
    `mkdir -p` makes where there is none.
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click brings these three
    click.echo(kind(context.find_root().command, {}, PROGRAM, VARIABLE).source())
