"""A worker process that follows the classifier's weights and prints what it says of a prompt whenever that changes.

Usage: python -m tests.contract.learning_process STATE_DIRECTORY PROMPT
"""

from __future__ import annotations

import asyncio
import sys

from neuronode_router.auto.learning import Learning
from neuronode_router.auto.router import AutoRouter
from neuronode_router.background import Failures
from neuronode_router.settings import Settings


async def follow(directory: str, prompt: str) -> None:
    """Look as often as a worker of the proxy does, for ever."""
    learning = Learning(Settings.load({"NEURONODE_STATE_DIR": directory}), failures=Failures())
    auto = AutoRouter(classifier=learning.first(), statuses=dict)
    before = ""
    while True:
        said = auto.classify(prompt)
        line = f"{learning.status()['weights']} {said.detail or said.task.value}"
        if line != before:
            print(before := line, flush=True)
        await asyncio.sleep(0.5)
        await learning.refresh(auto.use)


if __name__ == "__main__":
    asyncio.run(follow(*sys.argv[1:]))
