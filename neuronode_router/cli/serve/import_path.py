"""A start-up hook for LiteLLM's workers: modules beside the operator's configuration stay importable.

LiteLLM looks for callbacks and the like beside the file it was started with, and `serve` starts it with a derived
file that lies elsewhere. It must not import anything heavy.
"""

from __future__ import annotations

import sys

from neuronode_router.settings import Settings

EXTEND_HOOK = f"{__name__}:extend"
"""The entry for `LITELLM_WORKER_STARTUP_HOOKS`."""


def extend() -> None:
    """Put the folder of the operator's configuration at the end of the import path. Raises `SettingsError`."""
    folder = str(Settings.load().config.parent)
    if folder not in sys.path:
        sys.path.append(folder)
