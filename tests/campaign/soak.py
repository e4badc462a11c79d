"""What must stay flat over a long run: memory, file handles and threads of each proxy.

The size of the database is told beside them: it grows until what is kept for a time has been kept so long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import fmean

import psutil
import psycopg

MEGABYTE = 2**20
FLAT = {"memory_mb": 0.05, "handles": 0.1, "threads": 0.1}
"""By which share each may be more in the last third of a run than in the one before."""


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
    parts = _thirds(sizes)
    return [
        f"{field.name.replace('_', ' '):>34}: "
        + (
            ", then ".join(f"{_mean(part, field.name):.1f}" for part in parts)
            or "too short to tell what grows"
        )
        for field in fields(Size)
    ]


def growth(sizes: Sequence[Size]) -> list[str]:
    """Return a sentence for each measure that was more in the last third than before, and one if nobody can tell."""
    parts = _thirds(sizes)
    if not parts:
        return ["too short to tell what grows"]
    means = {name: [_mean(part, name) for part in parts] for name in FLAT}
    return [
        f"{name.replace('_', ' ')} grew from {before:.1f} to {after:.1f}"
        for name, (_, before, after) in means.items()
        if after > before * (1 + FLAT[name])
    ]


def _thirds(sizes: Sequence[Size]) -> Sequence[Sequence[Size]]:
    third = len(sizes) // 3
    return (sizes[:third], sizes[third : 2 * third], sizes[-third:]) if third else ()


def _mean(sizes: Sequence[Size], name: str) -> float:
    return fmean(getattr(size, name) for size in sizes)
