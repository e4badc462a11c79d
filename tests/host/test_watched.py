"""Which deployments an outage is about, by LiteLLM's own parameters, and how they are asked whether they are back."""

from __future__ import annotations

from typing import Any

import pytest

from neuronode_router.litellm_plugin.policy_wiring import asking
from neuronode_router.litellm_plugin.router.watched import WatchedDeployments
from neuronode_router.policy.document import OutageScope, OutageTarget
from neuronode_router.proof.probes import Probe, ProbeAnswer, ProbeReason
from neuronode_router.proof.runner import ProbeFailed

GROUP, PROVIDER, BASE = OutageScope.GROUP, OutageScope.PROVIDER, OutageScope.API_BASE


def entry(name: str, group: str, **params: Any) -> dict[str, Any]:
    return {"model_name": group, "litellm_params": params, "model_info": {"id": name}}


ENTRIES = [
    entry("one", "smart", model="openai/gpt-4o"),
    entry("two", "smart", model="azure/gpt-4o", api_base="https://ours.example/"),
    entry("three", "fast", model="gpt-4o-mini"),
    entry("four", "fast", model="whatever", custom_llm_provider="openai", api_base="http://gpu:8000/v1"),
    entry("five", "local", model="ollama_chat/llama3.1"),
    entry("six", "local", model="ollama/llama3.1", api_base="http://gpu:11434"),
    entry("relayed", "other", model="openai/gpt-4o", use_litellm_proxy=True),
]


@pytest.mark.parametrize(
    ("target", "ids"),
    [
        (OutageTarget(GROUP, "smart"), ("one", "two")),
        (OutageTarget(PROVIDER, "openai"), ("one", "three", "four")),
        (OutageTarget(PROVIDER, "azure"), ("two",)),
        (OutageTarget(BASE, "https://ours.example"), ("two",)),
        (OutageTarget(BASE, "http://gpu:8000/v1/"), ("four",)),
        (OutageTarget(BASE, "http://localhost:11434"), ("five",)),
        (OutageTarget(BASE, "http://gpu"), ()),
        (OutageTarget(PROVIDER, "gpt-4o"), ()),
    ],
)
def test_deployments_belong_to_a_group_a_provider_or_a_server(
    target: OutageTarget, ids: tuple[str, ...]
) -> None:
    """A provider is LiteLLM's; a server is its whole address; what asks another LiteLLM is of neither."""
    assert WatchedDeployments(lambda: ENTRIES).of(target) == ids


class Answering:
    """Answers for whoever is not down, and remembers who was asked."""

    def __init__(self, *down: str) -> None:
        self.down = down
        self.asked: list[str] = []

    def address(self, group: str, *, wake: bool) -> str | None:
        return group

    async def ask(self, name: str, probe: Probe, *, seconds: float) -> ProbeAnswer:
        self.asked.append(name)
        if name in self.down:
            raise ProbeFailed(ProbeReason.UNAVAILABLE)
        return ProbeAnswer("yes")


async def test_a_provider_is_asked_at_one_deployment_after_the_other() -> None:
    """One that is still down is found; a group is asked as clients ask it, and what is gone by its own name."""
    asker = Answering("three")
    ask = asking(asker, WatchedDeployments(lambda: ENTRIES).of)

    answers = [await ask(OutageTarget(PROVIDER, "openai"), number) for number in range(3)]
    assert await ask(OutageTarget(GROUP, "smart"), 3)
    await ask(OutageTarget(PROVIDER, "gone"), 4)

    assert answers == [True, False, True]
    assert asker.asked == ["one", "three", "four", "smart", "gone"]
