"""Three proxies with one PostgreSQL and one Redis, clients and operators, and one fault after the other.

    python -m tests.campaign [--minutes N] [--switches N] [--seed N] [--pause SECONDS] [--operators N]
        [--only FAULT ...] [--no-faults] [--no-upgrade]

It ends after so many minutes, or so many switches if they are named. The proxies begin with the code of the release
before the newest migration, and are upgraded one by one under load. Each proxy reaches the servers by links of its
own, so that one alone can be cut off. All that clients and operators see goes to the history checker; what a fault
is meant to break (connections to a proxy that is killed) is told apart. Memory, handles, threads and the database's
size are measured all along; `--no-faults` makes it a soak, in which memory, handles and threads must stay flat.
The exit code is 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.load import machine
from tests.campaign.course import SWITCH_SECONDS, Campaign, run
from tests.campaign.ground import Ground, Made, entered, running_ground, running_proxies
from tests.campaign.judging import judge
from tests.campaign.soak import growth

HOSTS = 3


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--switches", type=int, default=0, help="end after so many instead")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=SWITCH_SECONDS, help="seconds between two switches")
    parser.add_argument("--operators", type=int, default=2, help="so many switch at the same time")
    parser.add_argument(
        "--only", nargs="+", metavar="FAULT", help="no other faults than these, by their names"
    )
    parser.add_argument("--no-faults", dest="faults", action="store_false")
    parser.add_argument("--no-upgrade", dest="upgrade", action="store_false")
    return parser.parse_args()


def _over(campaign: Campaign, arguments: argparse.Namespace) -> Callable[[], bool]:
    until = time.monotonic() + 60 * arguments.minutes
    if arguments.switches:
        return lambda: campaign.told() >= arguments.switches
    return lambda: time.monotonic() > until


async def _hold(ground: Ground, made: Sequence[Made], arguments: argparse.Namespace) -> list[str]:
    chosen = {name: getattr(arguments, name) for name in ("seed", "pause", "operators")}
    async with entered(ground, made, **chosen) as campaign:
        names = arguments.only or list(campaign.faults.all())
        await run(campaign, names if arguments.faults else [], over=_over(campaign, arguments))
        broken = await judge(campaign, ground.upstream)
        grown = [] if arguments.faults else growth(campaign.sizes)
        for sentence in grown:
            print(f"  {sentence}")
        return [*broken, *grown]


def main() -> None:
    """Start everything, run, judge, stop."""
    arguments = _arguments()
    print(machine())
    with (
        tempfile.TemporaryDirectory() as name,
        running_ground(Path(name), afresh=True, upgrade=arguments.upgrade) as ground,
    ):
        if arguments.upgrade and not ground.earlier:
            sys.exit(
                "The history has no earlier release to upgrade from. Take a whole clone, or --no-upgrade."
            )
        with running_proxies(ground, HOSTS) as made:
            broken = asyncio.run(_hold(ground, made, arguments))
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
