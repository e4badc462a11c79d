"""The registry from LiteLLM's model list: the shipped one, wrong notes, and what probes find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.names import Tier
from neuronode_router.routing.inventory import TEXT, Ability, Deployment, ProbedFacts, read_inventory

CONFIG = Path(__file__).resolve().parents[3] / "litellm_config.yaml"
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def entry(note: object = None, **info: Any) -> dict[str, Any]:
    return {"model_name": "tier_fast", "model_info": {"id": "one", "neuronode": note, **info}}


def only(listed: dict[str, Any]) -> Deployment:
    return read_inventory([listed]).groups["tier_fast"][0]


def test_the_shipped_configuration_is_read_whole() -> None:
    """Every deployment of litellm_config.yaml has tier, latency and window, and nothing in its notes is wrong."""
    listed = yaml.safe_load(CONFIG.read_text())["model_list"]
    for number, item in enumerate(listed):
        item["model_info"]["id"] = str(number)

    registry = read_inventory(listed)

    found = [deployment for group in registry.groups.values() for deployment in group]
    assert registry.problems == ()
    assert len(found) == len(listed)
    assert all(item.tier and item.expected_ms and item.context_window for item in found)
    assert (registry.groups["tier_fast"][0].expected_ms, registry.groups["tier_fast"][0].tier) == (
        200,
        Tier.FAST,
    )


def test_a_wrong_note_is_reported_and_the_deployment_stays() -> None:
    """All that is wrong is said with its path, and the group does not lose a deployment over it."""
    registry = read_inventory([entry({"tier": "huge", "avg_latency_ms": -1, "speed": 3})])

    assert registry.groups["tier_fast"] == (Deployment(id="one", group="tier_fast"),)
    assert {problem.path for problem in registry.problems} == {
        "tier_fast.neuronode.tier",
        "tier_fast.neuronode.avg_latency_ms",
        "tier_fast.neuronode.speed",
    }


def test_what_liteLLM_knows_fills_the_gaps() -> None:  # noqa: N802 the product's own spelling
    """Windows and modalities come from LiteLLM's price list where the note says nothing."""
    found = only(
        entry({"context_window": 4096}, max_input_tokens=9, max_output_tokens=2048, supports_vision=True)
    )

    assert (found.context_window, found.max_tokens) == (4096, 2048)
    assert found.modalities == TEXT | {"image"}
    assert only(entry({"modalities": ["audio"]}, supports_vision=True)).modalities == TEXT | {"audio"}


def test_an_operators_window_is_what_an_ollama_may_be_asked_for() -> None:
    """A window that is larger than the usual one is kept beside it; no word lifts what the weights were trained for."""
    registry = read_inventory([entry({"context_window": 32768})])

    def windows(**found: int) -> tuple[int | None, int | None]:
        facts = ProbedFacts(available=True, loaded=False, **found)
        deployment = registry.with_found({"one": facts}).groups["tier_fast"][0]
        return deployment.context_window, deployment.num_ctx

    assert windows(context_window=4096, num_ctx=4096, longest=131072) == (32768, 4096)
    assert windows(context_window=4096, num_ctx=4096, longest=8192) == (8192, 4096)
    assert windows(context_window=4096, num_ctx=4096, longest=4096) == (4096, None)


def test_abilities_are_known_by_plain_words_only() -> None:
    """True is able, false is not, anything else says nothing; the operator's note goes before LiteLLM's."""
    found = only(
        entry({"abilities": {"tools": True}}, supports_function_calling=False, supports_vision=False)
    )
    silent = only(entry({}, supports_vision=None, supports_pdf_input="yes"))

    assert (found.cannot, found.refuses) == (frozenset(), {"image"})
    assert only(entry({}, supports_response_schema=False)).cannot == {Ability.SCHEMA}
    assert (silent.modalities, silent.refuses) == (TEXT, frozenset())
    assert only(entry({"modalities": ["audio"]})).refuses == {"image", "pdf", "video"}


def test_what_a_probe_found_goes_behind_an_operators_word() -> None:
    """An Ollama that lists no vision does not blind a deployment of which its operator said that it sees."""
    registry = read_inventory([entry({"modalities": ["image"]})])

    probed = registry.with_found(
        {"one": ProbedFacts(available=True, abilities={"image": False, Ability.TOOLS: False})}
    )

    found = probed.groups["tier_fast"][0]
    assert ("image" in found.modalities, found.cannot) == (True, {Ability.TOOLS})


def test_what_is_gone_keeps_its_written_window() -> None:
    """Nobody answers there any more."""
    registry = read_inventory([entry({"context_window": 32768})])

    gone = registry.with_found({"one": ProbedFacts(available=False)})

    assert (gone.groups["tier_fast"][0].context_window, gone.groups["tier_fast"][0].available) == (
        32768,
        False,
    )
    assert registry.with_found({"another": ProbedFacts(available=False)}) == registry


@pytest.mark.parametrize("listed", [{}, {"model_name": "a"}, {"model_name": "a", "model_info": {"id": 3}}])
def test_entries_without_identity_are_left_out(listed: dict[str, Any]) -> None:
    """Nothing can be counted or chosen without id and group."""
    assert read_inventory([listed]).groups == {}


@given(anything, anything)
def test_no_note_stops_the_registry(note: object, window: object) -> None:
    """Whatever an operator writes, the deployment is in its group."""
    registry = read_inventory([entry(note, max_input_tokens=window)])

    assert [found.id for found in registry.groups["tier_fast"]] == ["one"]
