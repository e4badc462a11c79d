"""The policy file of a host: taken up when it changes, never an old copy, never a broken one."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from neuronode_router.control import store as store_module
from neuronode_router.control.manager import FILES
from neuronode_router.control.policy_file import PolicyFile
from neuronode_router.domain.audit import Actor
from neuronode_router.errors import CommitUnknown, StoreUnavailable
from neuronode_router.policy.document import Policy
from neuronode_router.policy.file import parse_policy
from neuronode_router.profiles.intent import intents
from tests.support.policy_host import FileHost

ANNA = Actor("anna")
NIGHT = "default: balanced\nschedule:\n  - {name: all, zone: UTC, then: {profile: premium}}\n"
DAY = NIGHT.replace("premium", "cost_effective")
SLOW = NIGHT + (
    "rules:\n- {name: r, latency: {group: chat_premium, enter_ms: 9, return_ms: 5}, then: {max_tier: fast}}\n"
)


async def put(host: FileHost, text: str) -> None:
    """Put a policy in force as somebody does at another host."""
    policy, problems = parse_policy(text.encode())
    assert policy is not None, problems
    await host.policies.take_up(policy, actor=ANNA, wait="none")


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


async def test_who_removes_an_old_copy_ends_nothing(host: FileHost) -> None:
    """Another host put in force what is: found so at the start, or since then."""
    await host.write(NIGHT)
    await put(host, DAY)
    host.path.unlink()
    await host.settle()
    assert await host.wants() == "cost_effective"

    host.path.write_text(NIGHT)
    host.restart()
    await host.settle()
    assert host.codes() == ["policy_stale"]
    host.path.unlink()
    await host.settle()

    assert (await host.wants(), host.codes()) == ("cost_effective", [])


async def test_who_removes_a_broken_file_ends_what_it_said_before(host: FileHost) -> None:
    """That is in force still, and nobody else wants it."""
    await host.write(NIGHT)
    await host.write("{")
    host.path.unlink()
    await host.settle()

    assert (await host.wants(), host.codes()) == ("", [])


@pytest.mark.parametrize("restarts", [True, False])
async def test_a_refused_file_overrules_nothing_that_came_later(host: FileHost, restarts: bool) -> None:
    """Not when what it lacked is there at last; who writes it again means it."""
    host.lacks("chat_premium")
    if restarts:
        host.path.write_text(SLOW)
        host.restart()
        await host.settle()
    else:
        await host.write(SLOW)
    assert host.codes() == ["policy_unknown"]
    await put(host, DAY)
    host.lacks("nothing")
    await host.settle()
    assert (await host.wants(), host.codes()) == ("cost_effective", ["policy_stale"])

    await host.write(SLOW + "# still\n")
    assert (await host.wants(), host.codes()) == ("premium", [])


async def test_a_refused_file_is_put_in_force_once_it_can_be(host: FileHost) -> None:
    """Nobody has put in force another policy meanwhile."""
    await host.write(DAY)
    host.lacks("chat_premium")
    await host.write(SLOW)
    assert (await host.wants(), host.codes()) == ("cost_effective", ["policy_unknown"])
    await host.manager.switch("cost_effective", actor=ANNA, wait="none")
    host.lacks("nothing")
    await host.file.look()

    assert (await host.wants(), host.codes()) == ("premium", [])


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
            broken.setattr(host.file._place, "path", host.path / "beneath")  # ENOTDIR
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
        broken.setattr(host.file._place, "path", host.path / "beneath")
        await host.settle()
        assert host.codes() == ["policy_unreadable"]
    await host.settle()

    assert (await host.wants(), host.codes()) == ("premium", [])


def _unavailable(_digest: str) -> int:
    raise StoreUnavailable("The store does not answer.")


@pytest.mark.parametrize("text", ["schedule: 1\n", DAY, ""])
async def test_what_is_put_is_written_over_another_file(host: FileHost, text: str) -> None:
    """Though it is in force already: a broken file, or one with another policy, would be an old copy."""
    await host.write(NIGHT)
    policy = await host.policies.in_force()
    host.path.write_text(text)
    receipt = await host.policies.write(policy, actor=ANNA, wait="none")

    assert receipt.changed
    assert parse_policy(host.path.read_bytes())[0] == policy
    await host.settle()
    assert (await host.wants(), host.codes()) == ("premium", [])
    assert host.store.audit.verify() == host.store.revision() == receipt.revision


async def test_a_file_that_says_the_same_keeps_its_comments(host: FileHost) -> None:
    """Who puts what is in force and in the file changes nothing."""
    await host.write(f"# by hand\n{NIGHT}")
    receipt = await host.policies.write(await host.policies.in_force(), actor=ANNA, wait="none")

    assert not receipt.changed
    assert host.path.read_text().startswith("# by hand")


async def test_an_empty_policy_takes_a_broken_file_away(host: FileHost) -> None:
    """Also where none is in force."""
    await host.write("{")
    assert len(host.codes()) == 1
    await host.policies.write(Policy(), actor=ANNA, wait="none")
    await host.settle()

    assert not host.path.exists()
    assert (await host.wants(), host.codes()) == ("", [])


@pytest.mark.parametrize("committed", [True, False])
async def test_a_put_whose_commit_nobody_answered_leaves_no_files(
    host: FileHost, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """What the file says is put in force by who follows it, if it is not; nothing else lies beside it."""
    await host.write(NIGHT)
    policy, _ = parse_policy(DAY.encode())
    assert policy is not None

    def unanswered(connection: Connection) -> None:
        connection.commit() if committed else connection.rollback()
        raise CommitUnknown("It is gone.")

    with monkeypatch.context() as broken:
        broken.setattr(store_module, "commit", unanswered)
        with pytest.raises(CommitUnknown):
            await host.policies.write(policy, actor=ANNA, wait="none")
    await host.settle()

    assert await host.wants() == "cost_effective"
    assert intents(host.path.parent) == []
    assert host.store.audit.verify() == host.store.revision()


class TestWhatThisHostPutInForce:
    """It is no new edit when a worker finds it after others have gone past it."""

    async def test_a_put_that_another_host_overruled_stays_overruled(self, host: FileHost) -> None:
        """The file was written by the API, and is believed two looks later; who saves it again means it."""
        await host.write(DAY)
        policy, _ = parse_policy(NIGHT.encode())
        assert policy is not None
        await host.policies.write(policy, actor=ANNA, wait="none")
        await put(host, DAY)
        await host.settle()

        assert (await host.wants(), host.codes()) == ("cost_effective", [])
        await host.write(host.path.read_text())
        assert (await host.wants(), host.codes()) == ("premium", [])

    @pytest.mark.parametrize("already", [True, False])
    async def test_an_edit_that_another_worker_took_up_is_not_taken_up_again(
        self, host: FileHost, already: bool
    ) -> None:
        """Also where that worker had nothing to do: another host had it in force."""
        await host.write(DAY)
        late = PolicyFile(host.place(), host.worker("late"))
        await late.look()
        await late.look()
        if already:
            await put(host, NIGHT)
        await host.write(NIGHT)
        await put(host, DAY)
        await late.look()
        await late.look()

        assert (await host.wants(), late.problems) == ("cost_effective", ())

    async def test_a_policy_that_was_ended_and_is_wanted_again_stays(self, host: FileHost) -> None:
        """The API took the file away; another host put the very same policy in force before anybody looked."""
        await host.write(NIGHT)
        await host.policies.write(Policy(), actor=ANNA, wait="none")
        await put(host, NIGHT)
        await host.settle()

        assert await host.wants() == "premium"

    @pytest.mark.parametrize("restarts", [True, False])
    async def test_a_file_that_goes_twice_is_meant_twice(self, host: FileHost, restarts: bool) -> None:
        """Between, it said what another host had in force."""
        await host.write(NIGHT)
        await host.policies.write(Policy(), actor=ANNA, wait="none")
        await host.settle()
        await put(host, NIGHT)
        if restarts:
            host.restart()
        await host.write(NIGHT)
        host.path.unlink()
        await host.settle()

        assert await host.wants() == ""
