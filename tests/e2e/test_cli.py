"""The command line against the real proxy: switches count, a watch survives a restart, what init adds works."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import ADMIN
from tests.support.place import Place
from tests.support.proxy import MASTER_KEY, Proxy
from tests.support.servers import wait_until
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PROGRAM = [sys.executable, "-c", "from neuronode_router.cli.main import main; main()"]


def environment(url: str) -> dict[str, str]:
    """What a terminal has."""
    return {
        **os.environ,
        "LITELLM_BASE_URL": url,
        "LITELLM_API_KEY": MASTER_KEY,
        "LITELLM_MASTER_KEY": MASTER_KEY,
    }


def neuronode(url: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=environment(url),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def watching(url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until it is interrupted."""
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        env=environment(url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As at a terminal: a shell lets what it runs in the background ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def who_answers(client: httpx.Client) -> str:
    """The profile under which a request was routed."""
    body = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
    return client.post("/v1/chat/completions", json=body).raise_for_status().headers["x-neuronode-profile"]


def test_a_switch_counts_for_the_next_request_and_can_be_taken_back(
    proxy: Proxy, admin: httpx.Client
) -> None:
    """The receipt has both workers; requests follow it at once."""
    switched = neuronode(proxy.url, "profile", "switch", "balanced", "-y", "--json", "--reason", "cli")
    receipt = json.loads(switched.stdout)
    assert (switched.returncode, receipt["complete"], len(receipt["workers"])) == (0, True, 2)
    assert who_answers(admin) == "balanced"

    back = neuronode(proxy.url, "profile", "rollback", "-y")

    assert back.returncode == 0, back.stderr
    assert who_answers(admin) == "premium"
    assert "cli" in neuronode(proxy.url, "audit", "tail", "-n", "2").stdout


def test_an_edit_from_a_file_counts_for_the_next_request(
    proxy: Proxy, admin: httpx.Client, tmp_path: Path
) -> None:
    """And a second one brings the old text back."""
    original = proxy.place.profiles / "premium.yaml"
    before, edited = original.read_text(), tmp_path / "premium.yaml"
    edited.write_text(before.replace("chat: chat_premium", "chat: tier_fast"))

    assert neuronode(proxy.url, "profile", "edit", "premium", "--file", str(edited), "-y").returncode == 0
    body = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
    answer = admin.post("/v1/chat/completions", json=body)
    assert answer.headers["x-neuronode-group"] == "tier_fast"

    edited.write_text(before)
    assert neuronode(proxy.url, "profile", "edit", "premium", "--file", str(edited), "-y").returncode == 0
    assert original.read_text() == before


def test_a_watch_shows_a_switch_in_both_workers(proxy: Proxy, admin: httpx.Client) -> None:
    """As a line of JSON, and ends quietly on Ctrl-C."""
    with watching(proxy.url, "status", "--watch", "--json") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        admin.post(f"{ADMIN}/switch", json={"profile": "ultra_fast"}).raise_for_status()
        seen = json.loads(process.stdout.readline())
        while not seen["converged"]:
            seen = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)

    assert (first["active_profile"], seen["active_profile"]) == ("premium", "ultra_fast")
    assert {worker["revision"] for worker in seen["workers"] if worker["live"]} == {seen["revision"]}
    assert (process.returncode, errors) == (0, "")


def test_the_doctor_finds_nothing_wrong_with_a_running_proxy(proxy: Proxy, admin: httpx.Client) -> None:
    """What it says is advice about the test's own set-up."""
    config = str(proxy.place.config)

    outcome = neuronode(proxy.url, "doctor", "--online", "--json", "--no-reach", "--config", config)

    document = json.loads(outcome.stdout)
    assert [finding for finding in document["findings"] if finding["level"] == "problem"] == []
    assert outcome.returncode == 0


def test_usage_counts_what_was_asked(proxy: Proxy, admin: httpx.Client) -> None:
    """A request more is a request more."""

    def requests() -> int:
        outcome = neuronode(proxy.url, "usage", "--json", "--since", "24h")
        assert outcome.returncode == 0, outcome.stderr
        return int(json.loads(outcome.stdout)["total"]["requests"])

    before = requests()
    who_answers(admin)

    wait_until(lambda: requests() > before, seconds=60, what="the request in the books")
    assert neuronode(proxy.url, "profile", "plan", "balanced").returncode == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Untouched(Place):
    """A LiteLLM set-up that knows nothing of the plugin until `neuronode init` was there."""

    def write(self) -> None:
        """Write the configuration alone, and let `init` add the rest."""
        Place.write(self)
        shutil.rmtree(self.profiles)
        before = self.config.read_bytes()
        outcome = neuronode("http://127.0.0.1:9", "init", "-y", cwd=self.directory)
        assert outcome.returncode == 0, outcome.stderr
        assert self.config.read_bytes() == before

    @property
    def environ(self) -> dict[str, str]:
        """What `init` wrote for the environment."""
        lines = (self.directory / "neuronode.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_what_init_adds_works_and_a_watch_survives_a_restart(tmp_path: Path, upstream: Upstream) -> None:
    """A plain LiteLLM with nothing but the files of init serves profiles; a watch goes on when it comes back."""
    place = Untouched(directory=tmp_path, upstream=upstream.url)
    place.write()

    with Proxy(place, plugin=False, environ=place.environ) as proxy, proxy.client() as client:
        assert who_answers(client) == "balanced"
        with watching(proxy.url, "audit", "tail", "--follow", "--json") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert json.loads(process.stdout.readline())["action"] == "bootstrap"

            proxy.stop()
            assert "Trying again" in process.stderr.readline()
            proxy.start()
            assert neuronode(proxy.url, "profile", "switch", "premium", "-y").returncode == 0

            assert json.loads(process.stdout.readline())["profile_after"] == "premium"
        assert who_answers(client) == "premium"
