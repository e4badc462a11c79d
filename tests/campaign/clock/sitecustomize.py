"""Lets `time.time` of a process go by a file that the campaign writes: how many seconds it is ahead, a double.

Python runs this before anything else where this folder is on its path. Monotonic clocks stay as they are, as they do
when a machine's wall clock is set.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

_AHEAD = struct.Struct("d")

if path := os.environ.get("CAMPAIGN_CLOCK"):
    shared = mmap.mmap(os.open(path, os.O_RDWR), _AHEAD.size)

    def moved() -> float:
        """Return the time that the campaign wants this process to see, in Unix seconds."""
        return real() + _AHEAD.unpack_from(shared)[0]

    real, time.time = time.time, moved
