"""Makes arguments and standard streams fit for every command: text that can be sent, streams that can be written.

It must not know any command, nor import anything heavy.
"""

from __future__ import annotations

import os
import sys

from neuronode_router.errors import NeuronodeError, SettingsError


class SystemRefused(NeuronodeError):
    """The system did not let a command read or write, mostly what the command had to say."""

    code = "system_refused"
    fix = "What was asked for may be done all the same: look before you repeat it."


def make_fit() -> None:
    """Let no letter end a command, read or written, and let a stream that is closed swallow what it is given.

    What is no text is read as the marks that `require_text` looks for.
    """
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # The next file or connection would take its number, and be written over.
            stream = open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: PTH123, SIM115
            setattr(sys, name, stream)
        # A Windows console of code page 1252 must not end a command because a description has another letter.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="surrogateescape" if name == "stdin" else "replace")


def require_text(text: str, what: str) -> None:
    """Return for what can be sent on. Raises `SettingsError` where bytes were read that are no UTF-8.

    `what` is the subject of a sentence.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SettingsError(
            f"{what} is not UTF-8.", fix="Convert it, or set the terminal to UTF-8."
        ) from error


def standard_input() -> str:
    """Return all that is piped in. Raises `SettingsError` for what is no text."""
    text = sys.stdin.read()
    require_text(text, "Standard input")
    return text


def refused(error: OSError) -> SystemRefused:
    """Return what an error of the system means to who asked."""
    what = "The answer cannot be written" if error.filename is None else f"{error.filename} cannot be used"
    return SystemRefused(f"{what}: {error.strerror or error}.")


def give_up_writing() -> None:
    """Drop what a full stream still holds: Python would try once more at its end, and complain in its own way."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "w", encoding="utf-8") as nothing:  # noqa: PTH123
                os.dup2(nothing.fileno(), stream.fileno())
