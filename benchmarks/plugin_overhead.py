"""What the plugin costs a request: the same proxy without and with it, side by side in one run.

    python -m benchmarks.plugin_overhead [--method-check] [--turns N] [--rounds N] [--seconds S] [--starts N]

`--method-check` compares the bare proxy with itself: what differs from 1.00 then is the method's error.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load import machine
from benchmarks.side_by_side import Plan, compare, start_times
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream


def proxies(directory: Path, upstream: str, *, plugin: bool) -> Iterator[Proxy]:
    """Yield proxies of one worker, each with files of its own: its first start finds an empty store."""
    for number in itertools.count():
        place = Place(directory=directory / f"{'plugin' if plugin else 'bare'}-{number}", upstream=upstream)
        yield Proxy(place, plugin=plugin)


def main() -> None:
    """Run the comparison and print a table: bare, with plugin, ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--method-check", action="store_true")
    parser.add_argument("--starts", type=int, default=5)
    Plan.add_to(parser)
    args = parser.parse_args()
    print(
        f"bare LiteLLM, with plugin ({machine()}){', METHOD CHECK: both bare' if args.method_check else ''}"
    )
    with tempfile.TemporaryDirectory() as name, Upstream() as upstream:
        bare = proxies(Path(name) / "first", upstream.url, plugin=False)
        other = proxies(Path(name) / "second", upstream.url, plugin=not args.method_check)
        with next(bare) as first, next(other) as second:
            asyncio.run(compare(first, second, Plan.of(args)))
        if args.starts:
            start_times(bare, other, args.starts)


if __name__ == "__main__":
    main()
