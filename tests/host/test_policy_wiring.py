"""The policy in one worker: what it says of the one in force, by what LiteLLM has now."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from neuronode_router.control.manager import FILES
from neuronode_router.control.policy_facts import ATTEMPTS
from neuronode_router.control.wake import WakeGroup
from neuronode_router.control.worker import Worker
from neuronode_router.control.workers import WorkerIdentity
from neuronode_router.domain.audit import Actor
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.policy_wiring import PolicyWiring
from neuronode_router.litellm_plugin.router.probing import RouterAsker
from neuronode_router.litellm_plugin.router.watched import WatchedDeployments
from neuronode_router.policy.document import Policy
from neuronode_router.policy.file import policy_of
from neuronode_router.routing.inventory import Inventory
from neuronode_router.routing.snapshot import build_snapshot
from tests.support.control import HOST, RecordingApplier
from tests.support.policy_host import FileHost

ANNA = Actor("anna")
NIGHT = {"name": "night", "zone": "UTC", "then": {"task": "chat", "group": "chat_premium"}}


class WiredHost:
    """A host with the policy as one of its workers has it, and LiteLLM's list."""

    def __init__(self, directory: Path) -> None:
        self.host = FileHost(directory)
        self.current = CurrentSnapshot()
        self.entries: list[dict[str, Any]] = [
            {
                "model_name": "chat_balanced",
                "litellm_params": {"model": "openai/a"},
                "model_info": {"id": "a"},
            }
        ]
        worker: Worker[Any] = Worker(
            store=self.host.store,
            applier=RecordingApplier(),
            wake=WakeGroup(()),
            identity=WorkerIdentity("w", "here", os.getpid(), "test", time.time()),
        )
        self.wiring = PolicyWiring(
            manager=self.host.manager,
            worker=worker,
            store=self.host.store,
            current=self.current,
            host=lambda: self.host.host,
            place=self.host.place(),
            asker=RouterAsker(lambda: None, Inventory),
            slots=dict,
            watched=WatchedDeployments(lambda: self.entries),
            loading=120,
            heard=lambda level, *, done: None,
        )

    async def put(self, **document: Any) -> None:
        """Put a policy in force, and look at it."""
        policy, problems = policy_of(document) if document else (Policy(), ())
        assert policy is not None, problems
        await self.wiring.policies.take_up(policy, actor=ANNA, wait="none")
        await self.look()

    async def look(self) -> None:
        """Look at what is committed."""
        self.current.take(build_snapshot(self.host.state(), HOST))
        await self.wiring.look()

    def told(self) -> list[tuple[str, str]]:
        """Return code and path of what is wrong."""
        return [(problem.code, problem.path) for problem in self.wiring.problems()]


@pytest.fixture
async def wired(tmp_path: Path) -> WiredHost:
    """A host with profiles in force."""
    found = WiredHost(tmp_path)
    await found.host.manager.reload(actor=FILES, wait="none")
    return found


async def test_a_group_that_went_after_the_policy_came_is_told_and_passed_over(wired: WiredHost) -> None:
    """Nothing says that a task is moved there; with the group the move comes back, and without the policy no word."""
    await wired.put(schedule=[NIGHT])
    assert wired.host.state().steering.moved == {"chat": "chat_premium"}
    assert wired.told() == []

    wired.host.lacks("chat_premium")
    await wired.look()
    verdict = await wired.wiring.policies.verdict()
    assert wired.host.state().steering.moved == {}
    assert verdict is not None
    assert "night" not in verdict.why
    assert wired.told() == [("policy_unknown", "schedule[0].then")]

    wired.host.lacks("nothing")
    await wired.look()
    assert wired.host.state().steering.moved == {"chat": "chat_premium"}
    wired.host.lacks("chat_premium")
    await wired.put()
    assert wired.told() == []
    wired.host.store.close()


async def test_an_outage_that_nobody_can_have_any_more_is_told(wired: WiredHost) -> None:
    """Its provider was renamed, or left: the rule would never begin, in silence."""
    down = {
        "name": "down",
        "outage": {"provider": "openai"},
        "then": {"task": "chat", "group": "chat_premium"},
    }
    await wired.put(rules=[down])
    assert wired.told() == []
    assert wired.wiring.report()[ATTEMPTS] == {"provider:openai": {"a": {}}}

    wired.entries[0]["litellm_params"]["model"] = "azure/a"
    assert wired.told() == [("policy_unknown", "rules[0]")]
    wired.host.store.close()
