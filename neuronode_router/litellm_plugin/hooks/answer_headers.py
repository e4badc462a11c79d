"""The hook that LiteLLM calls when an answer begins, a callback of its own: without it nothing else is off.

It must not know what is done then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth


class Hears(Protocol):
    """Who is told of an answer, or an error, that begins."""

    def __call__(
        self,
        data: dict[str, Any],
        user: UserAPIKeyAuth,
        response: object,
        info: Mapping[str, object] | None = None,
    ) -> dict[str, str] | None:
        """Return headers for it, if any. Must not wait, and never raise."""
        ...


class AnswerHeaders(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """The callback. LiteLLM looks for its hook in this very class: do not move it to a base."""

    def __init__(self, *told: Hears) -> None:
        super().__init__()
        self._told = told

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: UserAPIKeyAuth,
        response: object,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, object] | None = None,
    ) -> dict[str, str] | None:
        """Return the headers of all who are told: for plain and streamed answers, and for errors. Never raises."""
        headers: dict[str, str] = {}
        for hears in self._told:
            headers |= hears(data, user_api_key_dict, response, litellm_call_info) or {}
        return headers or None
