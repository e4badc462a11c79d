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

from neuronode_router.cli.references import environment_of, has_secret_manager, reference
from neuronode_router.domain.keys import require_sendable
from neuronode_router.errors import SettingsError
from neuronode_router.profiles.configuration import section

VARIABLE = "LITELLM_MASTER_KEY"
_PUBLICLY_KNOWN_SHA256 = frozenset({"88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"})
"""The key that LiteLLM's examples show; LiteLLM refuses to start with it."""


def is_publicly_known(key: str) -> bool:
    """Return whether a key is one of LiteLLM's examples. Never raises."""
    return hashlib.sha256(key.strip().encode(errors="replace")).hexdigest() in _PUBLICLY_KNOWN_SHA256


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The key, and the file it is kept in when it is ours."""

    secret: str = field(repr=False)
    path: Path | None
    variable: str = VARIABLE
    """Where commands take a key from that is not ours."""
    exported: bool = True
    """The operator's own shell has it there."""

    @property
    def shell(self) -> str:
        """How a command line gets the key without showing it."""
        return f"$(cat {shlex.quote(str(self.path))})" if self.path else f"${self.variable}"

    @property
    def origin(self) -> str:
        """Where the key is, as the end of a sentence."""
        if self.path:
            return f"kept in {self.path}, readable by you only"
        if self.exported:
            return f"the one you set in {self.variable}"
        return f"the one of your configuration; set {self.variable} to it for the commands below"


def find_master_key(environ: Mapping[str, str], config: Mapping[str, Any], path: Path) -> MasterKey:
    """Return the key of the configuration, of the environment, or of the file `path`, made if it is missing.

    Raises `SettingsError` where the configuration takes it from a variable of another name that is not set, for a key
    that everybody knows or nobody can send, and for a file that cannot be used.
    """
    configured = str(section(config, "general_settings").get("master_key") or "")
    named = reference(configured)
    variable = named or VARIABLE
    given = (
        environment_of(config, environ).get(variable, "")
        if named is not None or not configured
        else configured
    )
    if not given.strip():
        if named is not None and (named != VARIABLE or has_secret_manager(config)):
            raise SettingsError(f"The master key is to come from {configured}, which is not set.", fix=_MEND)
        return _sendable(MasterKey(_read_or_make(path), path))
    if is_publicly_known(given):
        raise SettingsError(
            f"{variable} is the key of LiteLLM's examples, which everybody knows.",
            fix=f"Unset it (a key is then made up and kept in {path}), or set a long random value.",
        )
    return _sendable(MasterKey(given, None, variable, exported=environ.get(variable) == given))


def _sendable(key: MasterKey) -> MasterKey:
    require_sendable(key.secret, f"The master key, {key.origin},")
    return key


_MEND = (
    "Set it, also where a secret manager has it: `neuronode serve` needs the key itself. Or remove "
    "general_settings.master_key: a key is then made up and kept in the state directory."
)


def _read_or_make(path: Path) -> str:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"sk-{secrets.token_urlsafe(32)}\n")
    except FileExistsError:
        path.chmod(0o600)
    except OSError as error:
        raise SettingsError(f"The key file {path} cannot be written: {error.strerror}.") from error
    try:
        secret = path.read_text("utf-8", "replace").strip()  # whether it is a key is judged where all are
    except OSError as error:
        raise SettingsError(f"The key file {path} cannot be read: {error.strerror}.") from error
    if not secret:
        raise SettingsError(
            f"The key file {path} is empty.", fix="Delete it; the next start makes a new key."
        )
    return secret
