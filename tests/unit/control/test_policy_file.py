"""The policy file of a host: taken up when it changes, never an old copy, never a broken one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from neuronode_router.control.manager import FILES
from tests.support.policy_host import FileHost

NIGHT = "default: balanced\nschedule:\n  - {name: all, zone: UTC, then: {profile: premium}}\n"
DAY = NIGHT.replace("premium", "cost_effective")


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[FileHost]:
    """A host with profiles in force and no policy."""
    opened = FileHost(tmp_path)
    await opened.manager.reload(actor=FILES, wait="none")
    yield opened
    opened.store.close()


async def test_a_file_is_taken_up_once(host: FileHost) -> None:
    """Who looks again, in this process or another one of the host, finds nothing to do."""
    await host.write(NIGHT)
    before = host.store.revision()
    await host.file.look()
    host.restart()
    await host.file.look()

    assert await host.wants() == "premium"
    assert host.store.revision() == before
    assert host.codes() == []


async def test_an_old_copy_is_not_taken_up_at_a_start(host: FileHost) -> None:
    """It is shown, and what is in force stays; the same text written while the proxy runs is meant."""
    await host.write(NIGHT)
    await host.write(DAY)
    host.path.write_text(NIGHT)
    host.restart()
    await host.file.look()

    assert await host.wants() == "cost_effective"
    assert host.codes() == ["policy_stale"]
    await host.write(DAY + "# and back\n")
    await host.write(NIGHT)
    assert (await host.wants(), host.codes()) == ("premium", [])


async def test_an_edit_made_while_nothing_ran_is_taken_up(host: FileHost) -> None:
    """It says what no revision ever said."""
    await host.write(NIGHT)
    host.path.write_text(DAY)
    host.restart()
    await host.file.look()

    assert await host.wants() == "cost_effective"


@pytest.mark.parametrize("text", ["schedule: 1\n", DAY.replace("cost_effective", "nobody"), "{", ""])
async def test_a_broken_file_leaves_the_policy_in_force(host: FileHost, text: str) -> None:
    """What is wrong is shown until it is mended."""
    await host.write(NIGHT)
    await host.write(text)

    assert await host.wants() == "premium"
    assert len(host.codes()) == 1
    await host.write(DAY)
    assert (await host.wants(), host.codes()) == ("cost_effective", [])


async def test_a_file_that_is_removed_ends_the_policy(host: FileHost) -> None:
    """Its windows apply no more."""
    await host.write(NIGHT)
    host.restart()
    await host.file.look()
    host.path.unlink()
    await host.file.look()

    assert await host.wants() == ""


async def test_a_host_without_a_file_leaves_the_policy_alone(host: FileHost) -> None:
    """Another host put it in force."""
    await host.write(NIGHT)
    host.path.unlink()
    host.restart()
    await host.file.look()

    assert await host.wants() == "premium"
