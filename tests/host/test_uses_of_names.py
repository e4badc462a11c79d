"""Whatever of LiteLLM decides or books by the name in a request is told the group, or is known not to be."""

from __future__ import annotations

from tests.host.uses_of_names import in_litellm, in_table


def test_every_use_of_a_name_stands_in_the_table() -> None:
    """A release that decides something more by the name is seen here: find out how it can be told, and say so there."""
    new = in_litellm() - in_table().keys()

    assert not new


def test_the_table_is_of_litellm() -> None:
    """Most of it is found in each release: it is LiteLLM's source that was read."""
    found = in_litellm()

    assert len(found & in_table().keys()) > len(in_table()) // 2
