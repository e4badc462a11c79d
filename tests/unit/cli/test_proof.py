"""`neuronode profile validate --live`, `matrix` and `--force`: asked of a real worker, but for who answers."""

from __future__ import annotations

import json

import pytest

from neuronode_router.proof.gate import ProofGate
from neuronode_router.proof.probes import ProbeReason
from tests.admin_api.proof_world import FakeAsker
from tests.support.place import GROUPS, PROFILES, TASK_ALIASES
from tests.unit.cli.conftest import Remote, Terminal

CELLS = sum(len(tasks) for tasks in GROUPS.values())


def asker(remote: Remote) -> FakeAsker:
    assert remote.world.proving is not None
    return remote.world.proving.asker


def test_a_run_shows_progress_and_the_matrix(remote: Remote, neuronode: Terminal) -> None:
    """Five columns, a line for each task; what each probe found goes to standard error."""
    outcome = neuronode("profile", "validate", "--live")

    head, *lines = outcome.out.split("\n\n")[1].splitlines()
    assert outcome.code == 0
    assert sorted(head.split()) == sorted(("task", *PROFILES))
    assert {tuple(line.split()) for line in lines} == {(task, *["ok"] * 5) for task in TASK_ALIASES}
    assert f"{CELLS}/{CELLS} " in outcome.err
    assert f"{CELLS} of {CELLS} probes" in outcome.out


def test_a_failing_group_is_shown_and_is_the_exit_code(remote: Remote, neuronode: Terminal) -> None:
    """With its reason, in the run and in the matrix afterwards."""
    asker(remote).failing["chat_balanced"] = ProbeReason.AUTHENTICATION

    run = neuronode("profile", "validate", "--live", "--task", "chat")
    shown = neuronode("profile", "matrix")

    assert (run.code, shown.code) == (1, 1)
    assert "chat_balanced (text): FAILS (authentication)" in run.err
    assert "balanced.chat: chat_balanced authentication" in shown.out
    assert "not proven" in shown.out


def test_a_run_may_be_narrowed_and_capped(remote: Remote, neuronode: Terminal) -> None:
    """Standard output is the API's document."""
    options = ("--profile", "premium", "--profile", "balanced", "--max-cost", "0.001", "--wake", "--json")
    outcome = neuronode("profile", "validate", "--live", *options)

    live = json.loads(outcome.out)["live"]
    assert (live["stopped"], live["wanted"]) == ("cost", 2 * len(TASK_ALIASES))
    assert {cell["profile"] for cell in live["cells"]} == {"premium", "balanced"}


def test_a_group_that_no_profile_has_yet_may_be_asked(remote: Remote, neuronode: Terminal) -> None:
    """What was found is told as it comes, and is the exit code."""
    asker(remote).failing["tier_fast"] = ProbeReason.NOT_FOUND

    outcome = neuronode("profile", "validate", "--live", "--group", "tier_fast", "--task", "chat")

    assert outcome.code == 1
    assert "1/1 tier_fast (text): FAILS (not_found)" in outcome.err
    assert "1 of 1 probes" in outcome.out


@pytest.mark.parametrize(
    "arguments", [("--wake",), ("--task", "chat"), ("--live", "night.yaml")], ids=lambda given: given[0]
)
def test_options_that_do_not_go_together_are_wrong_usage(
    remote: Remote, neuronode: Terminal, arguments: tuple[str, ...]
) -> None:
    """Nobody is asked."""
    outcome = neuronode("profile", "validate", *arguments)

    assert outcome.code == 2
    assert asker(remote).asked == []


def test_refusals_are_told_in_one_line(remote: Remote, neuronode: Terminal) -> None:
    """As everywhere."""
    outcome = neuronode("profile", "validate", "--live", "--profile", "gold")

    assert outcome.code == 1
    assert "no profile 'gold'" in outcome.err


def test_force_goes_past_the_gate(remote: Remote, neuronode: Terminal) -> None:
    """Without it the cells are named; with it the audit log shows that."""
    assert remote.world.proving is not None
    gate: ProofGate = remote.world.proving.room.gate
    gate.mode = "enforce"

    refused = neuronode("profile", "switch", "balanced", "-y")
    forced = neuronode("profile", "switch", "balanced", "-y", "--force", "--reason", "outage")
    back = neuronode("profile", "rollback", "-y", "--force")
    bound = neuronode("team", "bind", "a", "balanced", "-y", "--force")

    reasons = [entry.reason for entry in remote.do(remote.world.manager.audit(limit=3))]
    assert refused.code == 1
    assert "balanced.chat" in refused.err
    assert (forced.code, back.code, bound.code) == (0, 0, 0)
    assert reasons[2] == f"forced past {len(TASK_ALIASES)} unproven cells; outage"
    assert all(reason.startswith("forced past") for reason in reasons)
