"""How commands reach a proxy: address, key, refusals, and writes whose answer was lost."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from email.utils import formatdate
from functools import partial
from inspect import signature
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner

from neuronode_router import errors
from neuronode_router.cli.answers import NotOffered
from neuronode_router.cli.http import (
    KEY_VARIABLE,
    Connection,
    Refused,
    Unreachable,
    connect,
    in_options,
    refusal,
)
from neuronode_router.cli.terminal import error_lines
from neuronode_router.errors import (
    NeuronodeError,
    PolicyInvalid,
    Problem,
    ProfilesInvalid,
    SettingsError,
    TemplatesInvalid,
    UnprovenProfile,
    WarmFailed,
)
from neuronode_router.proof import gate
from tests.docs.test_cli import COMMANDS
from tests.unit.cli.conftest import Remote, Terminal

Handler = Callable[[httpx.Request], httpx.Response]


def talking_to(handler: Handler) -> Connection:
    """A connection whose proxy is a function."""
    return Connection(httpx.Client(base_url="http://proxy.test", transport=httpx.MockTransport(handler)))


def test_a_proxy_that_is_away_is_one_line(neuronode: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says how to start one and how to name another; no traceback, no key."""
    monkeypatch.setenv(KEY_VARIABLE, "sk-canary")

    outcome = neuronode("status", "--url", "http://127.0.0.1:9")

    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert "neuronode serve" in outcome.err
    assert "--url" in outcome.err
    assert "sk-canary" not in outcome.err


@pytest.mark.parametrize(
    "url", ["", "proxy:4000", "ftp://proxy", "http://", "http://me:secret@proxy", "http://proxy:port"]
)
def test_an_address_that_cannot_be_used_is_wrong_usage(
    url: str, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, and what was given is not repeated: it may hold a password."""
    monkeypatch.setenv(KEY_VARIABLE, "sk-canary")

    outcome = neuronode("status", "--url", url)

    assert outcome.code == 2
    assert "secret" not in outcome.err


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_address_may_end_in_v1(
    suffix: str, remote: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same variable serves openai's clients."""
    monkeypatch.setenv("LITELLM_BASE_URL", remote.url + suffix)

    assert neuronode("status").code == 0


def test_without_a_key_nobody_is_asked_in_a_script(neuronode: Terminal) -> None:
    """Exit code 2, and the variable is named."""
    outcome = neuronode("status", "--url", "http://127.0.0.1:9")

    assert outcome.code == 2
    assert KEY_VARIABLE in outcome.err


def test_at_a_terminal_the_key_is_asked_for_and_not_echoed(
    remote: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is typed works, and is nowhere on the screen."""
    monkeypatch.delenv(KEY_VARIABLE)
    key = remote.world.keys["admin"]

    outcome = neuronode("status", typed=f"{key}\n")

    assert outcome.code == 0
    assert key not in outcome.out + outcome.err


ODD_KEYS = ("sk-\u200bpasted", "\u201csk-quoted\u201d", "sk-\u00e4", "sk-two\nlines", "sk-\x7f", "")


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_that_no_header_carries_is_wrong_usage_wherever_it_comes_from(
    key: str, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One line that says which one, and not a word of it."""
    outcomes = []
    (tmp_path / ".neuronode").mkdir()
    (tmp_path / ".neuronode/master_key").write_text(f"{key}\n")
    outcomes.append(neuronode("status"))
    if key:
        monkeypatch.setenv(KEY_VARIABLE, f" {key} ")
        outcomes.append(neuronode("status", "--url", "http://proxy.invalid:4000"))
        monkeypatch.delenv(KEY_VARIABLE)
    if key and "\n" not in key:
        outcomes.append(neuronode("status", "--url", "http://proxy.invalid:4000", typed=f"{key}\n"))

    for outcome, origin in zip(outcomes, ("master_key", KEY_VARIABLE, "you typed"), strict=False):
        assert outcome.code == 2
        assert "no header carries" in outcome.err
        assert origin in outcome.err
        assert not key or key not in outcome.err + outcome.out


def test_the_key_that_serve_keeps_is_used_on_this_machine_only(
    remote: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It works for a loopback address, and is not sent anywhere else."""
    monkeypatch.delenv(KEY_VARIABLE)
    (tmp_path / ".neuronode").mkdir()
    (tmp_path / ".neuronode/master_key").write_text(f"{remote.world.keys['admin']}\n")

    assert neuronode("status").code == 0
    assert neuronode("status", "--url", "http://proxy.invalid:4000").code == 2


def test_no_command_takes_a_key_as_an_argument(neuronode: Terminal) -> None:
    """Arguments are seen by everybody on a machine."""
    for command in ("status", "doctor", "audit tail", "profile switch"):
        outcome = neuronode(*command.split(), "--help")
        assert "--key" not in outcome.out
        assert "--api-key" not in outcome.out


def test_a_key_that_may_not_is_told_so(
    remote: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Message and fix of the problem document, exit code 1."""
    remote.use(monkeypatch, "member")

    outcome = neuronode("profile", "switch", "balanced", "-y")

    assert outcome.code == 1
    assert "Ask an administrator" in outcome.err


def test_a_member_sees_a_status_without_workers(
    remote: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is null for this key is left out; nothing is wrong with that."""
    remote.use(monkeypatch, "member")

    outcome = neuronode("status")

    assert outcome.code == 0
    assert "host-1" not in outcome.out


def test_every_problem_is_a_line_with_its_field() -> None:
    """A refused request shows each field; the summary would only repeat them."""
    place = {"code": "missing", "message": "Field required.", "fix": "Add it.", "path": "body.profile"}
    document = {"code": "invalid_request", "detail": "all", "fix": "Compare.", "problems": [place]}
    headers = {"content-type": "application/problem+json"}
    proxy = talking_to(lambda _: httpx.Response(422, json=document, headers=headers))

    with pytest.raises(Refused) as refused:
        proxy.get("/profiles/status")

    assert error_lines(refused.value) == ["profile: Field required. Fix: Add it.", "Compare."]


PLACE = Problem("x", "It is wrong.", "Mend it.", path="tasks.chat")
WITH_PROBLEMS = (ProfilesInvalid, UnprovenProfile, WarmFailed, PolicyInvalid, TemplatesInvalid)


@pytest.mark.parametrize("kind", WITH_PROBLEMS)
def test_what_helps_against_all_problems_is_said_after_them(
    kind: Callable[[Sequence[Problem]], NeuronodeError],
) -> None:
    """Raised here or refused by the proxy; a place is not the only thing that an error has to say."""
    error = kind([PLACE, PLACE])
    told = {"code": error.code, "detail": error.message, "fix": error.fix, "problems": [asdict(PLACE)] * 2}

    for raised in (error, refusal(409, told)):
        assert error_lines(raised) == [str(PLACE), str(PLACE), raised.fix]
    assert error_lines(NeuronodeError("It is off.", fix="Turn it on.")) == ["It is off. Turn it on."]


def test_every_error_with_problems_is_looked_at() -> None:
    """A new one must be in the table above."""
    with_problems = {
        each
        for each in vars(errors).values()
        if isinstance(each, type)
        and issubclass(each, NeuronodeError)
        and "problems" in signature(each).parameters
    }

    assert with_problems == set(WITH_PROBLEMS)


FIXES = [
    *(
        each.fix
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, NeuronodeError)
    ),
    *gate.FIXES.values(),
    gate.PROVE,
]


@pytest.mark.parametrize("fix", sorted(set(FIXES)))
def test_an_advice_names_commands_and_not_routes(fix: str) -> None:
    """Who types has no curl at hand; only a reload has no command."""
    said = in_options(fix).replace("POST /admin/reload", "")

    assert "/admin" not in said
    assert said.count("`") % 2 == 0
    for command in re.findall(r"`neuronode ([a-z ]+?)(?: --[^`]*)?`", said):
        assert f"neuronode {command}" in COMMANDS


@pytest.mark.parametrize(
    ("advice", "said"),
    [
        ("Repeat with `warm: background`.", "Repeat with `--warm background`."),
        ("Or with `force`; `pull` fetches it.", "Or with `--force`; `pull` fetches it."),
        ("An earlier time, or the end with `to`.", "An earlier time, or the end with `--until`."),
        ("Send `Content-Type: application/json`.", "Send `Content-Type: application/json`."),
    ],
)
def test_an_advice_names_the_options_of_the_command(advice: str, said: str) -> None:
    """What the command has no option for keeps its name."""

    @click.command()
    @click.option("--warm")
    @click.option("--until")
    @click.option("--force", is_flag=True)
    def command(**_: object) -> None:
        click.echo(in_options(advice))

    assert CliRunner().invoke(command).output == f"{said}\n"
    assert in_options(advice) == advice


def test_litellms_own_errors_are_not_repeated() -> None:
    """They quote keys and prompts."""
    proxy = talking_to(lambda _: httpx.Response(400, json={"error": {"message": "key sk-canary is unknown"}}))

    with pytest.raises(Refused) as refused:
        proxy.get("/profiles/status")

    assert "canary" not in refused.value.message
    assert "400" in refused.value.message


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, json={"detail": "Not Found"}),
        httpx.Response(
            404, json={"code": "no_such_path"}, headers={"content-type": "application/problem+json"}
        ),
        httpx.Response(405, json={"detail": "Method Not Allowed"}),
        httpx.Response(200, text="<html>welcome</html>"),
        httpx.Response(200, json=["not", "ours"]),
    ],
)
def test_a_proxy_without_the_plugin_is_recognised(answer: httpx.Response) -> None:
    """Whatever else answers there."""
    with pytest.raises(NotOffered):
        talking_to(lambda _: answer).get("/profiles/status")


def test_a_redirect_is_not_followed_with_the_key() -> None:
    """The key belongs to the address it was given for."""
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(307, headers={"location": "http://elsewhere.test/"})

    with pytest.raises(Refused):
        talking_to(handler).get("/profiles/status")

    assert asked == ["http://proxy.test/neuronode/profiles/status"]


def test_a_write_whose_answer_was_lost_is_sent_again_as_the_same_write() -> None:
    """The second attempt carries the same Idempotency-Key, so the proxy does it once."""
    keys: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadError("reset")
        return httpx.Response(200, json={"revision": 2})

    answer = talking_to(handler).send("POST", "/profiles/switch", {"profile": "balanced"})

    assert answer.document == {"revision": 2}
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_write_is_not_repeated_without_end() -> None:
    """Twice is enough to know."""
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ConnectError("refused")

    with pytest.raises(Unreachable):
        talking_to(handler).send("POST", "/profiles/switch", {})

    assert len(asked) == 2


LOST = httpx.ReadError("reset")
UNKNOWN, AWAY, CONFLICT = (
    httpx.Response(
        status, json={"code": code, "detail": code}, headers={"content-type": "application/problem+json"}
    )
    for status, code in ((503, "commit_unknown"), (503, "store_unavailable"), (412, "revision_conflict"))
)
MADE = httpx.Response(200, json={"revision": 2})


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (UNKNOWN, MADE, None),
        (LOST, MADE, None),
        (UNKNOWN, UNKNOWN, "commit_unknown"),
        (UNKNOWN, AWAY, "commit_unknown"),
        (UNKNOWN, LOST, "commit_unknown"),
        (LOST, AWAY, "unreachable"),
        (LOST, UNKNOWN, "unreachable"),
        (UNKNOWN, CONFLICT, "revision_conflict"),
        (AWAY, MADE, "store_unavailable"),
        (CONFLICT, MADE, "revision_conflict"),
    ],
)
def test_a_write_is_sent_again_where_nobody_can_tell_whether_it_was_made(
    first: httpx.Response | Exception, second: httpx.Response | Exception, told: str | None
) -> None:
    """As the same write; a second attempt that fails for the moment takes no doubt away. Nothing else is repeated."""
    keys: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        answer = first if len(keys) == 1 else second
        if isinstance(answer, Exception):
            raise answer
        return answer

    send = partial(talking_to(handler).send, "POST", "/profiles/switch", {})
    if told is None:
        assert send().document == {"revision": 2}
    else:
        with pytest.raises(NeuronodeError) as refused:
            send()
        assert refused.value.code == told
        assert "Idempotency-Key" not in refused.value.fix

    assert len(keys) == (1 if first in (AWAY, CONFLICT) else 2)
    assert len(set(keys)) == 1


def test_events_are_read_with_signs_of_life_in_between() -> None:
    """A comment is None; an event has its revision and its entry."""
    stream = 'id: 7\nevent: revision\ndata: {"revision": 7}\n\n: ping\n\nid: 8\ndata: {"revision": 8}\n\n'
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Last-Event-ID"])
        return httpx.Response(200, text=stream, headers={"content-type": "text/event-stream"})

    found = [event and event.entry for event in talking_to(handler).events(6)]

    assert found == [None, {"revision": 7}, None, {"revision": 8}]
    assert seen == ["6"]


@pytest.mark.parametrize(
    ("said", "ahead"), [(3600, 3600), (-3600, -3600), (0, 0), ("some day", 0), (None, 0)]
)
def test_the_time_is_the_proxys(said: int | str | None, ahead: int) -> None:
    """It is asked for once; who does not say it is taken to have this machine's, and so is who is a second off."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        date = formatdate(time.time() + said, usegmt=True) if isinstance(said, int) else said
        return httpx.Response(403, headers={} if date is None else {"Date": date})

    connection = talking_to(answer)

    assert connection.now() - time.time() == pytest.approx(ahead, abs=600)
    assert (connection.now() > time.time() - 1) is (ahead >= 0)
    assert len(asked) == 1


def test_settings_are_refused_before_anything_is_sent() -> None:
    """A connection is not made for an address without a scheme."""
    with pytest.raises(SettingsError), connect("proxy"):
        pytest.fail("there is no such connection")


def test_json_is_ascii(remote: Remote, neuronode: Terminal) -> None:
    """A console of any code page shows it, and a program reads it back."""
    assert neuronode("profile", "switch", "balanced", "-y", "--reason", "für später").code == 0

    line = neuronode("audit", "tail", "-n", "1", "--json").out

    assert line.isascii()
    assert json.loads(line)["reason"] == "für später"
