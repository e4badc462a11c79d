"""Which deployments an outage is about, by LiteLLM's own parameters, and how they are asked whether they are back."""

from __future__ import annotations

from typing import Any

import pytest

from neuronode_router.control.outage_probes import AskTarget
from neuronode_router.litellm_plugin.policy_wiring import PROBE_SECONDS, asking
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
    """Answers for whoever is named nowhere else, and remembers who was asked and for how long."""

    def __init__(self, *, down: tuple[str, ...] = (), missing: tuple[str, ...] = ()) -> None:
        self.down, self.missing = down, missing
        self.asked: list[str] = []
        self.seconds: list[float] = []

    def address(self, group: str, *, wake: bool) -> str | None:
        return group

    async def ask(self, name: str, probe: Probe, *, seconds: float) -> ProbeAnswer:
        self.asked.append(name)
        self.seconds.append(seconds)
        if name in self.down:
            raise ProbeFailed(ProbeReason.UNAVAILABLE)
        if name in self.missing:
            raise ProbeFailed(ProbeReason.NOT_FOUND)
        return ProbeAnswer("yes")


def asks(asker: Answering, entries: list[dict[str, Any]]) -> AskTarget:
    return asking(asker, WatchedDeployments(lambda: entries).asked, loading=120)


async def test_a_provider_is_asked_at_one_deployment_after_the_other() -> None:
    """One that is still down is found; a group is asked as clients ask it, and what is gone by its own name."""
    asker = Answering(down=("three",))
    ask = asks(asker, ENTRIES)

    answers = [await ask(OutageTarget(PROVIDER, "openai"), number) for number in range(3)]
    assert await ask(OutageTarget(GROUP, "smart"), 3)
    await ask(OutageTarget(PROVIDER, "gone"), 4)

    assert answers == [True, False, True]
    assert asker.asked == ["one", "three", "four", "smart", "gone"]


async def test_what_does_not_chat_is_asked_nothing() -> None:
    """Neither by its own word nor by LiteLLM's map, nor a wildcard; where nothing chats, that it says so is enough."""
    chats, embeds = entry("chats", "a", model="openai/gpt-4o"), entry("embeds", "b", model="openai/private")
    embeds["model_info"]["mode"] = "embedding"
    others = [
        embeds,
        entry("hears", "c", model="openai/whisper-1"),
        entry("any", "d", model="openai/*"),
    ]
    asker = Answering(missing=("embeds", "hears", "any"))

    assert all([await asks(asker, [*others, chats])(OutageTarget(PROVIDER, "openai"), n) for n in range(4)])
    assert asker.asked == ["chats"] * 4
    assert await asks(asker, others)(OutageTarget(PROVIDER, "openai"), 1)
    assert await asks(asker, others)(OutageTarget(GROUP, "b"), 1)


async def test_one_that_the_provider_has_no_more_says_nothing_of_the_others() -> None:
    """They are asked in its place; that none is left, or the group's own, is an outage."""
    asker, target = Answering(missing=("one", "three")), OutageTarget(PROVIDER, "openai")
    ask = asks(asker, ENTRIES)

    assert await ask(target, 0)
    assert asker.asked == ["one", "three", "four"]
    asker.down = ("four",)
    assert not await ask(target, 1)
    asker.down, asker.missing = (), ("one", "three", "four", "smart")
    assert not await ask(target, 0)
    assert not await ask(OutageTarget(GROUP, "smart"), 0)


async def test_a_local_server_has_time_to_load_what_it_is_asked() -> None:
    """It gives loading up with whoever asked; in a group too, and behind OpenAI's wire."""
    behind = entry("behind", "mixed", model="openai/qwen", api_base="http://gpu:11434/v1", api_key="none")
    asker = Answering()
    ask = asks(asker, [*ENTRIES, behind])
    for target in (
        OutageTarget(BASE, "http://gpu:11434"),
        OutageTarget(GROUP, "local"),
        OutageTarget(GROUP, "mixed"),
        OutageTarget(PROVIDER, "azure"),
    ):
        assert await ask(target, 0)

    assert asker.asked == ["six", "local", "mixed", "two"]
    assert asker.seconds == [120, 120, 120, PROBE_SECONDS]
