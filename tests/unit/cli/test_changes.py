"""Switch and rollback: shown before, asked for, made as shown, proven afterwards."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from neuronode_router.control.workers import DRAINED, HELD, ServedRevision, WorkerIdentity
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.receipts import WarmOrder, WarmReport
from tests.docs.test_cli import COMMANDS
from tests.support.usage import finished
from tests.unit.cli.conftest import Remote, Terminal

TESTDATA = Path(__file__).parents[2] / "testdata"


def active(remote: Remote) -> tuple[int, str]:
    """What the proxy has in force."""
    state = remote.do(remote.world.manager.current())
    assert state is not None
    return state.revision, state.active


def test_without_a_terminal_nothing_is_changed_unasked(remote: Remote, neuronode: Terminal) -> None:
    """Wrong usage, and the flag that helps."""
    outcome = neuronode("profile", "switch", "balanced")

    assert outcome.code == 2
    assert "--yes" in outcome.err
    assert active(remote) == (1, "premium")


ASKING = (
    ("profile", "switch", "balanced"),
    ("profile", "edit", "premium", "--file", "premium.yaml"),
    ("team", "bind", "search", "balanced"),
    ("outcomes", "forget"),
    ("init",),
    ("rollout", "start", "balanced"),
    ("shadow", "start", "balanced", "--budget", "1"),
    ("profile", "switch", "balanced", "--hold", "-y"),
    ("profile", "rollback"),
    ("policy", "release"),
    ("team", "bind", "search", "premium", "-y"),
    ("team", "unbind", "search"),
    ("shadow", "start", "premium", "--budget", "1", "-y"),
    ("shadow", "stop"),
    ("policy", "release", "-y"),
    ("rollout", "start", "premium", "-y"),
    ("rollout", "promote"),
    ("rollout", "pause"),
    ("rollout", "abort"),
    ("rollout", "pause", "-y"),
    ("rollout", "resume"),
)
"""Every command that asks, when it has something to do; those with -y make that there is something."""


def test_every_command_that_asks_takes_no_pipe_for_an_answer(
    remote: Remote, neuronode: Terminal, tmp_path: Path
) -> None:
    """A script says -y: what happens to stand on its standard input is no consent."""
    shutil.copytree(TESTDATA / "init", tmp_path, dirs_exist_ok=True)
    text = (remote.world.profiles / "premium.yaml").read_text()
    (tmp_path / "premium.yaml").write_text(text.replace("chat: chat_premium", "chat: tier_fast"))

    for words in ASKING:
        before = active(remote)
        outcome = neuronode(*words, piped="y\n" * 9)

        made = words[-1] == "-y"
        assert outcome.code == (0 if made else 2), (words, outcome)
        assert made or ("-y" in outcome.err and active(remote) == before), words
    unasked = [words for words in ASKING if words[-1] != "-y"]
    for name, command in COMMANDS.items():
        if any("--yes" in parameter.opts for parameter in command.params):
            assert any(name.split()[1:] == [*words[: name.count(" ")]] for words in unasked), name
            assert any("-y" in parameter.opts for parameter in command.params), name


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_who_does_not_say_yes_changes_nothing(answer: str, remote: Remote, neuronode: Terminal) -> None:
    """No is the default, and an input that ends means no."""
    outcome = neuronode("profile", "switch", "balanced", typed=answer)

    assert outcome.code == 1
    assert active(remote) == (1, "premium")


def test_a_dry_run_changes_nothing_even_with_yes(remote: Remote, neuronode: Terminal) -> None:
    """The document is the receipt it would get."""
    outcome = neuronode("profile", "switch", "balanced", "--dry-run", "-y", "--json")

    receipt = json.loads(outcome.out)
    assert (receipt["dry_run"], receipt["changed"], receipt["profile"]) == (True, True, "balanced")
    assert active(remote) == (1, "premium")


def test_the_receipt_is_all_that_standard_output_has(remote: Remote, neuronode: Terminal) -> None:
    """Question and difference go to standard error, so that a pipe gets the document alone."""
    outcome = neuronode("profile", "switch", "balanced", "--json", "--reason", "night", typed="y\n")

    receipt = json.loads(outcome.out)
    assert (receipt["revision"], receipt["complete"]) == (2, True)
    assert "chat_balanced" in outcome.err
    assert remote.do(remote.world.manager.audit(limit=1))[0].reason == "night"


def test_what_was_shown_is_what_is_made_or_nothing_is(
    remote: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who commits between the question and the answer is not overwritten."""

    def answer_late(*_: object, **__: object) -> bool:
        remote.do(remote.world.manager.switch("ultra_fast", actor=Actor("somebody")))
        return True

    monkeypatch.setattr("neuronode_router.cli.consent.click.confirm", answer_late)

    outcome = neuronode("profile", "switch", "balanced", typed="")

    assert outcome.code == 1
    assert "current revision is 2" in outcome.err
    assert active(remote) == (2, "ultra_fast")


def test_a_switch_can_keep_no_conversation(remote: Remote, neuronode: Terminal) -> None:
    """Also to the profile that is active already; the receipt says so, and how many stay where that is asked for."""
    moved = neuronode("profile", "switch", "premium", "--move", "-y")

    assert (moved.code, active(remote)) == (0, (2, "premium"))
    assert "move too" in moved.out
    worker = WorkerIdentity("worker-2", "host-1", os.getpid(), "0.1.0", time.time())
    report = {HELD: 12, DRAINED: 3}
    remote.world.store.registry.announce(worker, ServedRevision(revision=3, report=report))

    kept = neuronode("profile", "switch", "balanced", "-y")

    assert "12 conversations that have begun stay" in kept.out
    assert "12 stay with their group, 3 no longer" in neuronode("status").out


def test_what_running_conversations_would_lose_is_said(remote: Remote, neuronode: Terminal) -> None:
    """Before the switch and in its receipt, without dollars where no price of a cached token is known."""
    usage = remote.world.usage
    assert usage is not None
    remote.world.buffer.count(finished(at=time.time(), prompt_tokens=2989, cached_tokens=1500))
    remote.do(usage.writer.flush())

    planned = neuronode("profile", "switch", "balanced", "--dry-run")
    made = neuronode("profile", "switch", "balanced", "-y")

    said = "Running: caches answered 50% (1,500 tokens) of what these tasks asked in the last 10 minutes."
    assert said in planned.out
    assert said in made.out


def test_a_rollback_brings_back_a_revision(remote: Remote, neuronode: Terminal) -> None:
    """The one before, or the one that is named."""
    assert neuronode("profile", "switch", "balanced", "-y").code == 0
    assert neuronode("profile", "switch", "ultra_fast", "-y").code == 0

    assert neuronode("profile", "rollback", "-y").code == 0
    assert active(remote) == (4, "balanced")

    assert neuronode("profile", "rollback", "1", "-y").code == 0
    assert active(remote) == (5, "premium")


def test_a_worker_that_lags_behind_is_exit_code_1(remote: Remote, neuronode: Terminal) -> None:
    """The change is made, and a script learns that not everybody follows, unless it did not ask for all."""
    stubborn = WorkerIdentity("worker-2", "host-1", os.getpid(), "0.1.0", time.time())
    remote.world.store.registry.announce(
        stubborn, ServedRevision(revision=1, refused=2, detail="no such group")
    )

    outcome = neuronode("profile", "switch", "balanced", "-y")

    assert outcome.code == 1
    assert "no such group" in outcome.out
    assert "1 of 2 workers" in outcome.err
    assert active(remote) == (2, "balanced")
    assert neuronode("profile", "switch", "balanced", "-y", "--wait", "none").code == 0


def test_what_becomes_of_local_models_is_shown_before_and_after(remote: Remote, neuronode: Terminal) -> None:
    """Each sentence of the proxy's, and how long the switch has waited; the proxy is told how long it may."""
    remote.world.warmth.says = WarmReport(
        "wait", WarmOrder.READY, waited_s=3.25, said=("llama is in memory on gpu.",)
    )

    outcome = neuronode("profile", "switch", "balanced", "--warm", "wait", "--pull", typed="y\n")
    order = remote.world.warmth.orders[-1]

    assert outcome.code == 0
    assert "Models: llama is in memory on gpu." in outcome.err
    assert "Models: llama is in memory on gpu." in outcome.out
    assert "waited 3.2 s" in outcome.out
    assert (order.warm, order.warm_timeout, order.pull) == ("wait", 120, True)


def test_who_says_nothing_of_models_leaves_it_to_the_proxy(remote: Remote, neuronode: Terminal) -> None:
    """An older proxy, which would refuse unknown fields, is not told any."""
    neuronode("profile", "switch", "balanced", "-y")

    order = remote.world.warmth.orders[-1]
    assert (order.warm, order.warm_timeout, order.pull) == (None, None, False)


def test_what_is_loaded_now_is_in_the_status(remote: Remote, neuronode: Terminal) -> None:
    """From the workers' own reports, with how far a pull is."""
    told = {
        "server": "gpu",
        "model": "llama",
        "step": "pulling",
        "done": 1_000_000_000,
        "total": 4_000_000_000,
    }
    served = ServedRevision(revision=1, report={"warming": [told]})
    identity = WorkerIdentity("loading", "host-2", os.getpid(), "0.1.0", time.time())
    remote.world.store.registry.announce(identity, served)

    assert "pulling llama on gpu, 1.0 of 4.0 GB" in neuronode("status").out
