"""What a set-up needs to reach: real servers that answer, are away, or hang."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from neuronode_router.cli.compose import Launch
from neuronode_router.cli.doctor import reaching
from neuronode_router.cli.doctor.finding import Subject
from neuronode_router.settings import Settings
from tests.support.migrated import migrated, migrated_by_a_newer_release
from tests.support.servers import RedisServer, free_port


def subject(directory: Path, config: dict[str, object] | None = None, **environ: str) -> Subject:
    """A set-up with this environment."""
    return Subject(config or {}, Settings.load(environ, config=directory / "litellm_config.yaml"), environ)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_redis_that_answers_is_no_finding(tmp_path: Path, redis_server: RedisServer) -> None:
    """Frozen, it is one, after a bounded time."""
    asked = subject(tmp_path, NEURONODE_REDIS_URL=redis_server.url)
    assert list(reaching.redis_answers(asked)) == []

    redis_server.freeze()
    began = time.monotonic()

    assert [finding.code for finding in reaching.redis_answers(asked)] == ["redis_unreachable"]
    assert time.monotonic() - began < 3 * reaching.SECONDS
    redis_server.thaw()


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    """An address may carry one; those that nobody can read are refused with the settings, before anybody is asked."""
    address = "me:canary@127.0.0.1:9/0"
    environ = {"NEURONODE_REDIS_URL": f"redis://{address}", "NEURONODE_STATE_URL": f"postgresql://{address}"}
    asked = subject(tmp_path, **environ)

    findings = [*reaching.redis_answers(asked), *reaching.store_answers(asked)]

    assert [finding.code for finding in findings] == ["redis_unreachable", "store_unreachable"]
    assert all("canary" not in finding.message + finding.fix for finding in findings)


def test_no_redis_is_asked_for_where_none_is_named(tmp_path: Path) -> None:
    """It is optional."""
    assert list(reaching.redis_answers(subject(tmp_path))) == []


def test_a_database_that_answers_is_no_finding(tmp_path: Path, postgres_url: str) -> None:
    """Nothing is created in it by asking."""
    assert list(reaching.store_answers(subject(tmp_path, NEURONODE_STATE_URL=postgres_url))) == []


def test_a_database_that_hangs_is_found_soon(tmp_path: Path, silent: int) -> None:
    """And its password is not shown."""
    url = f"postgresql://me:canary@127.0.0.1:{silent}/x"
    began = time.monotonic()

    [finding] = reaching.store_answers(subject(tmp_path, NEURONODE_STATE_URL=url))

    assert finding.code == "store_unreachable"
    assert "canary" not in finding.message
    assert time.monotonic() - began < 3 * reaching.SECONDS


def test_a_file_that_can_be_created_is_no_finding_and_is_not_created(tmp_path: Path) -> None:
    """Looking must not leave a database behind."""
    assert list(reaching.store_answers(subject(tmp_path))) == []
    assert list(tmp_path.iterdir()) == []


def test_a_state_directory_that_is_a_file_is_found(tmp_path: Path) -> None:
    """Nothing can be created in it."""
    (tmp_path / "taken").write_text("")

    [finding] = reaching.store_answers(subject(tmp_path, NEURONODE_STATE_DIR=str(tmp_path / "taken")))

    assert "--state-dir" in finding.fix


class Tags(BaseHTTPRequestHandler):
    """An Ollama that has one model, and notes what it is asked."""

    asked: list[str]

    def do_GET(self) -> None:
        """Answer with the tags."""
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"models": [{"name": "llama3.1:8b"}]}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def ollama() -> Iterator[str]:
    """The address of an Ollama that has llama3.1:8b."""
    Tags.asked = []
    with HTTPServer(("127.0.0.1", 0), Tags) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_ollama_is_asked_for_its_list_and_nothing_else(tmp_path: Path, ollama: str) -> None:
    """Anything more would load a model. What it lacks, and one that is away, are problems; a missing key is advice."""

    def deployment(group: str, target: str, **params: str) -> dict[str, object]:
        return {"model_name": group, "litellm_params": {"model": target, **params}}

    config = {
        "model_list": [
            deployment("there", "ollama_chat/llama3.1:8b", api_base=ollama),
            deployment("lacking", "ollama_chat/llama3.1:70b", api_base=ollama),
            deployment("away", "ollama_chat/llama3.1:8b", api_base=f"http://127.0.0.1:{free_port()}"),
            deployment("keyless", "openai/some", api_key="os.environ/SOME_KEY"),
            deployment("keyed", "openai/some", api_key="os.environ/KEY_OF_THE_FILE"),
        ],
        "environment_variables": {"KEY_OF_THE_FILE": "x"},
    }

    findings = list(reaching.backends_answer(subject(tmp_path, config)))

    assert [(finding.level, finding.where) for finding in findings] == [
        ("problem", "lacking"),
        ("problem", "away"),
        ("advice", "keyless"),
    ]
    assert Tags.asked == ["/api/tags"]


def test_a_database_of_a_newer_release_is_found_before_a_start(tmp_path: Path) -> None:
    """Nothing is made for the answer, and a database that is away is the other check's finding."""
    newer = migrated_by_a_newer_release(tmp_path / "newer.db")
    new, away = f"sqlite:///{tmp_path}/new.db", f"postgresql://127.0.0.1:{free_port()}/x"

    found = [
        [one.code for one in reaching.store_is_readable(subject(tmp_path, NEURONODE_STATE_URL=url))]
        for url in (newer, migrated(tmp_path / "ours.db"), new, away)
    ]

    assert found == [["schema_too_new"], [], [], []]
    assert not (tmp_path / "new.db").exists()


def test_what_a_service_has_is_judged_without_asking_its_addresses(tmp_path: Path) -> None:
    """`http://ollama:11434` is another machine there than here; a key that the service has is set."""
    config = {
        "model_list": [
            {"model_name": name, "litellm_params": params}
            for name, params in (
                ("keyed", {"model": "openai/some", "api_key": "os.environ/OPENAI_API_KEY"}),
                ("keyless", {"model": "anthropic/some"}),
                ("local", {"model": "ollama_chat/llama3.1:8b"}),
            )
        ]
    }
    environ = {"OPENAI_API_KEY": "sk-x", "OLLAMA_API_BASE": f"http://127.0.0.1:{free_port()}"}
    here = subject(tmp_path, config)
    there = replace(here, services=(Launch("service proxy", environ),))

    [finding] = reaching.backends_answer(there)

    assert (finding.level, finding.where) == ("advice", "service proxy: keyless")
    assert "ANTHROPIC_API_KEY is not set" in finding.message
    assert "answer with an error" in finding.fix
    assert "OPENAI_API_KEY is not set." in {one.message for one in reaching.backends_answer(here)}


ODD = (
    *(
        "redis://127.0.0.1:9/0?canary=1",
        "redis://127.0.0.1:9/0?db=canary",
    ),
    *("redis://127.0.0.1:9/0?ssl_cert_reqs=canary", "rediss://127.0.0.1:9/0?ssl_cert_reqs=canary"),
    *("redis://127.0.0.1:9/0?socket_timeout=canary", "redis://127.0.0.1:9/0?protocol=canary"),
    *("redis://127.0.0.1:9/0?protocol=77&client_name=canary", "redis://127.0.0.1:9/0?retry_on_error=canary"),
    *("unix:///nowhere/canary.sock?canary=1", "redis://127.0.0.1:9/0?connection_class=canary"),
    *(
        "redis://127.0.0.1:9/0?retry=canary",
        "redis://127.0.0.1:9/0?encoding=canary",
        "redis://127.0.0.1:9/canary",
    ),
)
"""Options that nobody knows, or that hold what they cannot."""


@pytest.mark.parametrize("url", ODD)
def test_an_option_that_nobody_knows_is_a_finding_without_its_text(tmp_path: Path, url: str) -> None:
    """No traceback, and no word of the address."""
    [finding] = reaching.redis_answers(subject(tmp_path, NEURONODE_REDIS_URL=url))

    assert finding.code == "redis_unreachable"
    assert "canary" not in finding.message + finding.fix


@pytest.mark.parametrize(
    "url", ["sqlite:///x.db?canary=1", "sqlite:////dev/null/canary/x.db", "sqlite:////dev/null/canary"]
)
def test_a_file_that_cannot_be_used_is_not_quoted(tmp_path: Path, url: str) -> None:
    """An operator knows the address; a log need not."""
    [finding] = reaching.store_answers(subject(tmp_path, NEURONODE_STATE_URL=url))

    assert finding.code == "store_unreachable"
    assert "canary" not in finding.message + finding.fix
