"""The hooks that LiteLLM calls when an answer begins or a request fails, a callback of its own: without it nothing else
is off.

It must not know what is done then. Of errors LiteLLM asks for headers on some wires only: on the others they are left
to be laid on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.litellm_plugin import outgoing
from neuronode_router.litellm_plugin.hooks import gate, refusing


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
    """The callback. LiteLLM looks for its hooks in this very class: do not move them to a base.

    `says` gives the headers; all the others are only told.
    """

    def __init__(self, says: Hears, *told: Hears) -> None:
        super().__init__()
        self._says = says
        self._told = (says, *told)

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

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: UserAPIKeyAuth,
        traceback_str: str | None = None,
    ) -> None:
        """Leave the headers of an error for its answer. Never raises."""
        going = outgoing.current()
        # Of who was not let in nothing is decided, and what looks like ours in the body is the client's own words.
        if going is not None and gate.is_let_in():
            said = self._says(request_data, user_api_key_dict, None) or {}
            going.headers = {**said, **refusing.headers(original_exception)}
