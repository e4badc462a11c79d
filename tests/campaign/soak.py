"""What must stay flat over a long run: memory, file handles and threads of each proxy, and the size of the database.

It must not judge: it says what there was at the beginning, in the middle and at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import fmean

import psutil
import psycopg

MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Size:
    """Of one proxy, all its processes together; of the database, all of it."""

    memory_mb: float
    handles: float
    threads: float
    database_mb: float


def measure(proxies: Sequence[Sequence[psutil.Process]], database: str) -> Size | None:
    """Return the mean over the proxies; None where a process or the server is just not there."""
    try:
        with psycopg.connect(database, connect_timeout=2) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return Size(
            fmean(sum(each.memory_info().rss for each in them) for them in proxies) / MEGABYTE,
            fmean(sum(each.num_fds() for each in them) for them in proxies),
            fmean(sum(each.num_threads() for each in them) for them in proxies),
            (row[0] if row else 0) / MEGABYTE,
        )
    except (psutil.Error, psycopg.Error):
        return None


def table(sizes: Sequence[Size]) -> list[str]:
    """Return a line for each measure: its mean in the first, second and last third of the run."""
    if len(sizes) < 3:
        return ["too short to tell what grows"]
    third = len(sizes) // 3
    parts = (sizes[:third], sizes[third : 2 * third], sizes[-third:])
    return [
        f"{field.name.replace('_', ' '):>34}: "
        + ", then ".join(f"{fmean(getattr(size, field.name) for size in part):.1f}" for part in parts)
        for field in fields(Size)
    ]
