"""Traps in single deployments and model groups.

It must not reach out to anything: only the configuration is looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from neuronode_router.cli.doctor.finding import (
    Finding,
    Subject,
    info_of,
    is_on,
    names,
    params_of,
    runs_on_ollama,
)
from neuronode_router.domain.names import AUTO_NAMES, STABLE_ALIAS_PREFIX, TASK_ALIASES, fits_header
from neuronode_router.profiles.configuration import section

LITELLM_RETRIES = 2
"""What LiteLLM takes when nobody sets `num_retries`."""


def ollama_prefix(subject: Subject) -> Iterator[Finding]:
    """`ollama/` goes to the completion endpoint, which knows neither roles nor tools."""
    for place, deployment in subject.deployments:
        target = str(params_of(deployment).get("model", ""))
        if target.startswith("ollama/") and info_of(deployment).get("mode") != "embedding":
            yield Finding(
                "problem",
                "ollama_prefix",
                f"{place}.litellm_params.model",
                f"{target} uses Ollama's endpoint for plain completions: the chat template and tools are lost.",
                f"Write ollama_chat/{target.removeprefix('ollama/')}.",
            )


def ollama_without_address(subject: Subject) -> Iterator[Finding]:
    """Without `api_base` every worker of LiteLLM starts an Ollama of its own."""
    for place, deployment in subject.deployments:
        params = params_of(deployment)
        if "ollama" in str(params.get("model", "")) and not params.get("api_base"):
            yield Finding(
                "problem",
                "ollama_without_address",
                f"{place}.litellm_params",
                "There is no api_base, so LiteLLM runs `ollama serve` on its own machine at every start.",
                "Add `api_base: os.environ/OLLAMA_API_BASE`.",
            )


def ollama_context(subject: Subject) -> Iterator[Finding]:
    """Ollama cuts prompts off silently at its default window."""
    for place, deployment in subject.deployments:
        if runs_on_ollama(deployment) and not params_of(deployment).get("num_ctx"):
            yield Finding(
                "problem",
                "ollama_context",
                f"{place}.litellm_params",
                "There is no num_ctx: Ollama cuts longer prompts off at 2048 to 4096 tokens without saying so.",
                "Add `num_ctx: 8192`, or what the memory allows.",
            )


def health_checks_load(subject: Subject) -> Iterator[Finding]:
    """A health check asks the deployment, and asking an Ollama loads the weights."""
    unmarked = [
        place
        for place, deployment in subject.deployments
        if runs_on_ollama(deployment)
        and not is_on(info_of(deployment).get("disable_background_health_check"))
    ]
    fix = "Set `model_info.disable_background_health_check: true` on every Ollama deployment"
    if unmarked and is_on(subject.general.get("background_health_checks")):
        yield Finding(
            "problem",
            "health_checks_load",
            names(unmarked),
            "background_health_checks makes Ollama load these again and again, and push others out of memory.",
            f"{fix}.",
        )
    elif any(runs_on_ollama(deployment) for _, deployment in subject.deployments) and not (
        not unmarked and is_on(subject.general.get("health_check_skip_disabled_background_models"))
    ):
        yield Finding(
            "advice",
            "health_checks_load",
            "general_settings.health_check_skip_disabled_background_models",
            "GET /health asks every Ollama deployment, which loads its weights.",
            f"{fix}, and this setting to true.",
        )


def retries_of_one(subject: Subject) -> Iterator[Finding]:
    """With one deployment a retry asks the same one again, after a pause that the fallback would not need."""
    sizes = Counter(str(deployment.get("model_name")) for _, deployment in subject.deployments)
    default = subject.router.get("num_retries", subject.litellm.get("num_retries", LITELLM_RETRIES))
    own_policy = section(subject.router, "model_group_retry_policy")
    waiting = [
        group
        for _, deployment in subject.deployments
        if sizes[group := str(deployment.get("model_name"))] == 1
        and group not in own_policy
        and params_of(deployment).get("num_retries", default)
    ]
    if waiting:
        yield Finding(
            "advice",
            "retries_of_one",
            "router_settings.num_retries",
            f"{names(waiting)} have one deployment: LiteLLM waits up to 5 s between retries before it falls back.",
            "Set `num_retries: 0`, and `num_retries: 1` in the litellm_params of groups with several deployments.",
        )


def task_names(subject: Subject) -> Iterator[Finding]:
    """A group of a task's name would be hidden by the task alias."""
    ours = {*TASK_ALIASES, *(STABLE_ALIAS_PREFIX + task for task in TASK_ALIASES), *AUTO_NAMES}
    for place, deployment in subject.deployments:
        if (group := str(deployment.get("model_name"))) in ours:
            yield Finding(
                "problem",
                "group_named_like_task",
                f"{place}.model_name",
                f"{group!r} is the name of a task alias.",
                "Rename the group, for example to what it runs.",
            )


def header_names(subject: Subject) -> Iterator[Finding]:
    """LiteLLM writes the group into a header of each answer, and fails where it cannot."""
    for place, deployment in subject.deployments:
        if not fits_header(group := str(deployment.get("model_name"))):
            yield Finding(
                "problem",
                "group_breaks_headers",
                f"{place}.model_name",
                f"{group!r} cannot be written into the headers of an answer.",
                "Rename the group: Latin letters and signs, no control characters.",
            )


CHECKS = (
    ollama_prefix,
    ollama_without_address,
    ollama_context,
    health_checks_load,
    retries_of_one,
    task_names,
    header_names,
)
