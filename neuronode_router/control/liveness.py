"""Is a process still there? Answered at once for processes of this machine, from the operating system.

It must not know SQL or heartbeats.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


def process_mark(pid: int | None = None) -> str:
    """Return what tells process `pid` (None: this one) from every other, `<place>:<start>`; "" when there is none.

    The place is the boot and the pid namespace: only within one place do pids mean anything. The start tells a
    process from a later one with the same pid. Never raises. Systems without /proc always give "".
    """
    try:
        stat = Path(f"/proc/{pid or os.getpid()}/stat").read_text()
        fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
        return "" if fields[0] in "ZX" else f"{_place()}:{fields[19]}"
    except (OSError, IndexError):
        return ""


def same_place(mark: str) -> bool:
    """Return whether `mark` is of a process whose pid we can look up here. Never raises."""
    try:
        return mark.rpartition(":")[0] == _place()
    except OSError:
        return False


@cache
def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"
