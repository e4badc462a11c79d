"""The proxy's master key: the operator's own, or one made up once and kept in the state directory.

It must not know LiteLLM, and never prints or logs a key.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuronode_router.errors import SettingsError

VARIABLE = "LITELLM_MASTER_KEY"
PUBLICLY_KNOWN_SHA256 = frozenset({"88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"})
"""The key that LiteLLM's examples show; LiteLLM refuses to start with it."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The key, and the file it is kept in when it is ours."""

    secret: str = field(repr=False)
    path: Path | None

    @property
    def shell(self) -> str:
        """How a command line gets the key without showing it."""
        return f"$(cat {shlex.quote(str(self.path))})" if self.path else f"${VARIABLE}"


def find_master_key(environ: Mapping[str, str], general_settings: Mapping[str, Any], path: Path) -> MasterKey:
    """Return the key of the configuration, of the environment, or of the file `path`, made if it is missing.

    Raises `SettingsError` for a key that everybody knows, and for a file that cannot be used.
    """
    configured = str(general_settings.get("master_key") or "")
    given = "" if configured.startswith("os.environ/") else configured
    given = given or environ.get(VARIABLE, "")
    if not given:
        return MasterKey(_read_or_make(path), path)
    if hashlib.sha256(given.strip().encode()).hexdigest() in PUBLICLY_KNOWN_SHA256:
        raise SettingsError(
            f"{VARIABLE} is the key of LiteLLM's examples, which everybody knows.",
            fix=f"Unset it (a key is then made up and kept in {path}), or set a long random value.",
        )
    return MasterKey(given, None)


def _read_or_make(path: Path) -> str:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"sk-{secrets.token_urlsafe(32)}\n")
    except FileExistsError:
        path.chmod(0o600)
    except OSError as error:
        raise SettingsError(f"The key file {path} cannot be written: {error.strerror}.") from error
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise SettingsError(f"The key file {path} cannot be read: {error.strerror}.") from error
    if not secret:
        raise SettingsError(
            f"The key file {path} is empty.", fix="Delete it; the next start makes a new key."
        )
    return secret
