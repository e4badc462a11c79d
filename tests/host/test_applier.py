"""How a worker takes up a state: what it looks at LiteLLM for, and how often."""

from __future__ import annotations

import asyncio

from neuronode_router.domain.profiles import HostFacts
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.router.aliases import RouterAliases
from neuronode_router.litellm_plugin.router.applier import SnapshotApplier
from tests.host.routers import bridged
from tests.support.control import GROUPS, make_set


async def no_news() -> None:
    """Look for nothing."""


async def test_a_state_is_prepared_by_what_was_just_looked_at() -> None:
    """Looking at a long model list takes its time, and a worker that is woken has just done it."""
    looks = [HostFacts(GROUPS), HostFacts(GROUPS - {"chat_premium"})]
    facts = iter(looks)
    applier = SnapshotApplier(
        current=CurrentSnapshot(),
        aliases=RouterAliases(bridged(None)),
        facts=lambda: next(facts),
        applied=lambda _: None,
        refresh=no_news,
        loop=asyncio.get_running_loop(),
    )
    state = ControlState(2, "premium", make_set(), 1.0)

    seen = []
    for look in looks:
        assert applier.surroundings() == look
        seen.append(applier.prepare(state))

    assert [len(snapshot.dead) for snapshot in seen] == [0, 1]
