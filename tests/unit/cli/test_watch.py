"""Following a proxy: every revision once, over lost connections, until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from neuronode_router.cli.commands import audit, watch
from neuronode_router.cli.http import KEY_VARIABLE, Connection, Refused
from neuronode_router.domain.audit import Actor
from tests.unit.cli.conftest import Remote


def event(revision: int) -> str:
    """One event as the proxy sends it."""
    return f'id: {revision}\nevent: revision\ndata: {{"revision": {revision}}}\n\n'


def test_no_revision_is_missed_over_lost_connections(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each new connection begins after the last revision seen; each loss is said once, on standard error."""
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.01)
    answers: list[object] = [
        event(2),
        httpx.ConnectError("refused"),
        httpx.Response(503),
        event(3) + ": ping\n\n" + event(4),
    ]
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Last-Event-ID"])
        answer = answers.pop(0) if answers else httpx.ReadError("cut")
        if isinstance(answer, Exception):
            raise answer
        return (
            answer
            if isinstance(answer, httpx.Response)
            else httpx.Response(200, text=str(answer), headers={"Content-Type": "text/event-stream"})
        )

    connection = Connection(
        httpx.Client(base_url="http://proxy.test", transport=httpx.MockTransport(handler))
    )
    found = []
    with watch.following(connection, 1, every=0.05) as events:
        for entry in events:
            found += [entry.revision] if entry else []
            if found and found[-1] == 4:
                break

    assert found == [2, 3, 4]
    assert asked[:4] == ["1", "2", "2", "2"]
    assert "Trying again" in capsys.readouterr().err


def test_a_key_that_is_refused_ends_the_watch() -> None:
    """Trying again would not help."""
    connection = Connection(
        httpx.Client(
            base_url="http://proxy.test", transport=httpx.MockTransport(lambda _: httpx.Response(401))
        )
    )

    with pytest.raises(Refused), watch.following(connection, 1, every=0.05) as events:
        list(events)


@contextmanager
def running(remote: Remote, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A `neuronode` of its own process, as a terminal starts it."""
    environ = {**os.environ, KEY_VARIABLE: remote.world.keys["admin"], "LITELLM_BASE_URL": remote.url}
    process = subprocess.Popen(
        [sys.executable, "-c", "from neuronode_router.cli.main import main; main()", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (("status", "--watch", "--json"), "active_profile"),
        (("audit", "tail", "--follow", "--json"), "profile_after"),
    ],
)
def test_a_switch_is_seen_at_once_and_ctrl_c_ends_quietly(
    command: tuple[str, ...], shown: str, remote: Remote
) -> None:
    """One line for the state now, one for the change; then exit code 0 and nothing on standard error."""
    with running(remote, *command) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        remote.do(remote.world.manager.switch("balanced", actor=Actor("me")))
        second = json.loads(process.stdout.readline())

        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=10)

    assert (first[shown], second[shown]) == ("premium", "balanced")
    assert (process.returncode, errors) == (0, "")
    assert all(json.loads(line) for line in rest.splitlines())


def test_a_filter_holds_while_following(remote: Remote) -> None:
    """Only what was asked for is shown, before and after."""
    remote.do(remote.world.manager.switch("specialized", actor=Actor("me")))
    with running(remote, "audit", "tail", "-f", "--json", "--actor", "me") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["revision"] == 2
        remote.do(remote.world.manager.switch("balanced", actor=Actor("somebody")))
        remote.do(remote.world.manager.switch("premium", actor=Actor("me (4f0c)")))

        assert json.loads(process.stdout.readline())["revision"] == 4


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"actor": "anna"},
        {"actor": "anna (4f0c)"},
        {"actor": "anna (4f0"},
        {"actor": "ann"},
        {"action": "edit"},
        {"profile": "premium"},
        {"profile": "specialized"},
        {"profile": "special"},
        {"profile": "balanced", "action": "switch"},
    ],
)
def test_what_follows_is_what_would_be_answered(remote: Remote, wanted: dict[str, str]) -> None:
    """The filters mean the same of the log so far and of what comes."""
    manager = remote.world.manager
    for actor, profile in (("anna (4f0c)", "balanced"), ("anna", "ultra_fast"), ("annabel", "premium")):
        remote.do(manager.switch(profile, actor=Actor(actor)))
    remote.do(manager.edit_task("specialized", "chat", "chat_balanced", actor=Actor("anna (9c1e)")))
    with httpx.Client(
        base_url=remote.url, headers={"Authorization": f"Bearer {remote.world.keys['admin']}"}
    ) as client:
        everything = client.get("/admin/audit").json()["entries"]
        answered = client.get("/admin/audit", params=wanted).json()["entries"]

    filters = dict.fromkeys(("actor", "action", "profile")) | wanted
    assert [entry for entry in everything if audit.matches(entry, filters)] == answered


def test_a_watched_status_reads_as_lines_without_a_terminal(remote: Remote) -> None:
    """A log keeps them."""
    with running(remote, "status", "--watch") as process:
        assert process.stdout is not None
        assert process.stdout.readline().rstrip().endswith("revision 1  premium  in force in 1 of 1 workers")
        remote.do(remote.world.manager.switch("balanced", actor=Actor("me")))

        assert "revision 2  balanced" in process.stdout.readline()
