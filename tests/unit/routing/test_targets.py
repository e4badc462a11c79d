"""What a request may lead to, in every shape that LiteLLM follows and many that it does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.routing.targets import (
    FALLBACK_FIELDS,
    MAX_DEPTH,
    OVERRIDE,
    asked,
    lead_tools,
    led,
    names,
    of_tools,
    read_fallbacks,
    spoken,
    take_over,
    written,
)

SAME = {"good": ("good",), "other": ("other",)}
"""Nobody may reach `bad`."""

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["good", "other", "bad", "*", ""]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["model", "good", "bad", "*", "metadata", "messages", *FALLBACK_FIELDS]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        (["good", "bad"], ["good"]),
        ([{"model": "good"}, {"model": "bad"}], [{"model": "good"}]),
        ([{"asked": ["bad", "good"]}], [{"asked": ["good"]}]),
        ([{"*": ["bad", "good"]}], [{"*": ["good"]}]),
        ([{"asked": "good"}], [{"asked": ["good"]}]),
        ([{"a": [{"model": "bad"}, {"model": "good", "user": "x"}]}], [{"a": [{"model": "good", "user": "x"}]}]),
        ([{"model": "good", "fallbacks": ["bad", "other"]}], [{"model": "good", "fallbacks": ["other"]}]),
        (["good", {"model": "other"}], [{"model": "good"}, {"model": "other"}]),
        ([{"model": "good", "metadata": {}, "litellm_metadata": {}, "_x": 1}], [{"model": "good"}]),
        ([{"model": "good", "deployment_id": "bad"}, "other"], ["other"]),
        ([{"temperature": 0.5}], [{"temperature": 0.5}]),
        ("good", []),
        (None, []),
        ([[["good"]]], []),
    ],
)  # fmt: skip
def test_fallbacks_keep_what_may_be_reached(entries: object, found: list[Any]) -> None:
    """Each shape comes out as one that LiteLLM follows, without what leads elsewhere."""
    assert written(led(read_fallbacks(entries), SAME, strict=True)) == found


@pytest.mark.parametrize(
    ("entries", "first", "found"),
    [
        (["good"], {"a": ["b"]}, ["b", "good"]),
        ([{"model": "good"}], {"a": ["b"]}, [{"model": "b"}, {"model": "good"}]),
        ([{"a": ["good"]}], {"a": ["b"]}, [{"a": ["b", "good"]}]),
        ([{"*": ["good"]}, {"x": ["other"]}], {"a": ["b"]}, [{"a": ["b", "good"]}, {"*": ["good"]}, {"x": ["other"]}]),
        ([], {"a": ["b"], "c": ["d"]}, [{"a": ["b"]}, {"c": ["d"]}]),
        (["good"], {"a": (), "c": ["d"]}, [{"a": ["good"]}, {"c": ["d", "good"]}]),
    ],
)  # fmt: skip
def test_a_ladder_goes_before_the_fallbacks_of_its_group(
    entries: list[Any], first: dict[str, Any], found: list[Any]
) -> None:
    """Whatever shape the client's are in, LiteLLM goes through both."""
    assert written(led(read_fallbacks(entries), SAME, strict=False), first) == found


@given(JSON)
def test_no_shape_of_fallbacks_brings_a_name_that_leads_nowhere(entries: Any) -> None:
    """Nothing is raised, and no `bad` is left where LiteLLM would look for a model, by our reading or by any other."""
    found = written(led(read_fallbacks(entries), SAME, strict=True), {"good": ["other"]})

    assert "bad" not in set(names(read_fallbacks(found), depth=9))
    assert not list(_models(found))


def _models(value: Any) -> Any:
    """Yield `bad` wherever it stands as a text of a list or as a model."""
    if isinstance(value, list):
        for item in value:
            if item == "bad":
                yield item
            yield from _models(item)
    elif isinstance(value, dict):
        if value.get("model") == "bad":
            yield "bad"
        for key in (*FALLBACK_FIELDS, "good", "*"):
            yield from _models(value.get(key)) if "model" not in value or key in FALLBACK_FIELDS else ()


def test_brackets_without_end_cost_little_and_raise_nothing() -> None:
    """What is nested deeper than Python follows by itself is left out."""
    deep: Any = "bad"
    for _ in range(100_000):
        deep = [deep]
    inner: Any = {"model": "good"}
    for _ in range(MAX_DEPTH + 3):
        inner = {"model": "good", "fallbacks": [inner]}

    assert written(led(read_fallbacks([{"*": deep}, {"x": [deep]}]), SAME, strict=True)) == [
        {"*": []},
        {"x": []},
    ]
    assert set(names(read_fallbacks([inner]))) == {"good"}


@pytest.mark.parametrize(
    ("model", "several", "found"),
    [
        ("a", True, ("a",)),
        ("a, b ,c", True, ("a", "b", "c")),
        ("a,b", False, ("a,b",)),
        ("a,", True, ("a", "")),
    ],
)
def test_a_model_is_one_name_or_several(model: str, found: tuple[str, ...], *, several: bool) -> None:
    """Commas part names where LiteLLM parts them."""
    assert asked(model, several=several) == found


def test_settings_of_the_router_move_to_where_litellm_merges_them() -> None:
    """Fallbacks of the settings are the request's, unless it has its own; other settings stay."""
    body = {
        "fallbacks": ["own"],
        OVERRIDE: {"fallbacks": ["x"], "context_window_fallbacks": [{"a": ["b"]}], "num_retries": 1},
    }

    take_over(body)

    assert body == {
        "fallbacks": ["own"],
        "context_window_fallbacks": [{"a": ["b"]}],
        OVERRIDE: {"num_retries": 1},
    }


@given(JSON)
def test_whatever_tools_are_they_are_read_and_written(tools: Any) -> None:
    """Names are led, everything else of a tool stays as it is, and the client's own body is not touched."""
    body = {"tools": tools}
    names = list(of_tools(body))

    lead_tools(body, {name: f"group of {name}" for name in names})

    assert list(of_tools(body)) == [f"group of {name}" for name in names]
    assert (body["tools"] is tools) is (not names)


def test_every_tool_is_read() -> None:
    """However many a client brings: one that is passed over would ask unjudged."""
    tools = [{"type": "function"}] * 300 + [{"type": "advisor", "model": "last"}]

    assert list(of_tools({"tools": tools})) == ["last"]


def test_a_fallback_whose_tools_ask_for_a_model_is_left_out() -> None:
    """Nobody judges that name; one with tools of another kind is kept."""
    advised = {"model": "a", "tools": [{"type": "advisor", "model": "b"}]}
    plain = {"model": "a", "tools": [{"type": "function"}]}

    kept = led(read_fallbacks([advised, plain]), {"a": ("group",)}, strict=False)

    assert written(kept) == [{**plain, "model": "group"}]


def test_what_a_client_wrote_is_found_at_any_depth() -> None:
    """Texts, names of fields and entries of lists; no long texts, and nothing where there is too much."""
    body = {"a": [{"b": ["c", {"d": "e" * 500}]}], "model": "f"}

    assert spoken(body) == {"a", "b", "c", "d", "model", "f"}
    assert spoken({"a": ["x"] * 30_000}) is None
