"""`neuronode serve` as a newcomer meets it: no key, no Ollama, an empty state directory, one command."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from tests.support.metering import requests_of
from tests.support.servers import runs

ROOT = Path(__file__).parents[2]
START_SECONDS = 150
UNSET = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "OLLAMA_API_BASE")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


class Service:
    """A running `neuronode serve` and what it has printed."""

    def __init__(self, folder: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        self.state_dir = folder / "state"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._output = folder / "output.txt"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NEURONODE_")}
        for name in (*UNSET, "LITELLM_MASTER_KEY", "DATABASE_URL"):
            clean.pop(name, None)
        command = [str(Path(sys.executable).parent / "neuronode"), "serve", "--port", self.url.split(":")[-1]]
        command += ["--config", str(folder / "litellm_config.yaml"), "--state-dir", str(self.state_dir)]
        with self._output.open("w") as output:
            self.process = psutil.Popen(
                [*command, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**clean, **(environ or {})},
                cwd=folder,
            )
        self.family: list[psutil.Process] = []

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return self._output.read_text()

    @property
    def key(self) -> str:
        """The master key that was made."""
        return (self.state_dir / "master_key").read_text().strip()

    def wait_ready(self) -> None:
        """Wait for the banner; fail with the output when the service ends instead."""
        wait_for(lambda: "Ask again" in self.output or self.process.poll() is not None, seconds=START_SECONDS)
        assert "Ready after" in self.output, self.output
        self.family = [self.process, *self.process.children(recursive=True)]

    def commands(self) -> list[str]:
        """The three commands of the banner."""
        return re.findall(r"^  (curl .*)$", self.output, re.MULTILINE)

    def ask(self, name: str, *, key: str | None = None) -> httpx.Response:
        """Ask a model name one short question, with the master key if no other is given."""
        body = {"model": name, "max_tokens": 4, "messages": [{"role": "user", "content": "Say hello."}]}
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=60)

    def status(self) -> Any:
        """The status document of the admin API."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.get(f"{self.url}/admin/profiles/status", headers=headers, timeout=30).json()

    def metrics(self) -> bytes:
        """Our metrics, as whichever worker is asked tells them."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.get(f"{self.url}/admin/metrics", headers=headers, timeout=30).content

    def workers(self) -> list[psutil.Process]:
        """The worker processes that exist, whether they accept requests yet or not."""
        children = self.process.children(recursive=True)
        return [child for child in children if any("spawn_main" in part for part in command_line(child))]

    def live_workers(self) -> int:
        """How many workers follow the control state."""
        return sum(worker["live"] for worker in self.status()["workers"])

    def gone(self) -> bool:
        """Whether no process of the family runs any more."""
        return not any(map(runs, self.family))

    def clean_up(self) -> None:
        """Leave nothing behind, whatever the test did."""
        for process in reversed([self.process, *self.family]):
            if process.is_running():
                process.kill()
        self.process.wait(10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped configuration and profiles in a folder of their own, without any state."""
    path = tmp_path_factory.mktemp("serve")
    shutil.copy(ROOT / "litellm_config.yaml", path)
    shutil.copytree(ROOT / "profiles", path / "profiles")
    return path


@pytest.fixture(scope="module")
def first(folder: Path) -> Iterator[Service]:
    """The very first start: nothing is configured, nothing is there."""
    service = Service(folder)
    try:
        service.wait_ready()
        yield service
    finally:
        service.clean_up()


def test_the_banner_is_honest_and_the_key_stays_in_its_file(first: Service) -> None:
    """Steps with seconds, the embedded model named, the key private and nowhere else on disk or screen."""
    groups = {
        d["model_name"] for d in yaml.safe_load((ROOT / "litellm_config.yaml").read_text())["model_list"]
    }

    assert len(re.findall(r"\d+\.\d s$", first.output, re.MULTILINE)) >= 4
    assert f"all {len(groups)} model groups are answered by SmolLM2" in first.output
    assert stat.S_IMODE((first.state_dir / "master_key").stat().st_mode) == 0o600
    others = [path for path in first.state_dir.rglob("*") if path.is_file() and path.name != "master_key"]
    assert others
    assert first.key.encode() not in b"".join(path.read_bytes() for path in others)
    assert first.key not in first.output


def test_the_first_answer_comes_from_the_embedded_model(first: Service) -> None:
    """A task alias is answered with the decision in the headers, the embedded model included."""
    answer = first.ask("classification")

    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"]
    assert answer.headers["x-neuronode-embedded"] == "1"
    assert answer.headers["x-neuronode-task"] == "classification"
    assert answer.headers["x-neuronode-profile"] == "premium"


def test_plain_requests_after_streams_are_answered(first: Service) -> None:
    """The embedded server closes connections after streams; none of that may reach a caller."""
    with httpx.Client(headers={"Authorization": f"Bearer {first.key}"}, timeout=60) as client:
        for _ in range(15):
            body = {"model": "chat", "max_tokens": 2, "messages": [{"role": "user", "content": "Hello"}]}
            stream = client.post(f"{first.url}/v1/chat/completions", json={**body, "stream": True})
            plain = client.post(f"{first.url}/v1/chat/completions", json=body)

            assert stream.text.rstrip().endswith("data: [DONE]")
            assert plain.status_code == 200


def test_the_banners_three_commands_work_as_pasted(first: Service) -> None:
    """Ask, switch, and see the next request go elsewhere."""
    ask, switch, ask_again = first.commands()

    assert json.loads(shell(ask))["choices"]
    receipt = json.loads(shell(switch))
    assert (receipt["changed"], receipt["complete"]) == (True, True)
    headers = shell(ask_again)
    assert f"x-neuronode-profile: {receipt['profile']}" in headers
    assert f"x-neuronode-revision: {receipt['revision']}" in headers


def test_the_banners_look_from_another_terminal_works_as_pasted(first: Service, tmp_path: Path) -> None:
    """From any folder, whatever is on PATH and without any variable of ours."""
    (look,) = re.findall(r"^  (LITELLM_API_KEY=.*)$", first.output, re.MULTILINE)

    shown = subprocess.run(
        ["sh", "-c", look],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "in force in 1 of 1 workers" in shown.stdout, shown.stderr
    assert "Answered by the built-in tiny model" in shown.stdout


def test_the_readmes_commands_work(first: Service) -> None:
    """Ask, switch, look at the status and roll back, as a reader copies them."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = [block for block in blocks if block.startswith("KEY=")]
    block = block.replace("http://127.0.0.1:4000", first.url).replace(".neuronode/", f"{first.state_dir}/")

    answers = shell(f"set -eu\n{block}")

    assert '"model":"classification"' in answers
    assert '"profile":"cost_effective"' in answers
    assert '"action":"rollback"' in answers
    assert first.status()["active_profile"] != "cost_effective"


def test_a_second_service_on_the_same_port_or_state_is_refused_in_one_line(
    first: Service, folder: Path, tmp_path: Path
) -> None:
    """The message says what to do; the exit code is that of wrong usage."""
    command = [str(Path(sys.executable).parent / "neuronode"), "serve", "--config", "litellm_config.yaml"]
    port = ["--port", first.url.split(":")[-1], "--state-dir", str(tmp_path)]
    state = ["--port", str(free_port()), "--state-dir", str(first.state_dir)]

    for arguments, hint in ((port, "--port"), (state, "--state-dir")):
        done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, check=False)

        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert hint in done.stderr


def test_sigterm_stops_everything(first: Service) -> None:
    """The exit code says that it was asked to stop, and no child is left."""
    first.process.send_signal(signal.SIGTERM)

    assert first.process.wait(30) == 0
    assert len(first.family) >= 3
    wait_for(first.gone, seconds=5)


def test_a_second_start_keeps_key_and_profile_and_uses_a_real_backend_that_answers(
    first: Service, folder: Path
) -> None:
    """A group of an Ollama in reach is not embedded; a crash of the embedded model heals; kill -9 leaves nothing."""
    key = first.key
    access = folder / "access.yaml"
    narrow = make_key(access, "--task", "classification")
    with ollama({"llama3.1:8b", "qwen2.5:7b"}) as address:
        environ = {"OLLAMA_API_BASE": address, "NEURONODE_ACCESS_FILE": str(access)}
        service = Service(folder, "--workers", "2", environ=environ)
        try:
            service.wait_ready()
            assert service.key == key
            assert service.status()["active_profile"] != "premium"
            wait_for(lambda: service.live_workers() == 2, seconds=60)

            answer = service.ask("tier_fast")
            assert answer.json()["choices"][0]["message"]["content"] == "Ollama says hello."
            assert "x-neuronode-embedded" not in answer.headers
            assert "tier_fast" not in service.status()["embedded_groups"]

            assert service.ask("classification", key=narrow).status_code == 200
            assert service.ask("classification_premium", key=narrow).status_code in (401, 403)

            for _ in range(4):
                assert service.ask("extraction").status_code == 200
            for _ in range(4):  # whichever worker tells
                wait_for(lambda: requests_of(service.metrics(), task="extraction") == 4, seconds=30)

            (model_server,) = [
                p for p in service.family if "neuronode_router.cli.serve.embedded" in p.cmdline()
            ]
            model_server.kill()
            wait_for(lambda: service.ask("classification_premium").status_code == 200, seconds=60)
            assert "the embedded model ended by signal SIGKILL" in service.output

            service.family = [service.process, *service.process.children(recursive=True)]
            service.process.kill()
            wait_for(service.gone, seconds=20)
        finally:
            service.clean_up()


@pytest.mark.campaign
def test_kill_9_while_workers_still_import_leaves_nothing(folder: Path) -> None:
    """Nothing of ours runs in the workers yet, so they cannot look after themselves.

    Nor can the processes of `tests/unit/cli/test_supervise.py`, which end as these do and have nothing to import.
    """
    service = Service(folder, "--workers", "2")
    try:
        wait_for(lambda: len(service.workers()) == 2, seconds=60)
        service.family = [service.process, *service.process.children(recursive=True)]

        service.process.kill()

        wait_for(service.gone, seconds=10)
    finally:
        service.clean_up()


def command_line(process: psutil.Process) -> list[str]:
    """Return how a process was called, nothing for one that has just ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def make_key(access: Path, *grants: str) -> str:
    """Add a key to an access file with the command line; returns the key."""
    program = str(Path(sys.executable).parent / "neuronode")
    command = [program, "key", "create", "--name", "narrow", "--file", str(access), *grants]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def shell(command: str) -> str:
    """Run a command as a user would paste it."""
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout


def wait_for(condition: Callable[[], bool], *, seconds: float) -> None:
    """Wait until the condition holds; fail after `seconds`."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, "the condition did not hold in time"
        pause.wait(0.1)


def free_port() -> int:
    """A port nobody uses right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ollama(tags: set[str]) -> Iterator[str]:
    """Run a server with as much of Ollama's interface as a chat needs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({"models": [{"name": tag} for tag in sorted(tags)]})

        def do_POST(self) -> None:
            name = json.loads(self.rfile.read(int(self.headers["Content-Length"]))).get("model")
            message = {"role": "assistant", "content": "Ollama says hello."}
            counts = {"prompt_eval_count": 3, "eval_count": 4}
            self._answer({"model": name, "message": message, "done": True, "done_reason": "stop", **counts})

        def _answer(self, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
