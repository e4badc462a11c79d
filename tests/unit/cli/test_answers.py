"""Whatever else listens at the address, or another version of the plugin, is told in one line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.cli import names
from neuronode_router.cli.answers import NotOffered, read_answer
from tests.unit.cli.conftest import Terminal

COMMANDS = (
    "status",
    "status --watch",
    "top",
    "profile list",
    "profile show premium",
    "profile diff premium balanced",
    "profile plan premium",
    "profile switch premium",
    "profile edit premium --file mine.yaml",
    "profile validate",
    "profile validate --live",
    "profile matrix",
    "profile rollback",
    "policy show",
    "policy preview",
    "policy release",
    "rollout status",
    "rollout history",
    "rollout pause",
    "shadow status",
    "shadow report",
    "shadow stop",
    "team list",
    "team bind red premium",
    "usage",
    "usage residency",
    "outcomes show",
    "outcomes forget -y",
    "audit tail",
    "classify hello --url URL",
)


class Elsewhere(BaseHTTPRequestHandler):
    """A health page, at any address."""

    def do_GET(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = b'{"status": "ok"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere(neuronode: Terminal, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a service that answers everything with a JSON object of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("LITELLM_API_KEY", "sk-x")
        monkeypatch.setenv("LITELLM_BASE_URL", url)
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("command", COMMANDS)
def test_another_service_is_told_in_one_line(command: str, elsewhere: str, neuronode: Terminal) -> None:
    """Exit code 1 and how to look further, also where a change was asked for."""
    outcome = neuronode(*command.replace("URL", elsewhere).split())

    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1), outcome.err
    assert "neuronode doctor --online" in outcome.err


def test_a_shell_completes_nothing_from_another_service(elsewhere: str) -> None:
    """Nor does it show an error in the line that somebody types."""
    context = click.Context(click.Command("x"))
    context.params["url"] = elsewhere

    assert names.profile_names(context, click.Argument(["x"]), "") == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_an_answer_is_read_as_it_was_written(document: object) -> None:
    """Objects at any depth say what they lack; what is no object is no answer."""
    text = json.dumps(document)
    if not isinstance(document, dict):
        with pytest.raises(NotOffered):
            read_answer(text)
        return

    read = read_answer(text)

    assert read == document
    with pytest.raises(NotOffered, match="no such key"):
        read["no such key"]


@pytest.mark.parametrize("text", ["", "<html>", "[" * 100_000, b"\xff", '{"a": '])
def test_what_is_no_json_is_no_answer(text: str | bytes) -> None:
    """Cut off, endless, or a page."""
    with pytest.raises(NotOffered):
        read_answer(text)
