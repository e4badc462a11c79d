"""Keys as clients send them, in a header.

It must not know who gave one, and never shows it.
"""

from __future__ import annotations

import re

from neuronode_router.errors import SettingsError

_SENDABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def require_sendable(key: str, what: str) -> None:
    """Return for a key that a header carries: printable ASCII, no space around it. Raises `SettingsError`.

    `what` is the key as the subject of a sentence, without its text.
    """
    if _SENDABLE.fullmatch(key) is None:
        raise SettingsError(
            f"{what} is empty or has a character that no header carries, such as a curly quote or an invisible space.",
            fix="Copy it anew: keys are printable ASCII.",
        )
