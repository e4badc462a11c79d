"""The one worker this process is: starts its Runtime once, however often LiteLLM loads the entry module.

It holds the only mutable state of the plugin that outlives a call.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from neuronode_router.errors import AdminClosed, NotReady
from neuronode_router.litellm_plugin import amending, outgoing, releases, seams
from neuronode_router.litellm_plugin.auth import door
from neuronode_router.litellm_plugin.auth.identity import access_file_auth
from neuronode_router.litellm_plugin.runtime import Runtime
from neuronode_router.litellm_plugin.seams import Part
from neuronode_router.settings import Settings, process_environment

logger = logging.getLogger(__name__)

RETIRE_SECONDS = 5.0
"""How long a worker that ends may take to say so and to carry away what it has counted."""

PROXY_MODULE = "litellm.proxy.proxy_server"

_runtime: Runtime | None = None
_life: asyncio.Task[None] | None = None


def start(mount: Callable[[FastAPI], None]) -> None:
    """Build this worker's Runtime, mount the routes and begin to follow; a second call does nothing.

    Raises `CompromisedLiteLLM`, `UnsupportedLiteLLM` or `SettingsError`.
    """
    global _runtime, _life
    if _runtime is not None:
        return
    proxy = sys.modules[PROXY_MODULE]
    version = releases.installed_version()
    releases.check_version(version)
    off = seams.lacking()
    _runtime = Runtime(proxy=proxy, settings=_settings(), host_version=version, off=off)
    _runtime.callbacks.hold()
    mount(proxy.app)
    door.guard(proxy.app, _runtime.admission, _runtime.naming, _runtime.spending)
    if Part.OUTGOING not in off:
        outgoing.watch(proxy.app, _runtime.admission.failures)
    if Part.LISTING not in off:
        amending.amend_answers(proxy.app, _runtime.amendments, _runtime.admission.failures)
    gc.enable()  # `neuronode serve` keeps it off until here
    _life = asyncio.get_running_loop().create_task(_runtime.run(), name="neuronode")
    _life.add_done_callback(_report_end)
    if Part.RETIRING not in off:
        _retire_at_shutdown(proxy, _life)


def runtime() -> Runtime:
    """Return this worker's Runtime. Raises `NotReady` before the start and `AdminClosed` without a master
    key.
    """
    if _runtime is None:
        raise NotReady("The plugin has not been started in this worker.")
    if not sys.modules[PROXY_MODULE].master_key:
        raise AdminClosed("The proxy runs without a master key, so the admin routes are closed.")
    return _runtime


authenticate = access_file_auth(
    access=lambda: _runtime.access if _runtime else None,
    master_key=lambda: sys.modules[PROXY_MODULE].master_key,
)


def _settings() -> Settings:
    environ = process_environment()
    return Settings.load(environ, config=_config_file(environ))


def _config_file(environ: Mapping[str, str]) -> Path | None:
    """Return the file LiteLLM will read: at this point only the environment of the worker says which."""
    if "CONFIG_FILE_PATH" in environ:
        return Path(environ["CONFIG_FILE_PATH"])
    given = environ.get("WORKER_CONFIG", "")
    try:
        path = json.loads(given)["config"]
    except (ValueError, KeyError, TypeError):
        path = given
    return Path(path) if path else None


def _retire_at_shutdown(proxy: Any, life: asyncio.Task[None]) -> None:
    """Have this worker retire before LiteLLM closes what it has.

    Later nothing runs any more: when the server has shut down it raises the signal again that ended it, which ends the
    process at once.
    """
    theirs = proxy.proxy_shutdown_event

    async def ended(**said: object) -> None:
        life.cancel()
        await asyncio.wait({life}, timeout=RETIRE_SECONDS)
        await theirs(**said)

    proxy.proxy_shutdown_event = ended


def _report_end(life: asyncio.Task[None]) -> None:
    if not life.cancelled() and (error := life.exception()) is not None:
        logger.error("neuronode: this worker no longer follows the control state", exc_info=error)
