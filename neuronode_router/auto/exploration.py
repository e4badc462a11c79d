"""Tries a lighter tier now and then where nobody knows whether it suffices: otherwise nobody would ever know.

It must not know requests, caps or how groups stand: who asks it keeps to those.
"""

from __future__ import annotations

SHARE = 0.05
"""Share of the requests of a kind that are sent one tier lower while too few outcomes are known."""
