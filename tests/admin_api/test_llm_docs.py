"""docs/task-api.md is complete, and its commands run."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from admin_api.http.endpoints import Endpoint
from admin_api.http.problems import TASK_KINDS
from admin_api.router import MAX_TASK_BODY_BYTES, TASK_ENDPOINTS, TASK_PREFIX
from admin_api.tasks.schemas import ChatBody, RoutingStatsDocument
from neuronode_router.litellm_plugin.task_host import CARRIED
from neuronode_router.tasks.results import (
    AnalysisResult,
    ChatResult,
    ModelConfig,
    ModelResponse,
    Routing,
    SentimentResult,
)
from tests.admin_api.task_world import TaskWorld
from tests.admin_api.test_docs import shell
from tests.support.web import serving

PAGE = (Path(__file__).parents[2] / "docs" / "task-api.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize(
    "endpoint", TASK_ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}"
)
def test_every_route_is_in_the_table(endpoint: Endpoint) -> None:
    """A route that is not documented does not exist for its users."""
    assert f"| `{endpoint.method} {TASK_PREFIX}{endpoint.path}` |" in PAGE


def test_every_error_is_in_the_table_with_its_status() -> None:
    """The table of errors and the code agree, row by row."""
    rows = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, flags=re.MULTILINE))

    assert rows == {(str(kind.status), code) for code, kind in TASK_KINDS.items()}


def test_every_field_and_header_is_named() -> None:
    """Of requests, answers and results; and each header that goes along."""
    documents, results = (ChatBody, RoutingStatsDocument), (AnalysisResult, ChatResult, Routing)
    words = {name for document in documents for name in document.model_fields} | {*CARRIED}
    words |= {field.name for of in (*results, ModelConfig, ModelResponse) for field in fields(of)}
    words -= {"message", "routing"}

    assert [word for word in sorted(words) if f"`{word}`" not in PAGE] == []


def test_the_answer_it_shows_has_the_real_fields() -> None:
    """The example is a whole answer."""
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    shown = json.loads(example)

    assert set(shown) == {field.name for field in fields(SentimentResult)}
    assert set(shown["routing"]) == {field.name for field in fields(Routing)}


def test_the_body_limit_is_the_real_one() -> None:
    """Numbers on the page are those of the code."""
    assert f"{MAX_TASK_BODY_BYTES // 1024**2} MB" in PAGE


@pytest.mark.skipif(
    shutil.which("curl") is None and not os.environ.get("CI"), reason="the page's commands use curl"
)
async def test_the_commands_work_as_pasted(tasks: TaskWorld, tmp_path: Path) -> None:
    """Every command of the page runs, in order, in one shell, against a real server; none is refused."""
    tasks.chat.then = "BULLISH"

    async with serving(tasks.app) as (url, _):
        code, output = await shell("set -e\n" + "\n".join(COMMANDS), tasks.world, url=url, directory=tmp_path)

    assert code == 0, output
    assert output.count('"sentiment":"BULLISH"') == 1
    assert output.count('"latency_ms"') == 6
