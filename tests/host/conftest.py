"""LiteLLM for the host tests: offline, and what its own code leaks is not ours to fix."""

from __future__ import annotations

import gc
import os
import pathlib
from collections.abc import Iterator
from importlib.util import find_spec

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


@pytest.fixture(scope="session")
def _modules_are_no_garbage() -> Iterator[None]:
    """Let the collector pass over what is there for good: with it, looking for garbage takes a second."""
    import litellm.proxy.proxy_server  # noqa: F401

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module", autouse=True)
def _leaves_nothing(_modules_are_no_garbage: None) -> Iterator[None]:
    """Collect what LiteLLM leaves at the end of a file, where it is ignored, and not in whatever test comes later."""
    yield
    import litellm

    litellm.in_memory_llm_clients_cache.flush_cache()
    gc.collect()


@pytest.fixture(autouse=True)
def _callbacks_as_before() -> Iterator[None]:
    """Take away the callbacks that a test left in LiteLLM: beyond a hundred it takes no more, in silence."""
    import litellm

    lists = [getattr(litellm, name) for name in CALLBACK_LISTS]
    kept = [list(each) for each in lists]
    yield
    for name, each, before in zip(CALLBACK_LISTS, lists, kept, strict=True):
        each[:] = before
        setattr(litellm, name, each)  # it puts others in their place when a router's settings change


@pytest.fixture(autouse=True)
def _retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM waits between attempts, for longer each time: nothing here is about how long."""
    if find_spec("litellm.router_rust"):
        monkeypatch.setattr("litellm.router_rust.core._sleep_seconds", lambda _: 0.0)
    else:
        monkeypatch.setattr("litellm.utils.INITIAL_RETRY_DELAY", 0.0)
