"""Every command's output for people, kept as a file: a change of it is seen in review.

`UPDATE_GOLDEN=1 pytest tests/unit/cli/test_golden.py` writes the files anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Outcome, Remote, Terminal, remote_world

GOLDEN = Path(__file__).with_name("golden")
ROOT = Path(__file__).parents[3]

MOMENTS = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "<when>"),
    (re.compile(r"(host-1 +)\d+"), r"\1<pid>"),
    (re.compile(r"\d+ ms"), "<n> ms"),
    (re.compile(r" {2,}"), "  "),
)
"""What differs from run to run, and what stands for it. Columns that it widens are as if it did not."""


def check(name: str, outcome: Outcome, *, hide: str = "") -> None:
    """Compare what a command printed, and its exit code, with the file of that name."""
    text = f"exit code {outcome.code}\n--- standard output\n{outcome.out}--- standard error\n{outcome.err}"
    for pattern, replacement in MOMENTS:
        text = pattern.sub(replacement, text)
    if hide:
        text = text.replace(hide, "<here>")
    text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


READS = {
    "status": ("status",),
    "profile_list": ("profile", "list"),
    "profile_show": ("profile", "show", "premium"),
    "profile_diff": ("profile", "diff", "premium", "balanced"),
    "profile_diff_none": ("profile", "diff", "premium", "premium"),
    "profile_validate": ("profile", "validate"),
    "profile_switch_dry_run": ("profile", "switch", "balanced", "--dry-run"),
    "profile_switch_not_asked": ("profile", "switch", "balanced"),
    "profile_switch_already": ("profile", "switch", "premium"),
    "profile_rollback_unknown": ("profile", "rollback", "77", "-y"),
    "audit_tail": ("audit", "tail"),
    "unknown_profile": ("profile", "switch", "nothing", "-y"),
    "unknown_command": ("profiel",),
}


@pytest.fixture(scope="module")
def resting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """A proxy at revision 1, with `premium` active, which nobody changes."""
    with remote_world(tmp_path_factory.mktemp("resting")) as running:
        yield running


@pytest.mark.parametrize("name", READS)
def test_a_command_prints_what_it_is_known_to_print(
    name: str, resting: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads, and changes that are refused or not made."""
    resting.use(monkeypatch)

    check(name, neuronode(*READS[name]))


def test_a_switch_prints_question_and_receipt(remote: Remote, neuronode: Terminal) -> None:
    """The difference is shown with the question, the receipt afterwards."""
    check("profile_switch", neuronode("profile", "switch", "balanced", "--reason", "evening", typed="y\n"))


def test_a_rollback_prints_its_receipt(remote: Remote, neuronode: Terminal) -> None:
    """Without a question the receipt shows what changed."""
    assert neuronode("profile", "switch", "balanced", "-y").code == 0

    check("profile_rollback", neuronode("profile", "rollback", "-y"))


def test_an_edit_by_file_prints_its_difference(remote: Remote, neuronode: Terminal, tmp_path: Path) -> None:
    """What is edited stands on standard error, the receipt on standard output."""
    file = tmp_path / "premium.yaml"
    file.write_text((remote.world.profiles / "premium.yaml").read_text().replace("chat_premium", "tier_fast"))

    check("profile_edit", neuronode("profile", "edit", "premium", "--file", file, "-y"), hide=f"{tmp_path}/")


def test_problems_of_a_file_are_printed_with_their_lines(
    remote: Remote, neuronode: Terminal, tmp_path: Path
) -> None:
    """One line for each, with the place in the file that was given."""
    file = tmp_path / "premium.yaml"
    text = (remote.world.profiles / "premium.yaml").read_text()
    file.write_text(text.replace("chat_premium", "no_such_group").replace("cost_level: medium\n", ""))

    check("profile_validate_file", neuronode("profile", "validate", file), hide=f"{tmp_path}/")


def test_init_prints_what_it_proposes(neuronode: Terminal, tmp_path: Path) -> None:
    """Groups with reasons, profiles, files."""
    (tmp_path / "litellm_config.yaml").write_text(
        (ROOT / "tests/testdata/init/litellm_config.yaml").read_text()
    )
    (tmp_path / "compose.yaml").write_text((ROOT / "tests/testdata/init/compose.yaml").read_text())

    check("init", neuronode("init", "--dry-run"), hide=f"{tmp_path}/")


def test_doctor_prints_findings(neuronode: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Problems first, each with its fix."""
    (tmp_path / "litellm_config.yaml").write_text(
        (ROOT / "tests/testdata/init/litellm_config.yaml").read_text()
    )
    monkeypatch.setattr("platform.python_version", lambda: "3.12.1")
    keys = ("LITELLM_MASTER_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")
    for name in (
        *keys,
        "OLLAMA_API_BASE",
        "NUM_WORKERS",
        "PYTHONDONTWRITEBYTECODE",
        "KUBERNETES_SERVICE_HOST",
    ):
        monkeypatch.delenv(name, raising=False)

    check("doctor", neuronode("doctor"), hide=f"{tmp_path}/")


def test_completion_is_a_script(neuronode: Terminal) -> None:
    """Of the shell that was named."""
    check("completion_fish", neuronode("completion", "fish"))


def test_the_help_lists_every_command(neuronode: Terminal) -> None:
    """With a line for each."""
    check("help", neuronode("--help"))
