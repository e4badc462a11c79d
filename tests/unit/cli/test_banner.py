"""The banner: honest about the embedded model, commands that are complete, and never a key."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from neuronode_router.cli.effective import Plan
from neuronode_router.cli.serve.banner import InForce, Progress, embedded_lines, ready_banner
from neuronode_router.cli.serve.master_key import MasterKey

DEPLOYMENTS = ({"model_name": "a"}, {"model_name": "b"})
KEY = MasterKey("sk-very-secret", Path("/state dir/master_key"))


def banner(
    plan: Plan, *, active: str | None = "premium", key: MasterKey = KEY, found: InForce | None = None
) -> str:
    """A banner with two profiles."""
    found = found or InForce(active)
    profiles = ("balanced", "premium")
    return ready_banner(
        "http://127.0.0.1:4000", plan=plan, key=key, found=found, profiles=profiles, seconds=9.87
    )


def test_the_key_is_never_shown() -> None:
    """Only the file is named, in a form that a shell understands."""
    text = banner(Plan(DEPLOYMENTS, {}, ()))

    assert "sk-very-secret" not in text
    assert text.count("$(cat '/state dir/master_key')") == 4


def test_a_key_of_the_operators_own_is_taken_from_the_environment() -> None:
    """There is no file then."""
    assert banner(Plan(DEPLOYMENTS, {}, ()), key=MasterKey("sk-x", None)).count("$LITELLM_MASTER_KEY") == 4


def test_a_key_of_the_configuration_is_not_said_to_be_in_the_shell() -> None:
    """The commands need it there, under the name that the configuration has for it."""
    text = banner(Plan(DEPLOYMENTS, {}, ()), key=MasterKey("sk-x", None, "PROXY_KEY", exported=False))

    assert text.count("$PROXY_KEY") == 4
    assert "the one of your configuration; set PROXY_KEY to it" in text


def test_it_switches_to_a_profile_that_is_not_active() -> None:
    """A switch that changes nothing would show nothing."""
    assert '{"profile": "balanced"' in banner(Plan(DEPLOYMENTS, {}, ()), active="premium")
    assert '{"profile": "cost_effective"' in banner(Plan(DEPLOYMENTS, {}, ()), active="balanced")


def test_the_command_line_is_named_as_this_shell_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name where that is it, by its path where the shell would find none or another."""
    installed = Path(sys.executable).parent
    monkeypatch.setenv("PATH", str(installed))
    by_name = banner(Plan(DEPLOYMENTS, {}, ()))
    monkeypatch.setenv("PATH", "/nowhere")
    by_path = banner(Plan(DEPLOYMENTS, {}, ()))

    assert '" neuronode status --url http://127.0.0.1:4000' in by_name
    assert f'" {installed}/neuronode status --url http://127.0.0.1:4000' in by_path


def test_it_says_which_groups_are_embedded_and_why() -> None:
    """All, some or none of the groups."""
    everything = "\n".join(embedded_lines(Plan(DEPLOYMENTS, {"a": "X is not set", "b": "X is not set"}, ())))
    some = "\n".join(embedded_lines(Plan(DEPLOYMENTS, {"b": "Ollama does not answer"}, ())))
    nothing = "\n".join(embedded_lines(Plan(DEPLOYMENTS, {}, ())))

    assert "all 2 model groups are answered by SmolLM2" in everything
    assert everything.count("X is not set") == 1
    assert "1 of 2 model groups" in some
    assert "They are: b." in some
    assert "Ollama does not answer" in some
    assert "SmolLM2" not in nothing


@pytest.mark.parametrize(
    ("said", "active", "lacking"),
    [
        (
            {"active_profile": "premium", "served_revision": 3, "problems": [{"message": "Old."}]},
            "premium",
            "",
        ),
        (
            {"detail": "The database has schema 9.", "fix": "Upgrade."},
            None,
            "The database has schema 9. Upgrade.",
        ),
        ({"active_profile": "premium", "served_revision": 0, "problems": []}, None, "The status says why."),
        ({"served_revision": 0, "problems": [{"message": "No group."}]}, None, "No group."),
        ({"error": "not ours"}, None, ""),
        ("<html>", None, ""),
    ],
)
def test_a_proxy_in_which_nothing_is_in_force_says_so(said: object, active: str | None, lacking: str) -> None:
    """LiteLLM's aliases answer then, and every answer is a 200."""
    found = InForce.told(said)
    text = banner(Plan(DEPLOYMENTS, {}, ()), found=found)

    assert (found.active, found.lacking) == (active, lacking)
    assert ("LiteLLM's own aliases answer" in text) is bool(lacking)
    assert lacking in text
    assert (", profile premium" in text) is (active is not None)


def test_steps_are_printed_with_their_seconds() -> None:
    """Each step says how long it took, by the clock it is given."""
    ticks = iter([0.0, 1.0, 3.5, 4.0])
    lines: list[str] = []
    progress = Progress(lines.append, clock=lambda: next(ticks))

    with progress.step("reading"):
        pass

    assert lines == [f"  {'reading':<78}   2.5 s"]
    assert progress.seconds == 4.0
