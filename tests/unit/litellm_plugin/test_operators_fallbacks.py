"""What operators configured as fallbacks, when a group takes the place of a name and brings its ladder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from neuronode_router.litellm_plugin.hooks.operators_fallbacks import follow

LADDER = {"small": ("large",)}


@pytest.mark.parametrize(
    ("entries", "after"),
    [
        ([], []),
        ([{"auto": ["a"]}, {"small": ["b"]}, {"*": ["c"]}], ["a"]),
        ([{"small": ["b"]}, {"large": ["d"]}, {"*": ["c"]}], ["b"]),
        ([{"large": ["d"]}, {"*": ["c"]}], ["d"]),
        ([{"other": ["e"]}, {"*": ["c"]}], ["c"]),
        ([{"auto": []}, {"*": ["c"]}], []),
        ([{"small": ["large", "b"]}], ["b"]),
        ([{"*": ["small", "large", "f"]}], ["f"]),
    ],
)
def test_what_is_configured_comes_after_the_ladder(
    entries: Sequence[Mapping[str, Any]], after: Sequence[Any]
) -> None:
    """For the name, else for a group of the ladder, else for all; nobody is tried twice."""
    assert follow(entries, {"auto": "small"}, LADDER, reaches=None) == ["large", *after]


def test_what_the_caller_may_not_reach_is_left_out() -> None:
    """Also of what stands under the group."""
    entries = [{"small": ["b", "dear"]}]

    found = follow(entries, {"auto": "small"}, LADDER, reaches=lambda group: group != "dear")

    assert found == ["large", "b"]


def test_a_name_without_a_ladder_leaves_the_rest_to_litellm() -> None:
    """The entry of the name goes along; groups and "all" are found by LiteLLM itself."""
    entries = [{"task": ["a"]}, {"*": ["c"]}]

    assert follow(entries, {"task": "small"}, {}, reaches=None) == [{"small": ["a"]}, *entries]
    assert follow([{"*": ["c"]}], {"task": "small"}, {}, reaches=None) is None
