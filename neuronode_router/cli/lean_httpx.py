"""httpx without the command line that it brings along: half of its import's time, on every command of ours.

It must not know what is asked. Where httpx cannot import its command line, as without its extra `cli`, it does without;
so it is told that there is none, for as long as the import takes.
"""

from __future__ import annotations

import sys

_COMMAND_LINE = "httpx._main"

if "httpx" in sys.modules:
    import httpx as httpx
else:
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]  # Python's own way to say: cannot be imported
    try:
        import httpx as httpx
    finally:
        del sys.modules[_COMMAND_LINE]
