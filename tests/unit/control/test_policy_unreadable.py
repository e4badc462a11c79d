"""A stored policy that one worker cannot read: others act, its status says why, and it can be replaced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from neuronode_router.control.manager import FILES
from neuronode_router.control.policies import Policies
from neuronode_router.control.policy_file import PolicyFile
from neuronode_router.domain.audit import Actor
from neuronode_router.errors import PolicyUnreadable
from neuronode_router.policy.document import Policy
from neuronode_router.policy.engine import Level
from neuronode_router.policy.file import parse_policy
from neuronode_router.storage.tables import policy as policies
from tests.support.policy_host import FileHost

ANNA = Actor("anna")
NIGHT = "default: balanced\nschedule:\n  - {name: all, zone: UTC, then: {profile: premium}}\n"


def read(text: str) -> Policy:
    policy, problems = parse_policy(text.encode())
    assert policy is not None, problems
    return policy


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[FileHost]:
    """A host whose worker knows the policy in force; a machine that comes later has no such zone."""
    opened = FileHost(tmp_path)
    await opened.manager.reload(actor=FILES, wait="none")
    await opened.write(NIGHT)
    await opened.policies.in_force()
    with opened.store.database.writing() as connection:
        stranger = read(NIGHT).source.replace("UTC", "Mars/Base")
        connection.execute(update(policies).values(document=stranger))
    yield opened
    opened.store.close()


@pytest.fixture
def stranger(host: FileHost) -> Policies:
    """A worker on a machine without the zone."""
    return host.worker("stranger")


async def test_who_cannot_read_it_keeps_nobody_from_leading(host: FileHost, stranger: Policies) -> None:
    """It gives the lease back at once, and says what it does not know."""
    with pytest.raises(PolicyUnreadable, match="Mars/Base"):
        await stranger.turn()
    assert not stranger.leads

    receipt = await host.policies.turn()
    assert receipt is not None
    assert receipt.profile == "premium"


async def test_the_status_says_why_nobody_can_tell(host: FileHost, stranger: Policies) -> None:
    """It is an answer, not an error."""
    verdict = await stranger.verdict()

    assert verdict is not None
    assert (verdict.profile, verdict.level) == ("balanced", Level.NOTHING)
    assert "Mars/Base" in verdict.why


@pytest.mark.parametrize("text", [NIGHT.replace("premium", "cost_effective"), ""])
async def test_another_policy_can_be_put_in_force_there(
    host: FileHost, stranger: Policies, text: str
) -> None:
    """A corrected one, or none at all."""
    policy = read(text) if text else Policy()
    await stranger.write(policy, actor=ANNA, wait="none")

    assert await stranger.in_force() == policy
    assert host.path.exists() == bool(text)


async def test_its_file_can_be_mended_and_removed_there(host: FileHost, stranger: Policies) -> None:
    """Whether it is found at the start or changed later."""
    file = PolicyFile(host.place(), stranger)
    host.path.write_text(NIGHT.replace("premium", "cost_effective"))
    for _ in range(2):
        await file.look()
    assert (await stranger.in_force()).schedule[0].want.profile == "cost_effective"

    with host.store.database.writing() as connection:
        connection.execute(update(policies).values(document='{"newer": 1}'))
    other = host.worker("newest")
    file = PolicyFile(host.place(), other)
    for _ in range(2):
        await file.look()
    host.path.unlink()
    for _ in range(2):
        await file.look()
    assert (await other.in_force()).is_empty
