"""The guardrails of a group run where it answers, and nowhere else, whatever LiteLLM's map says of the name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import litellm
import pytest
from litellm.caching.caching import DualCache
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.utils import ProxyLogging
from litellm.types.guardrails import GuardrailEventHooks

from neuronode_router.litellm_plugin.hooks.callbacks import hold_order, standing_for
from neuronode_router.litellm_plugin.hooks.chosen_group import Renaming
from neuronode_router.litellm_plugin.hooks.group_guardrails import GroupGuardrails, Guarded
from neuronode_router.litellm_plugin.router.aliases import RouterAliases
from tests.host.routers import bridged, deployment, router

URL = "http://127.0.0.1:9"
ASKED = {"guardrails": ["of-active"]}


class Watchman(CustomGuardrail):  # type: ignore[misc]  # LiteLLM is untyped to us
    """A guardrail that lets everything pass."""


@pytest.fixture
def guardrails() -> Iterator[GroupGuardrails]:
    """A router whose map leads `summary` to a guarded group; one of a group's deployments may be guarded alone."""
    groups = {"active": ["of-active"], "bound": ["of-bound"], "open": None, "heavy": ["before", "beside"]}
    live = router([deployment(group, group, URL, guardrails=own) for group, own in groups.items()])
    live.add_deployment(litellm.types.router.Deployment(**deployment("open-too", "open-too", URL)))
    RouterAliases(bridged(live)).replace({"summary": "active", "auto": "open"})
    modes = {"before": GuardrailEventHooks.pre_call, "beside": GuardrailEventHooks.during_call}
    litellm.callbacks[:] = [
        Watchman(guardrail_name=name, event_hook=mode, default_on=False) for name, mode in modes.items()
    ]
    yield GroupGuardrails(bridged(live))
    litellm.callbacks.clear()


def settled(
    guardrails: GroupGuardrails,
    name: str,
    *groups: str,
    ladder: tuple[str, ...] = (),
    body: Any = None,
    user: UserAPIKeyAuth | None = None,
    **metadata: Any,
) -> list[Any]:
    """Return what runs on a request into which LiteLLM has put what its map says."""
    merged = ["of-active"] if name == "summary" else []
    data: dict[str, Any] = {
        "model": name,
        "metadata": {"guardrails": merged, **metadata},
        "proxy_server_request": {"body": body},
    }
    guardrails.settle(data, Guarded(user or UserAPIKeyAuth(), name, groups, ladder))
    return list(data["metadata"]["guardrails"])


@pytest.mark.parametrize(
    ("name", "groups", "ladder", "runs"),
    [
        ("summary", ("active",), (), ["of-active"]),
        ("summary", ("bound",), (), ["of-bound"]),
        ("summary", ("open",), (), []),
        ("auto", ("heavy",), (), ["before", "beside"]),
        ("auto", ("open",), ("heavy", "bound"), ["beside", "of-bound"]),
        ("summary", ("open",), ("active",), ["of-active"]),
        ("auto,summary", ("open", "bound"), (), ["of-bound"]),
    ],
)
def test_those_of_the_group_that_is_called_run(
    guardrails: GroupGuardrails, name: str, groups: tuple[str, ...], ladder: tuple[str, ...], runs: list[str]
) -> None:
    """Of a ladder's steps those are added that LiteLLM would not run when it gets there, or that nobody knows."""
    # LiteLLM 1.106 merges them by a set: their order is nobody's.
    assert sorted(settled(guardrails, name, *groups, ladder=ladder)) == sorted(runs)


@pytest.mark.parametrize(
    "asked",
    [
        {"body": ASKED},
        {"body": {"metadata": ASKED}},
        {"user": UserAPIKeyAuth(metadata=ASKED)},
        {"user": UserAPIKeyAuth(team_metadata={"guardrails": [{"of-active": {"extra_body": {}}}]})},
        {"applied_policies": ["strict"]},
    ],
)
def test_what_others_ask_for_is_not_taken_back(guardrails: GroupGuardrails, asked: dict[str, Any]) -> None:
    """A guardrail that the client, his key or a policy wants runs, also where the map's group has it too."""
    assert settled(guardrails, "summary", "open", **asked) == ["of-active"]


@pytest.mark.parametrize("said", ["x", 7, [["a"], {"b": 1}, None], {"a": []}])
def test_whatever_a_client_sends_is_read(guardrails: GroupGuardrails, said: object) -> None:
    """A list of guardrails that is none fails nothing."""
    assert settled(guardrails, "summary", "bound", body={"guardrails": said}) == ["of-bound"]


def test_guardrails_run_after_admission() -> None:
    """Also those of an operator's own module, which LiteLLM has loaded before us."""
    guardrail, renaming = Watchman(guardrail_name="mine"), Renaming()
    admission = standing_for([Renaming()], called="First")
    litellm.callbacks[:] = [guardrail, renaming]
    logging = ProxyLogging(user_api_key_cache=DualCache())
    logging._add_proxy_hooks()
    litellm.callbacks.append(admission)

    hold_order(admission, renaming)

    assert litellm.callbacks.index(admission) < litellm.callbacks.index(guardrail)
