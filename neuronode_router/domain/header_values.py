"""How our headers carry texts that HTTP's cannot: `written(text)`, and back, `read(value)`.

It must not know which headers there are.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from neuronode_router.domain.names import fits_header

_KEPT = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")
"""What stays as it is in a value of which something must be encoded."""
_LOOKS_ENCODED = re.compile("%[0-9A-Fa-f]{2}")


def written(text: str) -> str:
    """Return a text as a header may carry it: what Latin-1 or HTTP lacks is percent-encoded, as UTF-8.

    So is a text that has such an encoding of its own: `read` returns what was written. Raises `UnicodeEncodeError` for
    half a character.
    """
    if fits_header(text) and not _LOOKS_ENCODED.search(text):
        return text
    return quote(text, safe=_KEPT)


def read(value: str) -> str:
    """Return the text that `written` has made a value of. Never raises."""
    return unquote(value)
