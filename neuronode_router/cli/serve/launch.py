"""Runs LiteLLM's command in this process, and in each worker that it spawns, as it costs least.

Importing makes a million objects that stay, and the collector would look at them again and again: the plugin's start
lets it work. For each request LiteLLM tries to import its enterprise package, and where there is none Python would look
through all folders each time. It must not import anything heavy: a worker imports this module first.

    python -m neuronode_router.cli.serve.launch [ARGUMENT ...]
"""

from __future__ import annotations

import gc
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec

COMMAND = "litellm"
OPTIONAL = "litellm_enterprise"


def prepare() -> None:
    """Collect no garbage for now, and note for good where the optional package is missing."""
    gc.disable()
    if find_spec(OPTIONAL) is None:
        sys.modules[OPTIONAL] = None  # type: ignore[assignment]  # Python's word for what cannot be imported


def main() -> None:
    """Call the command as its own script would, with the arguments of this process."""
    command = next(iter(entry_points(group="console_scripts", name=COMMAND)))
    sys.argv[0] = COMMAND
    sys.exit(command.load()())


if __name__ in ("__main__", "__mp_main__"):  # a worker imports its parent's main module by the second name
    prepare()

if __name__ == "__main__":
    main()
