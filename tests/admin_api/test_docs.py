"""docs/admin-api.md is complete, and its commands run."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from admin_api.http.endpoints import Endpoint
from admin_api.http.guard import MAX_BODY_BYTES
from admin_api.http.limits import MAX_STREAMS
from admin_api.http.problems import KINDS, NO_ROUTE, TYPE_PREFIX
from admin_api.http.writes import REPLAYED_HEADER
from admin_api.router import ENDPOINTS, PREFIX, SECOND_PREFIX
from neuronode_router import access
from neuronode_router.usage.report import GROUPINGS
from tests.admin_api.world import World
from tests.support.web import serving

PAGE = (Path(__file__).parents[2] / "docs" / "admin-api.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
ENDLESS = "/events"

needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None and not os.environ.get("CI"), reason="the page's commands use curl"
)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_every_route_is_in_the_table(endpoint: Endpoint) -> None:
    """A route that is not documented does not exist for its users."""
    assert f"| `{endpoint.method} {PREFIX}{endpoint.path}` |" in PAGE


def test_every_error_is_in_the_table_with_its_status() -> None:
    """The table of errors and the code agree, row by row."""
    rows = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, flags=re.MULTILINE))

    assert rows == {(str(kind.status), code) for code, kind in {**KINDS, **NO_ROUTE}.items()}


def test_every_problem_of_the_access_file_is_explained() -> None:
    """The codes that the access room can report are those of its table."""
    room = Path(access.__file__).parent
    codes = {code for file in room.glob("*.py") for code in re.findall(r'"(access_\w+)"', file.read_text())}

    assert codes == set(re.findall(r"^\| `(access_\w+)` \|", PAGE, flags=re.MULTILINE))


def test_every_header_and_parameter_is_named(world: World) -> None:
    """Each header and query parameter of the OpenAPI page, and each header we answer with, is explained."""
    names = {
        parameter["name"]
        for methods in world.app.openapi()["paths"].values()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
    }
    answered = {"etag", REPLAYED_HEADER, "retry-after", "www-authenticate", "cache-control"}

    assert [name for name in names | answered if name.lower() not in PAGE.lower()] == []


def test_every_word_that_a_parameter_takes_is_named(world: World) -> None:
    """Each value of a query parameter that takes only some, and each grouping of a report."""
    words = {
        word
        for methods in world.app.openapi()["paths"].values()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
        for schema in (parameter["schema"], *parameter["schema"].get("anyOf", ()))
        for word in schema.get("enum", ())
    }

    named = {word for code in re.findall(r"`([^`\n]+)`", PAGE) for word in re.findall(r"\w+", code)}
    assert "shadow" in words
    assert sorted({*words, *GROUPINGS} - named) == []


def test_numbers_and_words_of_the_page_are_those_of_the_code() -> None:
    """Limits and prefixes that the page states are the ones in force."""
    assert f"{MAX_BODY_BYTES // 1024} kB" in PAGE
    assert f"hold {MAX_STREAMS} streams" in PAGE
    assert SECOND_PREFIX in PAGE
    assert TYPE_PREFIX in PAGE


@needs_curl
async def test_the_commands_work_as_pasted(world: World, tmp_path: Path) -> None:
    """Every command of the page runs, in order, in one shell, against a real server; none is refused."""
    finite = [block for block in COMMANDS if ENDLESS not in block]

    async with serving(world.app) as (url, _):
        code, output = await shell("set -e\n" + "\n".join(finite), world, url=url, directory=tmp_path)

    assert code == 0, output
    assert output.count("{") > len(finite)
    assert (tmp_path / "audit.ndjson").read_text().count("\n") >= 1


@needs_curl
async def test_the_event_stream_command_shows_events(world: World, tmp_path: Path) -> None:
    """The endless command prints the first event at once."""
    (block,) = [block for block in COMMANDS if ENDLESS in block]

    async with serving(world.app) as (url, _):
        _, output = await shell(f"{block.strip()} --max-time 2", world, url=url, directory=tmp_path)

    assert "event: revision" in output


async def shell(script: str, world: World, *, url: str, directory: Path) -> tuple[int, str]:
    """Run a script as the reader would, as an administrator; return its exit code and all it printed."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "URL": url, "KEY": world.keys["admin"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), timeout=60)
    return process.returncode or 0, output.decode()
