"""Which LiteLLM we build on: the supported range, the releases we refuse, and a probe of every seam used.

It only looks; it changes nothing in LiteLLM. `tests/host` proves that each seam also behaves.
"""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Callable
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from neuronode_router.errors import CompromisedLiteLLM, UnsupportedLiteLLM

TESTED = "1.106.2"
SUPPORTED = SpecifierSet(">=1.106.2,<1.110,!=1.107.*,!=1.82.7,!=1.82.8")
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
    if parsed not in SUPPORTED:
        raise UnsupportedLiteLLM(f"LiteLLM {version} is outside the supported range {SUPPORTED}.")


def _parameters(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)


def missing_seams() -> list[str]:
    """Return what this LiteLLM lacks of the seams we use, in words. Never raises for a supported release."""
    import litellm
    from litellm.constants import RUNTIME_UPDATABLE_ROUTER_SETTINGS
    from litellm.integrations.custom_logger import CustomLogger
    from litellm.proxy.auth.user_api_key_auth import user_api_key_auth

    expected = {
        "CustomLogger.async_pre_call_hook": (
            CustomLogger.async_pre_call_hook,
            {"user_api_key_dict", "cache", "data", "call_type"},
        ),
        "CustomLogger.async_post_call_response_headers_hook": (
            CustomLogger.async_post_call_response_headers_hook,
            {"data", "user_api_key_dict", "response", "request_headers", "litellm_call_info"},
        ),
        "CustomLogger.async_filter_listed_models": (
            CustomLogger.async_filter_listed_models,
            {"user_api_key_dict", "model_names"},
        ),
        "user_api_key_auth": (user_api_key_auth, {"request", "api_key"}),
    }
    missing = [
        f"{name} lacks {sorted(wanted - _parameters(function))}"
        for name, (function, wanted) in expected.items()
        if not wanted <= _parameters(function)
    ]
    if "model_group_alias" not in RUNTIME_UPDATABLE_ROUTER_SETTINGS:
        missing.append("model_group_alias is no runtime-updatable router setting")
    missing += [
        f"Router.{name}"
        for name in ("update_settings", "get_deployment")
        if not hasattr(litellm.Router, name)
    ]
    return missing


def check_host() -> str:
    """Return the version of a LiteLLM we can build on. Raises `CompromisedLiteLLM` or
    `UnsupportedLiteLLM`.
    """
    version = installed_version()
    check_version(version)
    if missing := missing_seams():
        raise UnsupportedLiteLLM(f"LiteLLM {version} lacks what this plugin uses: {'; '.join(missing)}.")
    return version
