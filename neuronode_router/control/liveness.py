"""Is a process still there? Answered at once for processes of this machine, from the operating system.

It must not know SQL or heartbeats.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


def process_mark(pid: int) -> str:
    """Return what tells process `pid` from every other, `<place>:<start>`; "" when there is none, or none to be seen.

    The place is the boot and the pid namespace: only within one place do pids mean anything. The start tells a
    process from a later one with the same pid. Never raises. Systems without /proc always give "".
    """
    try:
        return _mark(pid)
    except (OSError, IndexError):
        return ""


def is_gone(pid: int, mark: str) -> bool:
    """Return whether the process that had this mark ended. Never raises.

    Only where the system says so: a process that cannot be looked at, for want of a file handle, may serve still.
    """
    try:
        return _mark(pid) != mark
    except (FileNotFoundError, ProcessLookupError):
        return True
    except (OSError, IndexError):
        return False


def same_place(mark: str) -> bool:
    """Return whether `mark` is of a process whose pid we can look up here. Never raises."""
    try:
        return mark.rpartition(":")[0] == _place()
    except OSError:
        return False


def _mark(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat").read_text()
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return "" if fields[0] in "ZX" else f"{_place()}:{fields[19]}"


@cache
def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"
