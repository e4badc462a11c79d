"""What starting the plugin does to a worker's process, in a process of its own: modules and the garbage collector."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LATER = (
    "alembic",
    "psycopg",
    "redis.asyncio.cluster",
    "openai.resources.realtime",
    "onnxruntime",
    "sklearn",
    "scipy",
)
"""What a worker that starts on a migrated SQLite file has no use for, or not yet."""

CHILD = f"""
import asyncio, gc, json, sys
gc.disable()  # as `neuronode serve` starts it
import litellm.proxy.proxy_server
before = set(sys.modules)

async def start():
    from neuronode_router import plugin
    frozen = gc.get_freeze_count()
    plugin.start()
    found = set(sys.modules) - before
    print(json.dumps([gc.isenabled(), frozen, sorted(found & set({LATER!r}))]), flush=True)

asyncio.run(start())
"""


@pytest.mark.timeout(240)
def test_the_start_collects_little_and_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    """LiteLLM's objects are frozen before ours are made, the collector works again, and the heavy rest comes later."""
    (tmp_path / "config.yaml").write_text("model_list: []\n")
    environ = {
        **os.environ,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "CONFIG_FILE_PATH": str(tmp_path / "config.yaml"),
        "NEURONODE_STATE_DIR": str(tmp_path / "state"),
    }

    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, cwd=tmp_path, env=environ
    )

    collects, frozen, early = json.loads(done.stdout.splitlines()[-1])
    assert collects
    assert frozen > 100_000
    assert early == []
