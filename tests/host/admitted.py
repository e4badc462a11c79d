"""Admission as a test drives it: the real hook over a router, callers by what the test says of them, nothing spent.

It must not know what is asked of it.
"""

from __future__ import annotations

from collections.abc import Callable

from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.access import Principal
from neuronode_router.auto.router import AutoRouter, Statuses
from neuronode_router.classifier import Classifier, lexicon
from neuronode_router.litellm_plugin.auth.group_access import GroupAccess
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks.admission import Admission
from neuronode_router.litellm_plugin.hooks.admission_host import AdmissionHost
from neuronode_router.litellm_plugin.hooks.group_guardrails import GroupGuardrails
from neuronode_router.litellm_plugin.hooks.keeping import Keeper, KeeperHost
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.router.costs import GroupCosts
from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.litellm_plugin.router.location import Locations
from neuronode_router.routing.caches import CacheShares
from neuronode_router.routing.conversations import Conversations


def admission_over(
    bridge: RouterBridge,
    current: CurrentSnapshot,
    access: GroupAccess,
    principal: Callable[[UserAPIKeyAuth], Principal],
    statuses: Statuses = dict,
) -> Admission:
    """Return the hook, which classifies by cues alone and knows of deployments what the test says."""
    host = AdmissionHost(
        principal=principal,
        served_by=Deployments(bridge).served_by,
        tags=lambda: True,
        spent=lambda *_: None,
        may_use=access.may_use,
        fallbacks=bridge.fallbacks,
        grants=access.grants,
        named=access.named,
        noted_tier=lambda _: None,
        places=Locations(bridge.entries),
        costs=GroupCosts(bridge).costs,
        guard=GroupGuardrails(bridge).settle,
        within=unbudgeted,
        place_of=Locations(bridge.entries).of,
    )
    auto = AutoRouter(classifier=Classifier(lexicon.shipped(), None), statuses=statuses)
    return Admission(host, auto, current, keeper_over(access.named))


async def unbudgeted(*_: object) -> None:
    """No group has a budget of its own."""


def keeper_over(group_of: Callable[[str], str | None]) -> Keeper:
    """Return what knows conversations, over groups that are all well and deployments of which nothing is known."""
    return Keeper(
        Conversations(secret=lambda: b"of this test"),
        CacheShares(),
        KeeperHost(group_of=group_of, is_well=lambda _: True, target=lambda _: None),
    )
