"""Which deployments an Ollama serves, and what its answers say about them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.errors import SettingsError
from neuronode_router.health.ollama import (
    DEFAULT_NUM_CTX,
    Defaults,
    NotAnOllama,
    OllamaLimits,
    Place,
    Resident,
    Seen,
    found,
    read_digests,
    read_limits,
    read_loaded,
    read_places,
    read_residents,
    read_sizes,
    tag_of,
)
from neuronode_router.health.ollama_probe import LONGEST_SECONDS, pause
from neuronode_router.routing.inventory import Ability

BASE = "http://gpu:11434"
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["models", "name", "digest", "model_info", "parameters", "general.architecture", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


def entry(**params: Any) -> dict[str, Any]:
    return {
        "model_name": "tier_fast",
        "model_info": {"id": "one"},
        "litellm_params": {"api_base": BASE, **params},
    }


def place_of(**params: Any) -> Place | None:
    return read_places([entry(**params)]).get("one")


@pytest.mark.parametrize(
    ("params", "tag"),
    [
        ({"model": "ollama_chat/llama3.1:8b"}, "llama3.1:8b"),
        ({"model": "ollama/llama3.1"}, "llama3.1:latest"),
        ({"model": "llama3.1", "custom_llm_provider": "ollama_chat"}, "llama3.1:latest"),
        ({"model": "ollama_chat/hf.co/maker/Model-GGUF:Q4_K_M"}, "hf.co/maker/model-gguf:q4_k_m"),
        ({"model": "ollama_chat/hf.co/maker/model"}, "hf.co/maker/model:latest"),
        ({"model": "ollama/library/llama3.1:8b"}, "llama3.1:8b"),
        ({"model": "openai/llama3.1", "api_base": f"{BASE}/v1/"}, "llama3.1:latest"),
    ],
)
def test_a_deployment_is_known_by_the_tag_that_ollama_lists(params: dict[str, Any], tag: str) -> None:
    """Prefixes of LiteLLM's and a missing tag do not hide what is meant."""
    place = place_of(**params)

    assert place is not None
    assert (place.host.address, place.tag) == (BASE, tag)


@pytest.mark.parametrize(
    "params",
    [
        {"model": "openai/gpt-6", "api_base": "https://api.openai.com/v1"},
        {"model": "openai/llama3.1", "api_base": "http://gpu:8000/v1"},
        {"model": "openai/llama3.1", "api_base": BASE},
        {"model": "openai/llama3.1", "api_base": None},
        {"model": "anthropic/claude"},
        {"model": "ollama"},
        {"model": None},
    ],
)
def test_other_providers_are_not_asked(params: dict[str, Any]) -> None:
    """Only what is an Ollama by name, or beyond doubt by its address."""
    assert place_of(**params) is None


def test_openais_wire_counts_at_the_address_of_a_known_ollama() -> None:
    """Another port than Ollama's own is unmistakable where the list itself names an Ollama there."""
    native = entry(model="ollama_chat/llama3.1", api_base="http://gpu:8000")
    other = {
        **entry(model="openai/llama3.1", api_base="http://gpu:8000/v1", num_ctx=9),
        "model_info": {"id": "two"},
    }

    places = read_places([native, other])

    assert set(places) == {"one", "two"}
    assert places["two"].num_ctx is None, "OpenAI's wire does not carry it"


def test_what_the_deployment_leaves_out_is_as_litellm_fills_it_in() -> None:
    """Address and key of the environment, where LiteLLM takes them too."""
    defaults = Defaults(api_base="http://elsewhere:1", api_key="from-env")
    chat, plain = (
        read_places([entry(model=f"{provider}/a", api_base=None)], defaults)["one"].host
        for provider in ("ollama_chat", "ollama")
    )

    assert chat.address == plain.address == "http://elsewhere:1"
    assert chat.headers == (("Authorization", "Bearer from-env"),)
    assert plain.headers == ()


@pytest.mark.parametrize("key", ["schl\u00fcssel", "a\nb", "key\n", "\u201ckey\u201d", "a\x00b"])
def test_a_key_that_no_header_carries_stops_the_start(key: str) -> None:
    """Its variable is named, and not its text; an empty one counts as unset."""
    with pytest.raises(SettingsError, match="The key in OLLAMA_API_KEY") as refused:
        Defaults.of({"OLLAMA_API_KEY": key})

    assert key not in str(refused.value)
    assert Defaults.of({"OLLAMA_API_KEY": ""}) == Defaults()
    assert Defaults.of({"OLLAMA_API_BASE": "http://gpu:1", "OLLAMA_API_KEY": "k 1"}) == Defaults(
        "http://gpu:1", "k 1"
    )


def test_passwords_and_keys_are_sent_and_never_shown() -> None:
    """A password leaves the address, which clients log, and nothing of it is in a repr."""
    with_password = place_of(model="ollama/a", api_base="https://me:p%40ss@gpu:1/ollama/api/chat")
    with_key = place_of(model="ollama/a", api_key="sk-secret", extra_headers={"X-Token": "t0ken"})

    assert with_password is not None
    assert with_key is not None
    assert with_password.host.address == "https://gpu:1/ollama"
    assert dict(with_password.host.headers) == {
        "Authorization": f"Basic {base64.b64encode(b'me:p@ss').decode()}"
    }
    assert dict(with_key.host.headers) == {"Authorization": "Bearer sk-secret", "X-Token": "t0ken"}
    shown = repr((with_password, with_key))
    assert [secret for secret in ("p@ss", "p%40ss", "gpu", "sk-secret", "t0ken") if secret in shown] == []


@pytest.mark.parametrize(
    ("own", "limits", "loaded", "window", "unasked"),
    [
        (8192, OllamaLimits(num_ctx=2048, trained=131072), 4096, 8192, 8192),
        (200_000, OllamaLimits(trained=131072), None, 131072, 131072),
        (None, OllamaLimits(num_ctx=2048, trained=131072), 4096, 2048, 2048),
        (None, OllamaLimits(trained=131072), 16384, 131072, DEFAULT_NUM_CTX),
        (None, OllamaLimits(trained=2048), None, 2048, 2048),
        (None, OllamaLimits(), None, DEFAULT_NUM_CTX, DEFAULT_NUM_CTX),
    ],
)
def test_the_window_is_the_one_that_a_request_may_get(
    own: int | None, limits: OllamaLimits, loaded: int | None, window: int, unasked: int
) -> None:
    """The deployment's own wish, else the Modelfile's; where nobody wished, what was trained may be asked for."""
    place = place_of(model="ollama/a", num_ctx=own)
    assert place is not None

    said = found(place, Seen({place.tag: "d"}, {place.tag: loaded}, {place.tag: limits}))

    assert (said.context_window, said.num_ctx, said.loaded_ctx) == (window, unasked, loaded)
    assert said.longest == (limits.trained or window)


def test_on_openais_wire_no_window_can_be_asked_for() -> None:
    """What is loaded, or the least that an Ollama gives, is all there is, whatever an operator wrote."""
    place = place_of(model="openai/a", api_base="http://host:11434/v1")
    assert place is not None
    limits = {place.tag: OllamaLimits(trained=131072)}

    loaded = found(place, Seen({place.tag: "d"}, {place.tag: 8192}, limits))
    cold = found(place, Seen({place.tag: "d"}, {}, limits))

    assert (loaded.context_window, loaded.longest, loaded.num_ctx) == (8192, 8192, 8192)
    assert (cold.context_window, cold.longest, cold.num_ctx) == (DEFAULT_NUM_CTX,) * 3


def test_abilities_are_what_an_ollama_lists() -> None:
    """What it does not list it cannot; an old one lists nothing, and nothing is known."""
    told = read_limits({"capabilities": ["completion", "vision"]})

    assert told.abilities["image"]
    assert not told.abilities["pdf"]
    assert not told.abilities[Ability.TOOLS]
    assert read_limits({}).abilities == {}
    assert not read_limits({"capabilities": ["embedding"]}).answers


def test_presence_and_loading() -> None:
    """Not listed is not there; listed and not loaded is told apart from not told."""
    place = place_of(model="ollama/a")
    assert place is not None

    said = [
        found(place, Seen(*what, {})) for what in (({}, {}), ({place.tag: "d"}, {}), ({place.tag: "d"}, None))
    ]

    assert [(each.available, each.loaded) for each in said] == [(False, False), (True, False), (True, None)]


def test_answers_are_read_as_ollama_writes_them() -> None:
    """Tags with digests, what is loaded with its window, and the two limits."""
    shown = {
        "parameters": 'stop                           "<|eot_id|>"\nnum_ctx                        8192',
        "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
    }

    assert read_digests({"models": [{"name": "Llama3.1:8b", "digest": "d"}]}) == {"llama3.1:8b": "d"}
    assert read_loaded({"models": [{"name": "a:latest", "context_length": 4096}, {"name": "b"}]}) == {
        "a:latest": 4096,
        "b:latest": None,
    }
    assert read_limits(shown) == OllamaLimits(num_ctx=8192, trained=131072)
    assert read_limits({"parameters": "num_ctx many", "model_info": []}) == OllamaLimits()


@given(anything)
def test_whatever_a_server_says_is_read_or_refused(document: object) -> None:
    """A server that lies or is none stops nothing."""
    for read in (read_digests, read_loaded, read_limits, read_sizes, read_residents):
        try:
            read(document)
        except NotAnOllama:
            continue


@given(anything, anything, anything)
def test_no_entry_stops_the_reading(served: object, base: object, headers: object) -> None:
    """Whatever stands in the model list, the rest of it is read."""
    places = read_places(
        [
            entry(model=served, api_base=base, extra_headers=headers),
            {**entry(model="ollama/a"), "model_info": {"id": "two"}},
            {"litellm_params": base, "model_info": headers},
        ]
    )

    assert places["two"].tag == "a:latest"


def test_what_is_in_memory_counts_on_the_card_or_else_in_all() -> None:
    """A server without a card says 0 of it, and an old one nothing."""
    listed = [
        {"name": "a", "size": 9, "size_vram": 7, "context_length": 4096, "expires_at": "soon"},
        {"name": "b", "size": 9, "size_vram": 0},
        {"name": "c"},
    ]

    residents = read_residents({"models": listed})

    assert residents["a:latest"] == Resident(7, 4096, "soon")
    assert [residents[tag].size for tag in ("b:latest", "c:latest")] == [9, None]
    assert read_sizes({"models": listed}) == {"a:latest": 9, "b:latest": 9, "c:latest": 0}


@given(st.from_regex(r"([a-zA-Z0-9.]{1,6}/){0,2}[a-zA-Z0-9.]{1,6}(:[a-zA-Z0-9]{1,4})?", fullmatch=True))
def test_a_tag_is_found_again(name: str) -> None:
    """Reading a tag twice changes nothing."""
    assert tag_of(tag_of(name)) == tag_of(name)


def test_pauses_grow_while_a_host_is_away() -> None:
    """Soon after a first failure, then more and more rarely, at most once a minute."""
    assert [pause(failures, 5.0) for failures in (0, 1, 2, 3, 4, 5, 6, 10**6)] == [
        *(5.0, 1.0, 5.0, 10.0, 20.0, 40.0),
        *(LONGEST_SECONDS, LONGEST_SECONDS),
    ]
