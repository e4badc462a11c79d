"""Ties child processes to their parent, so that even `kill -9` of `serve` leaves nothing behind.

It must not know what the children do. `join` also runs inside LiteLLM's workers, so it imports nothing heavy.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys

from neuronode_router.settings import Settings

JOIN_HOOK = f"{__name__}:join"
"""The entry for `LITELLM_WORKER_STARTUP_HOOKS`."""

_PR_SET_PDEATHSIG = 1
# Loaded here and not between fork and exec, where loading a library may deadlock.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however it ends. Linux only."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def join() -> None:
    """Make this LiteLLM worker part of `serve`; runs before it reads its configuration. Never raises.

    A worker of several is a child of LiteLLM's own supervisor, and is tied to that. Python modules beside
    the operator's configuration (callbacks and the like) stay importable although LiteLLM reads a derived
    file.
    """
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        die_with_parent()
        if os.getppid() != supervisor.pid:  # it died while this process was still importing
            os._exit(1)
    folder = str(Settings.load().config.parent)
    if folder not in sys.path:
        sys.path.append(folder)
