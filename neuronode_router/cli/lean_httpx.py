"""httpx without the command line that it brings along, and without HTTP/2, which the admin API does not speak.

It must not know what is asked.
"""

from __future__ import annotations

from neuronode_router.cli.lean import without

with without("httpx._main", "h2"):
    import httpcore as httpcore  # httpx would import it later, with its HTTP/2
    import httpx as httpx
