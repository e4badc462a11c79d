"""A small typed async client: ask for a task, get the answer and how it was routed.

It must not know profile files, the admin API or LiteLLM: it is the openai package plus our headers. Errors of
requests are openai's own. The openai package is imported when a client is made, not before: it costs a second.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from neuronode_router.domain import header_values
from neuronode_router.domain.keys import require_sendable
from neuronode_router.errors import SettingsError

if TYPE_CHECKING:
    from openai import AsyncStream
    from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam

PROFILE_HEADER = "x-neuronode-profile"
_REVISION = re.compile(r"[0-9]{1,19}")
"""As many digits as a store can count to."""


class TaskType(StrEnum):
    """The tasks that every profile maps."""

    CLASSIFICATION = "classification"
    EXTRACTION = "extraction"
    SYNTHESIS = "synthesis"
    VALIDATION_PRIMARY = "validation_primary"
    VALIDATION_SECONDARY = "validation_secondary"
    SENTIMENT = "sentiment"
    SUMMARY = "summary"
    RAG_QUERY = "rag_query"
    TRADING_ANALYSIS = "trading_analysis"
    STRATEGY = "strategy"
    CHAT = "chat"


@dataclass(frozen=True, slots=True)
class RoutingInfo:
    """What the router decided for one request, read from the response's `x-neuronode-*` headers.

    A field is None where its header was not sent, as by a proxy without this plugin.
    """

    profile: str | None
    revision: int | None
    task: str | None
    tier: str | None
    group: str | None
    reason: str | None
    fallback: bool
    """Another group than the chosen one answered."""
    embedded: bool
    """The built-in tiny language model answered."""

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> RoutingInfo:
        """Return the decision in `headers`, whose names are looked up in lower case. Never raises."""

        def value(name: str) -> str | None:
            sent = headers.get(f"x-neuronode-{name}")
            return None if sent is None else header_values.read(sent)

        revision = value("revision") or ""
        return cls(
            profile=value("profile"),
            revision=int(revision) if _REVISION.fullmatch(revision) else None,
            task=value("task"),
            tier=value("tier"),
            group=value("group"),
            reason=value("reason"),
            fallback=value("fallback") == "1",
            embedded=value("embedded") == "1",
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer."""

    response: ChatCompletion
    routing: RoutingInfo

    @property
    def text(self) -> str:
        """The first choice's text; empty where it has none, as in a tool call."""
        return (self.response.choices[0].message.content or "") if self.response.choices else ""


class CompletionStream(AbstractAsyncContextManager["CompletionStream"]):
    """An answer as it arrives: iterate over it once. `routing` is known before the first chunk.

    Use it as an async context manager where you may stop early: leaving it closes the connection.
    """

    def __init__(self, stream: AsyncStream[ChatCompletionChunk]) -> None:
        self.routing = RoutingInfo.from_headers(stream.response.headers)
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        return aiter(self._stream)

    async def close(self) -> None:
        """Close the connection; the provider may stop generating."""
        await self._stream.close()

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class NeuronodeClient(AbstractAsyncContextManager["NeuronodeClient"]):
    """Sends chat completions to a LiteLLM proxy that runs neuronode-router.

    `base_url` is the proxy's address with or without `/v1`. Further options (`timeout`, `max_retries`,
    `http_client`, ...) go to `openai.AsyncOpenAI`. Raises `SettingsError` for a key that cannot be sent.
    """

    def __init__(self, base_url: str, api_key: str, **openai_options: Any) -> None:
        from openai import AsyncOpenAI

        require_sendable(api_key, "The api_key")
        address = base_url.rstrip("/")
        if not address.endswith("/v1"):
            address += "/v1"
        self.openai = AsyncOpenAI(base_url=address, api_key=api_key, **openai_options)

    @overload
    async def completion(
        self,
        task_type: TaskType | str,
        messages: Iterable[ChatCompletionMessageParam],
        *,
        profile: str | None = None,
        stream: Literal[False] = False,
        **openai_kwargs: Any,
    ) -> Completion: ...

    @overload
    async def completion(
        self,
        task_type: TaskType | str,
        messages: Iterable[ChatCompletionMessageParam],
        *,
        profile: str | None = None,
        stream: Literal[True],
        **openai_kwargs: Any,
    ) -> CompletionStream: ...

    async def completion(
        self,
        task_type: TaskType | str,
        messages: Iterable[ChatCompletionMessageParam],
        *,
        profile: str | None = None,
        stream: bool = False,
        **openai_kwargs: Any,
    ) -> Completion | CompletionStream:
        """Return the answer to a task, as a whole or as a stream.

        `profile` asks for another profile than the active one, where the key may. Raises openai's errors, and
        `SettingsError` for a profile that no header carries.
        """
        headers = dict(openai_kwargs.pop("extra_headers", None) or {})
        if profile is not None:
            if not (profile.isascii() and profile.isprintable()):
                raise SettingsError(
                    f"No header carries the profile {profile!r}.", fix="Names are printable ASCII."
                )
            headers[PROFILE_HEADER] = profile
        create = self.openai.chat.completions.with_raw_response.create
        raw = await create(
            model=str(task_type), messages=messages, stream=stream, extra_headers=headers, **openai_kwargs
        )
        answer = raw.parse()
        # openai types the two cases by the literal value of `stream`, which is a variable here.
        if stream:
            return CompletionStream(cast("AsyncStream[ChatCompletionChunk]", answer))
        return Completion(cast("ChatCompletion", answer), RoutingInfo.from_headers(raw.headers))

    async def close(self) -> None:
        """Close the connections."""
        await self.openai.close()

    async def __aexit__(self, *_: object) -> None:
        await self.close()
