"""What profiles want of which Ollama, read from LiteLLM's model list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from neuronode_router.domain.names import Tier
from neuronode_router.health.ollama import Defaults, OllamaHost
from neuronode_router.warm.needs import GIB, Fleet, WarmTarget, read_fleet
from tests.support.control import make_profile

BASE = "http://gpu:11434"


def entry(
    group: str, name: str, *, note: object = None, mode: str | None = None, **params: Any
) -> dict[str, Any]:
    return {
        "model_name": group,
        "litellm_params": {"model": name, "api_base": BASE, **params},
        "model_info": {"id": f"{group} {name}", "neuronode": note, "mode": mode},
    }


def fleet(
    *entries: dict[str, Any], vram_gib: float | None = None, places: dict[str, str] | None = None
) -> Fleet:
    known = places or {}
    return read_fleet(
        entries, Defaults(), lambda each: known.get(each["model_info"]["id"], "local"), vram_gib=vram_gib
    )


PROFILE = make_profile("premium", classification="small", chat="large")
PROFILE = replace(PROFILE, tiers=dict.fromkeys(Tier, ("small",)))


@pytest.mark.parametrize(
    ("keep_alive", "stays"),
    [
        *((nothing, False) for nothing in ("0", 0, "0s", "0.0s", "-0m0s", "0h0m0.00ms", "0ms0", "000")),
        *((something, True) for something in (None, "", "-", "5m", "0m1s", "s", -1, "0" * 64 + "x")),
    ],
)
def test_weights_stay_that_are_kept_for_any_time(keep_alive: str | float | None, stays: bool) -> None:
    """Read in one pass: zeros without end and no unit are no duration, and found out to be none."""
    assert WarmTarget(OllamaHost(BASE), "tag", keep_alive=keep_alive).stays is stays


def test_the_deployments_of_a_profiles_groups_once_each() -> None:
    """Tasks and tiers name groups, groups have deployments; what no Ollama answers is nobody's concern."""
    found = fleet(
        entry("small", "ollama_chat/llama3.1:8b"),
        entry("small", "gpt-4o-mini", api_base=None),
        entry("large", "ollama/llama3.1:70b"),
        entry("other", "ollama/never"),
    ).targets(PROFILE)

    assert [each.tag for each in found] == ["llama3.1:8b", "llama3.1:70b"]


def test_options_are_those_that_litellm_sends_and_that_belong_to_the_weights() -> None:
    """Temperature makes nobody load anew; keep_alive counts where LiteLLM hands it on as such."""
    options = {"num_ctx": 8192, "num_gpu": 20, "temperature": 0.1, "keep_alive": "24h"}
    chat, plain, embeds = fleet(
        entry("a", "ollama_chat/chat", **options),
        entry("b", "ollama/plain", **options),
        entry("c", "ollama/nomic", mode="embedding", **options),
    ).of_groups("abc")

    assert {each.options for each in (chat, plain, embeds)} == {(("num_ctx", 8192), ("num_gpu", 20))}
    assert [each.keep_alive for each in (chat, plain, embeds)] == ["24h", None, "24h"]
    assert [each.embeds for each in (chat, plain, embeds)] == [False, False, True]


def test_data_that_must_stay_has_nothing_loaded_elsewhere() -> None:
    """A deployment that the profile's residency forbids is not even warmed."""
    built = fleet(
        entry("small", "ollama/here"),
        entry("large", "ollama/there"),
        places={"large ollama/there": "us"},
    )

    assert [each.tag for each in built.targets(replace(PROFILE, residency=("eu",)))] == ["here:latest"]
    assert len(built.targets(PROFILE)) == 2


def test_the_bound_of_a_server_is_the_smallest_that_is_noted_else_the_settings() -> None:
    """A note that is no number counts as none."""
    noted = fleet(
        entry("a", "ollama/a", note={"vram_gib": 24}), entry("b", "ollama/b", note={"vram_gib": 16})
    )
    wrong = fleet(entry("a", "ollama/a", note={"vram_gib": "much"}), vram_gib=8)

    assert [*noted.bounds.values()] == [16 * GIB]
    assert [*wrong.bounds.values()] == [8 * GIB]
    assert not fleet(entry("a", "ollama/a")).bounds


def test_a_group_depends_on_what_alone_answers_it() -> None:
    """Something else that answers a group makes it bearable that weights stay cold."""
    built = fleet(entry("a", "ollama/a"), entry("b", "ollama/a"), entry("b", "gpt-4o-mini", api_base=None))
    cold = {each.key for each in built.of_groups("a")}

    assert built.depends_on("a", cold)
    assert not built.depends_on("b", cold)
