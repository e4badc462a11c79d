"""The policy file of a host: taken up when it changes, never an old copy, never a broken one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from neuronode_router.control.manager import FILES
from neuronode_router.errors import StoreUnavailable
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
    await host.settle()
    host.restart()
    await host.settle()

    assert await host.wants() == "premium"
    assert host.store.revision() == before
    assert host.codes() == []


async def test_an_old_copy_is_not_taken_up_at_a_start(host: FileHost) -> None:
    """It is shown, and what is in force stays; the same text written while the proxy runs is meant."""
    await host.write(NIGHT)
    await host.write(DAY)
    host.path.write_text(NIGHT)
    host.restart()
    await host.settle()

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
    await host.settle()

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
    await host.settle()
    host.path.unlink()
    await host.settle()

    assert await host.wants() == ""


async def test_a_host_without_a_file_leaves_the_policy_alone(host: FileHost) -> None:
    """Another host put it in force."""
    await host.write(NIGHT)
    host.path.unlink()
    host.restart()
    await host.settle()

    assert await host.wants() == "premium"


async def test_a_save_that_unlinks_first_is_no_end(host: FileHost) -> None:
    """An editor, or a checkout, leaves a moment without the file: the policy and what people hold stay."""
    await host.write(NIGHT)
    await host.manager.switch("cost_effective", actor=FILES, wait="none")
    before = host.state().steering
    host.path.rename(host.path.with_suffix(".bak"))
    await host.file.look()
    assert host.state().steering == before
    await host.write(DAY)

    assert await host.wants() == "cost_effective"
    assert host.state().steering.hold == before.hold


async def test_half_of_a_save_is_never_in_force(host: FileHost) -> None:
    """Whoever writes in place leaves a prefix for a moment, which may read well."""
    await host.write(NIGHT)
    digests = {host.state().steering.policy}
    written = DAY + "rules:\n- {name: r, budget: {usd: 1, enter: 1, return: 0.5}, then: {max_tier: fast}}\n"
    for text in ("default: balanced\n", DAY, written):
        host.path.write_text(text)
        await host.file.look()
        digests.add(host.state().steering.policy)
    await host.file.look()

    assert len(digests) == 1
    assert len((await host.policies.in_force()).rules) == 1


@pytest.mark.parametrize("stumble", ["store", "file"])
async def test_an_old_copy_stays_one_when_the_start_stumbles(
    host: FileHost, stumble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the database or the disk fails the first looks, the file is judged when they are back."""
    await host.write(NIGHT)
    await host.write(DAY)
    host.path.write_text(NIGHT)
    host.restart()
    with monkeypatch.context() as broken:
        if stumble == "store":
            broken.setattr(host.store.policies, "since", _unavailable)
            await host.file.look()
            with pytest.raises(StoreUnavailable):
                await host.file.look()
        else:
            broken.setattr(host.file, "_path", host.path / "beneath")  # ENOTDIR
            await host.settle()
            assert host.codes() == ["policy_unreadable"]
    await host.settle()

    assert await host.wants() == "cost_effective"
    assert host.codes() == ["policy_stale"]


async def test_a_file_that_could_not_be_read_for_a_moment_is_no_problem_after_it(
    host: FileHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing about it has changed."""
    await host.write(NIGHT)
    with monkeypatch.context() as broken:
        broken.setattr(host.file, "_path", host.path / "beneath")
        await host.settle()
        assert host.codes() == ["policy_unreadable"]
    await host.settle()

    assert (await host.wants(), host.codes()) == ("premium", [])


def _unavailable(_digest: str) -> int:
    raise StoreUnavailable("The store does not answer.")
