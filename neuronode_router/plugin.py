"""What LiteLLM loads: `LITELLM_WORKER_STARTUP_HOOKS=neuronode_router.plugin:start` in each worker.

The only module that knows both the plugin and the admin API. LiteLLM may execute this very file several times
(it does so for dotted paths beside its configuration), so it holds no state: that is in
`litellm_plugin.process`.
"""

from __future__ import annotations

import gc

from fastapi import FastAPI

# What LiteLLM has imported stays. Else every full collection during our own imports looks at all of it: half a second.
gc.freeze()

from admin_api.host import AdminHost, RoutingParts  # noqa: E402
from admin_api.router import build_router, build_task_router  # noqa: E402
from neuronode_router.litellm_plugin import releases, seams  # noqa: E402
from neuronode_router.litellm_plugin.seams import Part  # noqa: E402

# Both before the modules that import LiteLLM: of a release that lacks what they need an ImportError says nothing.
releases.check_version(releases.installed_version())
with seams.named_if_missing():
    from neuronode_router.litellm_plugin import process, short_way

authenticate = process.authenticate
"""LiteLLM's `general_settings.custom_auth` for a proxy without a database: the master key and the access
file.
"""


def start() -> None:
    """Mount the admin routes and the task API, register the callback and begin to follow the control state.

    Runs in each worker's event loop before LiteLLM reads its configuration. Raises `HostError` or
    `SettingsError`, which stop the worker with a clear text; nothing that happens later does.
    """
    process.start(_mount)


def _mount(app: FastAPI) -> None:
    short_way.mount(app, [*build_router(_admin_host).routes, *build_task_router(_admin_host).routes])


def _admin_host() -> AdminHost:
    runtime = process.runtime()
    return AdminHost(
        manager=runtime.control.manager,
        worker=runtime.control.worker,
        authenticate=runtime.identity.authenticate,
        opened=runtime.admission.opened,
        status=runtime.says.status,
        readiness=runtime.says.readiness,
        startup=runtime.says.startup,
        write_limit=runtime.settings.write_limit,
        access_file=runtime.access,
        knows_key=runtime.identity.knows,
        sign_in=None if Part.UI_SIGN_IN in runtime.off else runtime.ui_sessions.sign_in,
        frame_origin=runtime.settings.ui_frame_origin,
        tasks=runtime.tasks,
        router=RoutingParts(
            monitor=runtime.health.monitor,
            statistics=runtime.health.statistics,
            auto=runtime.auto,
            snapshot=lambda: runtime.current.snapshot,
        ),
        usage=runtime.usage.service,
        metrics=runtime.metering,
        proof=None if Part.PROOF in runtime.off else runtime.proof,
        rollouts=runtime.rollout.rollouts,
        answers=runtime.rollout.outcomes,
        policies=runtime.policy.policies,
        shadows=runtime.shadow.shadows,
        agents=runtime.settings.mcp,
        feedback=runtime.learning if runtime.learning.recorder else None,
    )
