"""What opentelemetry-sdk and httptools, which our package brings, save in LiteLLM itself: without and with them.

    python -m benchmarks.host_extras [--turns N] [--rounds N] [--seconds S]

Both proxies are bare LiteLLM in the same environment. In the first one a `sitecustomize` module makes the
imports of the two packages fail, as they fail where they are not installed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

from benchmarks.load import machine
from benchmarks.side_by_side import Plan, compare
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream

HIDDEN = ("opentelemetry.sdk", "httptools")
_HIDER = f"""
import sys
class Hider:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in {HIDDEN!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hider)
"""


def main() -> None:
    """Run the comparison and print a table: without the extras, with them, ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    Plan.add_to(parser)
    args = parser.parse_args()
    print(f"bare LiteLLM without, with {' and '.join(HIDDEN)} ({machine()})")
    with tempfile.TemporaryDirectory() as name, Upstream() as upstream:
        directory = Path(name)
        (directory / "sitecustomize.py").write_text(_HIDER)
        hidden = {"PYTHONPATH": os.pathsep.join((str(directory), str(Path.cwd())))}
        without = Proxy(Place(directory=directory / "a", upstream=upstream.url), plugin=False, environ=hidden)
        with_extras = Proxy(Place(directory=directory / "b", upstream=upstream.url), plugin=False)
        with without, with_extras:
            asyncio.run(compare(without, with_extras, Plan.of(args)))


if __name__ == "__main__":
    main()
