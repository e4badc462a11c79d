"""Who answered, as the headers tell it: whom LiteLLM names, or whom our hooks saw asked, and where that is."""

from __future__ import annotations

from typing import Any

import pytest
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.access import Principal, Role
from neuronode_router.litellm_plugin.auth.group_access import GroupAccess
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks.request_metadata import note_asked
from neuronode_router.litellm_plugin.router.deployments import Deployments
from tests.host.admitted import admission_over
from tests.host.routers import bridged, deployment, router

HERE = "http://127.0.0.1:9"
CHOSEN = ("chat", "local", "0")
RESCUE = ("rescue", "local", "1")


@pytest.mark.parametrize(
    ("told", "asked", "expected"),
    [
        ("ok", None, CHOSEN),
        ("spare", ("ok", "local"), RESCUE),
        ("", ("spare", "local"), RESCUE),
        ("made-up-for-a-key", ("spare", "local"), RESCUE),
        ("made-up-for-a-key", ("spare", None), ("rescue", None, "1")),
        ("made-up-for-a-key", None, ("chat", None, "0")),
    ],
)
def test_the_headers_name_a_deployment_that_the_router_has(
    told: str, asked: tuple[str, str | None] | None, expected: tuple[str, str | None, str]
) -> None:
    """LiteLLM names an id of the call's own where the client brings a key: what we saw asked goes before that."""
    bridge = bridged(router([deployment("chat", "ok", HERE), deployment("rescue", "spare", HERE)]))
    access = GroupAccess(bridge, proxy=proxy_server, group_of=Deployments(bridge).group_of)
    admission = admission_over(
        bridge, CurrentSnapshot(), access, lambda _: Principal("somebody", Role.MEMBER)
    )
    mark: dict[str, Any] = {
        **dict.fromkeys(("profile", "task", "tier")),
        "revision": 1,
        "group": "chat",
        "reason": "active_profile",
        "steps": [],
    }
    data = {"metadata": {"neuronode": mark}}
    if asked is not None:
        note_asked(data, *asked)

    found = admission.answer_headers(data, UserAPIKeyAuth(), None, {"model_id": told})

    assert found is not None
    assert tuple(found.get(f"x-neuronode-{name}") for name in ("group", "location", "fallback")) == expected
