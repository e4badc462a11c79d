"""What a running proxy says of itself that an operator should look at.

It must not change anything there, nor ask a model group anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from neuronode_router.cli.doctor.finding import Finding, names
from neuronode_router.cli.http import Connection, problem_of
from neuronode_router.errors import CompromisedLiteLLM, NeuronodeError, UnsupportedLiteLLM
from neuronode_router.litellm_plugin.releases import check_version

Status = Mapping[str, Any]


def examine(connecting: AbstractContextManager[Connection]) -> Iterator[Finding]:
    """Yield everything that is wrong with a running proxy, or with reaching it. Errors of ours become findings."""
    try:
        with connecting as connection:
            yield from _without_key(connection)
            status = connection.get("/profiles/status").document
            for check in (in_force, own_words, workers, host):
                yield from check(status)
    except NeuronodeError as error:
        yield Finding("problem", error.code, "proxy", error.message, error.fix)


def _without_key(connection: Connection) -> Iterator[Finding]:
    status = connection.status_without_key("/v1/models")
    if status < 400:
        message = "The proxy serves requests without a key."
        yield Finding("problem", "open_proxy", "proxy", message, "Start it with LITELLM_MASTER_KEY set.")
    elif status >= 500:
        message = f"A request without a key is answered with {status} where 401 belongs."
        fix = "Install the package `prisma` beside LiteLLM; it needs no database."
        yield Finding("advice", "no_prisma", "proxy", message, fix)


def in_force(status: Status) -> Iterator[Finding]:
    """Whether anything was ever committed."""
    if not status["ready"]:
        message = "No valid set of profiles was ever committed."
        yield Finding(
            "problem", "not_ready", "proxy", message, "Fix the problems below, then reload the profiles."
        )


def own_words(status: Status) -> Iterator[Finding]:
    """The problems and warnings that the proxy itself shows."""
    for place in status["problems"] or ():
        problem = problem_of(place)
        where = ":".join(filter(None, (problem.file, str(problem.line or ""), problem.path)))
        yield Finding("problem", problem.code, where or "proxy", problem.message, problem.fix)
    for text in status["warnings"] or ():
        yield Finding("advice", "warning", "proxy", text, "See docs/operations.md.")
    if groups := status["embedded_groups"]:
        message = "These groups are answered by the built-in tiny model."
        yield Finding(
            "advice", "embedded_groups", names(groups), message, "Configure their providers and restart."
        )


def workers(status: Status) -> Iterator[Finding]:
    """Whether all workers serve the same thing in the same way."""
    live = [worker for worker in status["workers"] or () if worker["live"]]
    if status["converged"] is False:
        late = [f"{w['host']}:{w['pid']}" for w in live if w["revision"] != status["revision"]]
        message = f"These workers do not serve revision {status['revision']}."
        details = "; ".join(sorted({w["detail"] for w in live if w["detail"]}))
        yield Finding(
            "problem", "workers_lag", names(late), message, details or "Look into their log; restart them."
        )
    if len(versions := {worker["version"] for worker in live}) > 1:
        message = f"Workers run different versions of the plugin: {names(versions)}."
        yield Finding("advice", "versions_differ", "workers", message, "Finish the upgrade.")
    hosts = {worker["host"] for worker in live}
    if len(hosts) > 1 and not all("redis" in str(worker["report"].get("wake", "")) for worker in live):
        message = "There are several hosts, and not every worker is woken through Redis."
        fix = "Set NEURONODE_REDIS_URL on every host."
        yield Finding("advice", "no_wake_up", names(hosts), message, fix)
    if any(worker["report"].get("drifts") for worker in live):
        message = "Something other than a switch rewrote LiteLLM's alias map; the plugin put it back."
        fix = "Look for model_group_alias in the configuration, with store_model_in_db, and for saves in LiteLLM's UI."
        yield Finding("advice", "alias_drift", "workers", message, fix)
    if any(worker["report"].get("failures") for worker in live):
        message = "The plugin failed on some requests, which LiteLLM then served as it would alone."
        yield Finding("problem", "admission_failures", "workers", message, "Look into the proxy's log.")


def host(status: Status) -> Iterator[Finding]:
    """The release of LiteLLM that the proxy runs."""
    version = (status["host"] or {}).get("litellm")
    try:
        if version:
            check_version(str(version))
    except (CompromisedLiteLLM, UnsupportedLiteLLM) as error:
        yield Finding("problem", error.code, "proxy", error.message, error.fix)
