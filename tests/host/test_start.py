"""What starting the plugin does to a process of its own: modules, the garbage collector, and what is off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from neuronode_router.litellm_plugin.seams import Part

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

GONE = ("litellm.proxy.plugin_routes", "litellm.proxy.hooks.responses_id_security")
"""Modules of LiteLLM's that a later release might not have."""

CHILD = f"""
import asyncio, gc, json, sys
gc.disable()  # as `neuronode serve` starts it
import litellm.constants, litellm.proxy.proxy_server
del litellm.constants.LITTELM_INTERNAL_HEALTH_SERVICE_ACCOUNT_NAME
del litellm.proxy.common_utils.http_parsing_utils._safe_set_request_parsed_body
del litellm.integrations.custom_logger.CustomLogger.async_post_call_response_headers_hook
del litellm.credential_list
sys.modules |= dict.fromkeys({GONE!r})
before = set(sys.modules)

async def start():
    from neuronode_router import plugin
    frozen = gc.get_freeze_count()
    plugin.start()
    found = set(sys.modules) - before
    litellm.proxy.proxy_server.master_key = "sk-of-a-test"
    host, off = plugin._admin_host(), sorted(plugin.process.runtime().off)
    offered = [host.sign_in is not None, host.proof is not None, plugin.process.runtime().naming is not None]
    early, named = sorted(found & set({LATER!r})), host.readiness()["problems"]
    print(json.dumps([gc.isenabled(), frozen, early, off, offered, named]), flush=True)

asyncio.run(start())
"""


@pytest.mark.timeout(240)
def test_the_start_collects_little_and_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    """LiteLLM's objects are frozen before ours are made, the collector works again, and the heavy rest comes later.

    That this LiteLLM lacks some seams stops nothing: the parts that need them are off, and not offered; the one that
    all others stand on is impaired, and named like the others.
    """
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

    collects, frozen, early, off, offered, named = json.loads(done.stdout.splitlines()[-1])
    assert collects
    assert frozen > 100_000
    assert early == []
    hooks, gone = (Part.CHOICE, Part.HEADERS, Part.NAMING), (Part.MIRRORING, Part.PROOF, Part.UI_SIGN_IN)
    assert off == sorted((*hooks, *gone, Part.INVENTORY))
    assert offered == [False, False, False]
    assert named == ["not_ready", "part_off"]
