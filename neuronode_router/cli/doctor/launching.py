"""Traps in how LiteLLM is launched: the Python, the release, the environment, the number of workers and hosts.

It must not know what the configuration says.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator

from packaging.version import Version

from neuronode_router.cli.doctor.finding import Finding, Subject, is_on
from neuronode_router.cli.serve.litellm_start import HOOKS_VARIABLE, PLUGIN_HOOK, WORKER_HEALTH_SECONDS
from neuronode_router.errors import CompromisedLiteLLM, UnsupportedLiteLLM
from neuronode_router.litellm_plugin.releases import check_version, installed_version

FIRST_SOUND_PYTHON = Version("3.11.8")
ADDRESSES = ("DATABASE_URL", "DIRECT_URL")
"""Variables with which LiteLLM does not start when they are set to nothing."""


def python_version(subject: Subject) -> Iterator[Finding]:
    """Old releases of CPython 3.11 crash now and then under load."""
    if Version(platform.python_version().rstrip("+")) < FIRST_SOUND_PYTHON:
        yield Finding(
            "advice",
            "old_python",
            platform.python_version(),
            "Workers have crashed inside this Python under load, a few times a day.",
            "Use Python 3.12 or later: PYTHON=python3.13 scripts/install.",
        )


def litellm_release(subject: Subject) -> Iterator[Finding]:
    """The release beside this Python: malicious ones exist."""
    try:
        check_version(installed_version())
    except (CompromisedLiteLLM, UnsupportedLiteLLM) as error:
        yield Finding("problem", error.code, "litellm", error.message, error.fix)


def bytecode(subject: Subject) -> Iterator[Finding]:
    """Without cached bytecode every worker compiles LiteLLM anew."""
    for launch in subject.launches:
        if launch.environ.get("PYTHONDONTWRITEBYTECODE"):
            yield Finding(
                "advice",
                "no_bytecode",
                f"{launch.name}: PYTHONDONTWRITEBYTECODE",
                "Every worker compiles LiteLLM anew at its start, and LiteLLM a failing import at every request.",
                "Unset it.",
            )


def empty_address(subject: Subject) -> Iterator[Finding]:
    """LiteLLM takes a variable that is set to nothing for the address of a database."""
    for launch in subject.launches:
        for name in ADDRESSES:
            if launch.environ.get(name) == "":
                yield Finding(
                    "problem" if launch.image else "advice",
                    "empty_address",
                    f"{launch.name}: {name}",
                    "LiteLLM does not start with it; only `neuronode serve` and our image leave out what is empty.",
                    "Take the line out, or give it a value.",
                )


def workers_killed(subject: Subject) -> Iterator[Finding]:
    """Uvicorn takes a worker that is still importing for dead."""
    for launch in subject.launches:
        patient = launch.option("--timeout_worker_healthcheck") or launch.environ.get(
            "TIMEOUT_WORKER_HEALTHCHECK"
        )
        other_server = any(
            word in launch.command for word in ("--run_gunicorn", "--run_granian", "--run_hypercorn")
        )
        if launch.workers > 1 and not patient and not other_server:
            yield Finding(
                "problem",
                "workers_killed",
                f"{launch.name}: --num_workers {launch.workers}",
                "Workers are killed again and again while they import LiteLLM, which takes longer than 5 s.",
                f"Add --timeout_worker_healthcheck {WORKER_HEALTH_SECONDS}.",
            )


def plugin_missing(subject: Subject) -> Iterator[Finding]:
    """A service that runs LiteLLM without the plugin's hook."""
    for launch in subject.services:
        if PLUGIN_HOOK not in launch.environ.get(HOOKS_VARIABLE, ""):
            yield Finding(
                "problem",
                "plugin_missing",
                f"{launch.name}: {HOOKS_VARIABLE}",
                "This service runs LiteLLM without the plugin.",
                f"Set {HOOKS_VARIABLE}={PLUGIN_HOOK} there.",
            )


def workers_apart(subject: Subject) -> Iterator[Finding]:
    """Several workers share what they measure only through Redis."""
    for launch in subject.launches:
        if launch.workers > 1 and not launch.environ.get("NEURONODE_REDIS_URL"):
            yield Finding(
                "advice",
                "workers_apart",
                f"{launch.name}: NEURONODE_REDIS_URL",
                f"{launch.workers} workers each measure latency and load for themselves.",
                "Set NEURONODE_REDIS_URL so that they share it.",
            )


def hosts_apart(subject: Subject) -> Iterator[Finding]:
    """A file cannot be shared by hosts, and without Redis nobody wakes them."""
    settings = subject.settings
    in_a_file = settings.state_url.startswith("sqlite")
    if in_a_file and "KUBERNETES_SERVICE_HOST" in subject.environ:
        yield Finding(
            "advice",
            "hosts_apart",
            "NEURONODE_STATE_URL",
            "The state is a file of this pod: every replica has its own, and a switch reaches one of them.",
            "Set NEURONODE_STATE_URL=postgresql://... for more than one replica.",
        )
    if not in_a_file and not settings.redis_url:
        yield Finding(
            "advice",
            "no_wake_up",
            "NEURONODE_REDIS_URL",
            f"Other hosts notice a switch only when they look, every {settings.poll_seconds} s.",
            "Set NEURONODE_REDIS_URL to wake them within milliseconds.",
        )


def price_map(subject: Subject) -> Iterator[Finding]:
    """LiteLLM fetches prices from the internet at every start."""
    for launch in subject.services:
        if not is_on(launch.environ.get("LITELLM_LOCAL_MODEL_COST_MAP")):
            yield Finding(
                "advice",
                "prices_fetched",
                f"{launch.name}: LITELLM_LOCAL_MODEL_COST_MAP",
                "Every start asks GitHub for prices, and waits for it where there is no internet.",
                "Set LITELLM_LOCAL_MODEL_COST_MAP=True.",
            )


def admin_prefix(subject: Subject) -> Iterator[Finding]:
    """LiteLLM has an option that takes the addresses of the admin API."""
    for launch in subject.launches:
        if is_on(launch.environ.get("LITELLM_ENABLE_ADMIN_MCP")):
            yield Finding(
                "advice",
                "admin_prefix_taken",
                f"{launch.name}: LITELLM_ENABLE_ADMIN_MCP",
                "LiteLLM takes every address below /admin for itself.",
                "Use /neuronode instead of /admin; this command does.",
            )


CHECKS = (
    python_version,
    litellm_release,
    bytecode,
    empty_address,
    workers_killed,
    plugin_missing,
    workers_apart,
    hosts_apart,
    price_map,
    admin_prefix,
)
