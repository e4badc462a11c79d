"""Which LiteLLM we build on: the releases that are tested, and those that are refused.

It must not import LiteLLM. A release that is neither starts, and `seams` tells which parts it lacks.
"""

from __future__ import annotations

import importlib.metadata

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from neuronode_router.errors import CompromisedLiteLLM, UnsupportedLiteLLM

DEFAULT = "1.110.2"
"""What an installation gets."""

TESTED = ("1.106.2", "1.108.14", DEFAULT)
"""What `scripts/matrix` runs the tests on."""

SUPPORTED = SpecifierSet(">=1.106.2,!=1.107.*,!=1.109.*,<1.111")
"""The releases that the tested ones speak for. Others from 1.106.2 on are tried, and say so in the status."""

OLDEST = Version(TESTED[0])
COMPROMISED = (SpecifierSet("==1.82.7"), SpecifierSet("==1.82.8"), SpecifierSet("==1.107.*"))


def installed_version() -> str:
    """Return the installed LiteLLM's version. Raises `UnsupportedLiteLLM` when there is none."""
    try:
        return importlib.metadata.version("litellm")
    except importlib.metadata.PackageNotFoundError as error:
        raise UnsupportedLiteLLM("LiteLLM is not installed.") from error


def check_version(version: str) -> None:
    """Raise `CompromisedLiteLLM` or `UnsupportedLiteLLM` for a release we do not run on."""
    parsed = Version(version)
    if any(parsed in release for release in COMPROMISED):
        raise CompromisedLiteLLM(f"LiteLLM {version} is a known malicious release.")
    if parsed < OLDEST:
        raise UnsupportedLiteLLM(f"LiteLLM {version} is older than {OLDEST}.")


def warning_about(version: str) -> str | None:
    """Return what an operator must know of a release that no test speaks for, None for others."""
    if Version(version) in SUPPORTED:
        return None
    return f"LiteLLM {version} was not tested with this plugin; tested are {', '.join(TESTED)}."
