"""Runs LiteLLM's command in this process, and in each worker that it spawns, without collecting garbage meanwhile.

Importing makes a million objects that stay, and the collector would look at them again and again. The plugin's start
lets it work. It must not import anything heavy: a worker imports this module first.

    python -m neuronode_router.cli.serve.launch [ARGUMENT ...]
"""

from __future__ import annotations

import gc
import sys
from importlib.metadata import entry_points

COMMAND = "litellm"

if __name__ in (
    "__main__",
    "__mp_main__",
):  # a spawned worker imports its parent's main module by the second name
    gc.disable()


def main() -> None:
    """Call the command as its own script would, with the arguments of this process."""
    command = next(iter(entry_points(group="console_scripts", name=COMMAND)))
    sys.argv[0] = COMMAND
    sys.exit(command.load()())


if __name__ == "__main__":
    main()
