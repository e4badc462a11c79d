"""What may be told of other people's exceptions: their texts quote URLs, and with them passwords.

The one mapping from a foreign exception to words of ours. It must not know where they are shown.
"""

from __future__ import annotations

import os

PHRASES = (
    "password authentication failed",
    "no pg_hba.conf entry",
    "too many clients",
    "connection refused",
    "could not translate host name",
    "name or service not known",
    "timeout expired",
    "canceling statement due to statement timeout",
    "canceling statement due to lock timeout",
    "server closed the connection",
    "permission denied",
    "database is locked",
    "unable to open database file",
    "attempt to write a readonly database",
    "database disk image is malformed",
    "file is not a database",
    "database or disk is full",
    "disk i/o error",
    "no such table",
    "no such column",
    "invalid username-password",
    "authentication required",
    "certificate verify failed",
)
"""What servers and drivers say that helps an operator, and holds no value: told where an error's text contains it."""


def described(error: BaseException) -> str:
    """Return the kind of an exception, its code if it has one, and a phrase of `PHRASES` its text holds. Never raises.

    Of an exception that wraps a driver's (SQLAlchemy's `orig`) the driver's is told.
    """
    error = getattr(error, "orig", None) or error
    found = (_code(error), _phrase(error))
    details = ", ".join(dict.fromkeys(detail for detail in found if detail))
    name = type(error).__name__
    return f"{name}: {details}" if details else name


def _code(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    code = getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None)
    return (
        f"code {code}" if isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum() else ""
    )


def _phrase(error: BaseException) -> str:
    try:
        text = str(error).lower()
    except Exception:  # noqa: BLE001  another library's text may be made by code that fails
        return ""
    return next((phrase for phrase in PHRASES if phrase in text), "")
