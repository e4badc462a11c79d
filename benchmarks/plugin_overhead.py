"""What a set-up costs a request against another, side by side in one run: the plugin, `neuronode serve`, a setting.

    python -m benchmarks.plugin_overhead [SETUP ...] [--turns N] [--rounds N] [--seconds S] [--starts N]

Without names: `bare plugin`. The first is what the others are compared with. `bare bare+same` compares the bare proxy
with itself: what differs from 1.00 then is the method's error. benchmarks/setups.py has the names.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.load import machine
from benchmarks.setups import proxies, require_as_named
from benchmarks.side_by_side import Plan, compare, start_times
from tests.support.upstream import Upstream


def main() -> None:
    """Run the comparison and print a table: figure, set-up, median, ratio to the first set-up."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("setups", nargs="*", default=["bare", "plugin"], metavar="SETUP")
    parser.add_argument("--starts", type=int, default=5)
    Plan.add_to(parser)
    args = parser.parse_args()
    print(f"LiteLLM {importlib.metadata.version('litellm')}: {', '.join(args.setups)} ({machine()})")
    with tempfile.TemporaryDirectory() as name, Upstream() as upstream:
        setups = {setup: proxies(Path(name), upstream.url, setup) for setup in args.setups}
        with ExitStack() as stack:
            running = {setup: stack.enter_context(next(fresh)) for setup, fresh in setups.items()}
            for setup, proxy in running.items():
                require_as_named(setup, proxy)
            asyncio.run(compare(running, Plan.of(args)))
        if args.starts:
            start_times(setups, args.starts, prove=require_as_named)


if __name__ == "__main__":
    main()
