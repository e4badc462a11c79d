"""What pytest-xdist takes for an interpreter: `forked_python.py ADDRESS -u -c CODE` runs `CODE` in a fork.

It must not know tests. Every process that shares the tests collects all of them, for which it would have to import
LiteLLM: so each is a fork of the process whose forks proxies are (see `preloaded`).
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.support import preloaded

    address, *_, code = sys.argv[1:]
    preloaded.use(bytes.fromhex(address).decode())
    sys.exit(preloaded.interpret(code))
