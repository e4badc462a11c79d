"""Editing a profile: in an editor or from a file, never over somebody else's change, never losing a text."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from neuronode_router.cli.http import Connection, HttpAnswer
from tests.support.place import profile_text
from tests.unit.cli.conftest import Remote, Terminal


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$EDITOR is a program that runs the Python written into this file, with the text in `text`."""
    script, program = tmp_path / "edit.py", tmp_path / "editor.py"
    program.write_text(
        "import sys, pathlib\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "scope = {'text': file.read_text()}\n"
        f"exec(pathlib.Path({str(script)!r}).read_text(), scope)\n"
        "file.write_text(scope['text'])\n"
    )
    monkeypatch.setenv("EDITOR", f"{sys.executable} {program}")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return script


def chat(remote: Remote, profile: str = "premium") -> str:
    """The group of a profile's task `chat`."""
    state = remote.do(remote.world.manager.current())
    assert state is not None
    return state.profiles.profiles[profile].tasks["chat"]


def test_what_the_editor_leaves_is_put_in_force(
    remote: Remote, neuronode: Terminal, editor: Path, tmp_path: Path
) -> None:
    """After the difference was shown and agreed to; the file's comment stays, and no text is left lying about."""
    editor.write_text("text = text.replace('chat: chat_premium', 'chat: tier_fast')")

    outcome = neuronode("profile", "edit", "premium", typed="y\n")

    assert outcome.code == 0
    assert chat(remote) == "tier_fast"
    assert "+  chat: tier_fast" in outcome.err
    assert "with a comment to keep" in (remote.world.profiles / "premium.yaml").read_text()
    assert list(tmp_path.glob("premium.*.yaml")) == []


def test_what_is_shown_for_programs_can_be_put_back(
    remote: Remote, neuronode: Terminal, tmp_path: Path
) -> None:
    """The numbers of the API's document are the file's too."""
    file = tmp_path / "shown.json"
    shown = json.loads(neuronode("profile", "show", "premium", "--json").out)
    for too_cheap in (shown["too_cheap"], 2.25):
        file.write_text(json.dumps(shown | {"too_cheap": too_cheap}))
        assert neuronode("profile", "edit", "premium", "--file", file, "-y").code == 0

    state = remote.do(remote.world.manager.current())
    assert state is not None
    assert state.profiles.profiles["premium"].too_cheap == 2.25
    assert (remote.world.worker.revision, remote.world.reported.get("problems")) == (2, None)


def test_a_text_that_was_not_edited_changes_nothing(
    remote: Remote, neuronode: Terminal, editor: Path
) -> None:
    """A comment of one's own is no edit either: only what the text means counts."""
    editor.write_text("text = '# looked at it\\n' + text")

    outcome = neuronode("profile", "edit", "premium", typed="")

    assert outcome.code == 0
    assert "Nothing was edited" in outcome.err
    assert remote.world.worker.revision == 1


def test_a_program_gets_a_receipt_of_what_changes_nothing(
    remote: Remote, neuronode: Terminal, tmp_path: Path
) -> None:
    """As from a dry run; nothing is committed."""
    file = tmp_path / "same.yaml"
    file.write_text((remote.world.profiles / "premium.yaml").read_text())

    outcome = neuronode("profile", "edit", "premium", "--file", file, "-y", "--json")

    assert outcome.code == 0
    receipt = json.loads(outcome.out)
    assert (receipt["profile"], receipt["revision"], receipt["changed"]) == ("premium", 1, False)
    assert remote.world.worker.revision == 1


def test_problems_are_shown_with_their_lines_and_can_be_mended(
    remote: Remote, neuronode: Terminal, editor: Path
) -> None:
    """The editor opens again with the same text."""
    editor.write_text(
        "text = text.replace('chat: nowhere', 'chat: tier_fast').replace('chat: chat_premium', 'chat: nowhere')"
    )

    outcome = neuronode("profile", "edit", "premium", typed="y\ny\n")

    assert outcome.code == 0
    assert re.search(r"\.yaml:\d+ tasks\.chat: .*nowhere", outcome.err)
    assert chat(remote) == "tier_fast"


def test_who_gives_up_keeps_the_text(remote: Remote, neuronode: Terminal, editor: Path) -> None:
    """The line that says where also says how to go on."""
    editor.write_text("text = text.replace('chat: chat_premium', 'chat: nowhere')")

    outcome = neuronode("profile", "edit", "premium", typed="n\n")

    assert outcome.code == 1
    kept = re.search(r"--file (\S+)", outcome.err)
    assert kept
    assert "chat: nowhere" in Path(kept[1]).read_text()
    assert chat(remote) == "chat_premium"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_ctrl_c_while_the_proxy_answers_keeps_the_text(
    method: str, remote: Remote, neuronode: Terminal, editor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it checks, and while it commits."""
    editor.write_text("text = text.replace('chat: chat_premium', 'chat: tier_fast')")
    send = Connection.send

    def interrupted(connection: Connection, used: str, *rest: Any, **more: Any) -> HttpAnswer:
        if used == method:
            raise KeyboardInterrupt
        return send(connection, used, *rest, **more)

    monkeypatch.setattr(Connection, "send", interrupted)

    outcome = neuronode("profile", "edit", "premium", "-y", typed="")

    assert outcome.code == 1
    kept = re.search(r"--file (\S+)", outcome.err)
    assert kept
    assert "chat: tier_fast" in Path(kept[1]).read_text()


def test_an_editor_that_fails_loses_nothing(remote: Remote, neuronode: Terminal, editor: Path) -> None:
    """The text is kept, and nothing is changed."""
    editor.write_text("raise SystemExit(3)")

    outcome = neuronode("profile", "edit", "premium", typed="")

    assert outcome.code == 1
    assert "--file" in outcome.err


def test_who_came_second_is_shown_what_changed_and_keeps_the_text(
    remote: Remote, neuronode: Terminal, editor: Path
) -> None:
    """412: the other's act and its effect on this profile are shown, and the kept text can be applied afterwards."""
    editor.write_text(
        "import httpx\n"
        f"url = '{remote.url}/neuronode/profiles/premium/tasks/summary?reason=meanwhile'\n"
        f"headers = {{'Authorization': 'Bearer {remote.world.keys['admin']}', 'If-Match': '*'}}\n"
        "httpx.put(url, json={'group': 'tier_medium'}, headers=headers).raise_for_status()\n"
        "text = text.replace('chat: chat_premium', 'chat: tier_fast')\n"
    )

    outcome = neuronode("profile", "edit", "premium", "-y", typed="")

    assert outcome.code == 1
    assert "meanwhile" in outcome.err
    assert "+  summary: tier_medium" in outcome.err
    kept = re.search(r"--file (\S+)", outcome.err)
    assert kept
    assert "chat: tier_fast" in Path(kept[1]).read_text()
    assert chat(remote) == "chat_premium"


def test_a_file_can_add_a_profile(remote: Remote, neuronode: Terminal, tmp_path: Path) -> None:
    """A name that no profile has needs a whole text."""
    file = tmp_path / "anything.yaml"
    file.write_text(profile_text("premium", chat="tier_fast"))

    assert neuronode("profile", "edit", "night", "--file", file, "-y").code == 0

    assert chat(remote, "night") == "tier_fast"


def test_an_unknown_profile_is_not_opened(remote: Remote, neuronode: Terminal, editor: Path) -> None:
    """The names there are stand in the refusal."""
    outcome = neuronode("profile", "edit", "nigth", typed="")

    assert outcome.code == 1
    assert "balanced" in outcome.err


@pytest.mark.parametrize("text", ["tasks: [", "- a list", "", "tasks: {chat: 1e3}"])
def test_a_file_that_is_no_profile_is_refused_with_its_place(
    text: str, remote: Remote, neuronode: Terminal, tmp_path: Path
) -> None:
    """Exit code 1, each problem with the file's name, no traceback."""
    file = tmp_path / "mine.yaml"
    file.write_text(text)

    for command in (("profile", "validate", file), ("profile", "edit", "premium", "--file", file, "-y")):
        outcome = neuronode(*command)
        assert outcome.code == 1
        assert "mine.yaml" in outcome.out + outcome.err

    verdict = json.loads(neuronode("profile", "validate", file, "--json").out)
    assert not verdict["valid"]
    assert all(problem["file"] == str(file) for problem in verdict["problems"])


def test_an_editor_needs_a_terminal(remote: Remote, neuronode: Terminal) -> None:
    """A script passes --file."""
    outcome = neuronode("profile", "edit", "premium")

    assert outcome.code == 2
    assert "--file" in outcome.err
