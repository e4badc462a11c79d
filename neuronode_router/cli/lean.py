"""Libraries without optional parts of theirs that nobody here needs: half of what importing them takes.

It must not know what is done with them. A library that can do without a part asks for it and takes no for an answer, so
it is told that the part is not installed, for as long as the import takes.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without(*parts: str) -> Iterator[None]:
    """Let imports inside the block find none of these modules, but for those that are imported already."""
    hidden = [part for part in parts if part not in sys.modules]
    for part in hidden:
        sys.modules[part] = None  # type: ignore[assignment]  # Python's own way to say: cannot be imported
    try:
        yield
    finally:
        for part in hidden:
            del sys.modules[part]
