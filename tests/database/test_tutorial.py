"""docs/tutorial.md, from its empty folder on: both terminals, in order, as a reader pastes them.

Two things are not done as the page says: what is installed are the packages of these tests, and the database is theirs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from neuronode_router.domain.names import TASK_ALIASES
from tests.database.asking import MARKS
from tests.support.database_mode.build import environment
from tests.support.proxy import START_SECONDS
from tests.support.servers import PostgresServer, free_port, wait_until
from tests.support.upstream import Upstream

pytestmark = MARKS

PAGE = (Path(__file__).parents[2] / "docs/tutorial.md").read_text()
STEPS = {
    title: re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    for title, text in re.findall(r"^## \d\. (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
FIRST_TERMINAL = ("Configuration", "Start")
SECOND_TERMINAL = ("Look", "A team, a key, a request", "Switch", "What it cost")
PORT = 4000


@pytest.fixture(scope="module")
def url() -> str:
    """Where the reader's proxy listens."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory,
    url: str,
    upstream: Upstream,
    database_mode: Path,
    postgres: PostgresServer,
    litellm_database: str,
) -> Iterator[Mapping[str, str]]:
    """The reader's environment, with the first terminal done: the proxy runs in `my-proxy`, and is ready."""
    home = tmp_path_factory.mktemp("tutorial")
    (home / "my-proxy").mkdir()
    (home / "my-proxy/.venv").symlink_to(sys.prefix)
    environ = {
        **environment(database_mode),
        "HOME": str(home),
        "DATABASE_URL": postgres.new_database(like=litellm_database),
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": f"{upstream.url}/v1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    install, generate = STEPS["Install"][0].splitlines(), STEPS["Database"][-1]
    assert install[0].startswith("scripts/install --into ~/my-proxy/.venv")
    # The database client of these tests stands before that of the environment (tests/support/database_mode).
    entered = [*install[1:], f"PATH={database_mode}/bin:$PATH"]
    script = "\n".join([*entered, generate, *(block for step in FIRST_TERMINAL for block in STEPS[step])])
    with (home / "terminal-1").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", "set -e\n" + pasted(script, url)],
            env=environ,
            cwd=home,
            stdout=log,
            stderr=log,
        )
        try:
            wait_until(
                lambda: ready(process, url, home), seconds=START_SECONDS, what="the proxy of the tutorial"
            )
            yield environ
        finally:
            process.terminate()
            process.wait(20)


def ready(process: subprocess.Popen[bytes], url: str, home: Path) -> bool:
    """Whether the proxy answers; fails with what the terminal shows where it has ended."""
    assert process.poll() is None, (home / "terminal-1").read_text()
    try:
        return httpx.get(f"{url}/admin/health/readiness").status_code == 200
    except httpx.TransportError:
        return False


def pasted(script: str, url: str) -> str:
    """Return the commands for a port that is free here, with the terminal's last command in the place of the shell."""
    port = url.rpartition(":")[2]
    return (
        script.replace(f"--port {PORT}", f"--port {port}")
        .replace(f":{PORT}", f":{port}")
        .replace("\nlitellm ", "\nexec litellm ")
    )


def test_the_page_is_for_two_terminals() -> None:
    """Every step belongs to one, or is the installation."""
    assert list(STEPS) == ["Install", "Database", *FIRST_TERMINAL, *SECOND_TERMINAL]


def test_the_second_terminal_shows_what_the_page_says(home: Mapping[str, str], url: str) -> None:
    """Status, a limited key, a switch, a team of its own, figures and the log; no command fails."""
    shown = {}
    script = ""
    for step in SECOND_TERMINAL:
        script += f"echo '=== {step}'\n" + "\n".join(STEPS[step])
    done = subprocess.run(
        ["bash", "-c", "set -e\n" + pasted(script, url)],
        env=home, cwd=home["HOME"], capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for part in done.stdout.split("=== ")[1:]:
        title, _, text = part.partition("\n")
        shown[title] = text

    look, request, switch, cost = (shown[step] for step in SECOND_TERMINAL)
    assert "balanced" in look
    assert "in force in 1 of 1 workers" in look
    assert set(TASK_ALIASES) <= set(re.findall(r"^(\w+)  +\w+", look, re.MULTILINE))
    assert groups(request) == ["small", "small"]
    assert groups(switch) == ["large", "small", "large"]
    assert re.findall(r"x-neuronode-profile: (\w+)", switch) == ["premium", "balanced", "premium"]
    assert {"rollback", "bind", "switch"} <= set(re.findall(r"\b(?:rollback|bind|switch)\b", cost))
    assert "unpriced" not in cost.partition("revision")[0]


def groups(text: str) -> list[str]:
    """Return which groups answered, by the headers that were shown."""
    return re.findall(r"x-neuronode-group: (\w+)", text)
