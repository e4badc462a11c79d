"""LiteLLM for the host tests: offline, and what its own code leaks is not ours to fix."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest

CALLBACK_LISTS = (
    "callbacks",
    "success_callback",
    "failure_callback",
    "_async_success_callback",
    "_async_failure_callback",
)
"""LiteLLM's lists of whom to call: global, and never emptied by LiteLLM."""

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """LiteLLM leaves directory handles and sockets to the garbage collector: not a failure of ours."""
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture(autouse=True)
def _callbacks_as_before() -> Iterator[None]:
    """Take away the callbacks that a test left in LiteLLM: beyond a hundred it takes no more, in silence."""
    import litellm

    lists = [getattr(litellm, name) for name in CALLBACK_LISTS]
    kept = [list(each) for each in lists]
    yield
    for each, before in zip(lists, kept, strict=True):
        each[:] = before
