"""What one worker says of itself: in each heartbeat, on the status page, and whether it is ready.

It decides nothing, and nothing here is on the request path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neuronode_router.access import open_team_rules
from neuronode_router.control.checks import DEAD_MAPPING
from neuronode_router.domain.rollouts import in_use
from neuronode_router.errors import Problem
from neuronode_router.litellm_plugin import releases, seams
from neuronode_router.routing.snapshot import Snapshot
from neuronode_router.version import VERSION

if TYPE_CHECKING:
    from neuronode_router.litellm_plugin.runtime import Runtime


class SelfReport:
    """The reports of a worker, over its parts."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def report(self) -> Mapping[str, Any]:
        """Return what each heartbeat says of this worker: counts and modes, JSON-ready, no secrets."""
        runtime = self._runtime
        return {
            **runtime.control.report(),
            **runtime.conversations.report(runtime.current.snapshot),
            "failures": runtime.admission.failures.total,
            "loop_failures": runtime.failures.total,
            "stalled": list(runtime.failures.stalled()),
            "parts_off": sorted(runtime.off),
            "auto_routing": runtime.auto.mode,
            "statistics": runtime.health.statistics.mode,
            **runtime.router_hooks.report(),
            **runtime.policy.report(),
            **runtime.warm.warming.report(),
            **runtime.shadow.report(),
            "routing_log_dropped": runtime.routing_log.dropped if runtime.routing_log else 0,
            "history_dropped": runtime.learning.recorder.dropped if runtime.learning.recorder else 0,
            **runtime.usage.status(),
        }

    def status(self) -> Mapping[str, Any]:
        """Return what this worker adds to the status page, JSON-ready, no secrets."""
        runtime = self._runtime
        access = runtime.access
        warnings = [
            releases.warning_about(runtime.host_version),
            *runtime.learns.warnings(),
            runtime.control.renderer.warning,
            *(access.warnings if access else ()),
            self._tag_warning(),
            self._team_warning(),
        ]
        return {
            "embedded_groups": list(runtime.deployments.embedded_groups()),
            "problems": [
                *runtime.control.problems(),
                *(access.problems if access else ()),
                *runtime.health.monitor.problems(),
                *runtime.templates.problems,
                *runtime.usage.problems(),
                *runtime.rollout.problems(),
                *runtime.policy.problems(),
                *self._open_team_rules(),
                *self._own_problems(),
            ],
            "warnings": [warning for warning in warnings if warning],
            "litellm": runtime.host_version,
            "plugin": VERSION,
            "database": "off" if getattr(runtime.proxy, "prisma_client", None) is None else "on",
            "rendering": "on" if runtime.control.renders() else "off",
            **runtime.learns.status(),
            **self.report(),
        }

    def readiness(self) -> Mapping[str, Any]:
        """Return in `problems` the codes of what keeps this worker from serving the control state as it should."""
        runtime = self._runtime
        codes = [problem.code for problem in self._own_problems()]
        snapshot = runtime.current.snapshot
        if snapshot is None:
            codes += self.startup()["problems"]
        elif runtime.control.worker.served.refused is not None:
            codes.append("revision_refused")
        elif not snapshot.decisions:
            codes.append("nothing_served")
        elif _dead_in_use(snapshot):
            codes.append(DEAD_MAPPING)
        return {"problems": sorted(set(codes))}

    def startup(self) -> Mapping[str, Any]:
        """Return in `problems` the codes of why no revision is in force in this worker, none as soon as one is."""
        worker = self._runtime.control.worker
        if self._runtime.current.snapshot is not None:
            return {"problems": []}
        codes = ["not_ready"]
        if worker.store_fault is not None:
            codes.append(worker.store_fault.code)
        elif worker.served.refused is not None:
            codes.append("revision_refused")
        return {"problems": codes}

    def _own_problems(self) -> Sequence[Problem]:
        """Return which parts of this worker are off or stalled."""
        runtime = self._runtime
        return (*runtime.failures.problems(), *seams.problems(runtime.off, runtime.host_version))

    def _open_team_rules(self) -> Sequence[Problem]:
        found = open_team_rules(self._runtime.proxy.general_settings or {})
        return () if found is None else (found,)

    def _tag_warning(self) -> str | None:
        runtime = self._runtime
        if runtime.bridge.filters_by_tag():
            return "Tag routing is on: requests carry no profile and task tags, only spend metadata."
        return None

    def _team_warning(self) -> str | None:
        runtime = self._runtime
        snapshot = runtime.current.snapshot
        hidden = sorted(runtime.deployments.team_names() & snapshot.decisions.keys()) if snapshot else ()
        if not hidden:
            return None
        named = ", ".join(hidden[:5])
        return (
            f"Teams have models of their own under names that profiles answer ({named}). Rename these models."
        )


def _dead_in_use(snapshot: Snapshot) -> bool:
    """Return whether a profile that answers somebody who chose none names a group that LiteLLM has not."""
    names = in_use(snapshot.state.active, snapshot.state.bindings, snapshot.state.canary)
    return any(dead.use.profile in names for dead in snapshot.dead)
