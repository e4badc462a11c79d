"""Ollama's HTTP interface, as far as its clients need it to generate and to look around.

It must not know who generates: `ollama_engine` does. Served: /api/tags, ps, show, version, chat, generate,
embed (of nothing: it only loads), pull, and /counts for tests. Unlike Ollama's, the queue is bounded per name.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from neuronode_router.cli.serve.embedded import WEIGHTS_SHA256
from tests.support.ollama_engine import Busy, Engine, EngineRefused, LoadFault, Resident, Served

VERSION = "0.13.0"
DEFAULT_KEEP_ALIVE = 300.0
NANOSECONDS = 1_000_000
"""Per millisecond: the engine tells milliseconds, Ollama nanoseconds."""

Events = AsyncGenerator[dict[str, Any], None]
Say = Callable[[str], dict[str, Any]]
"""Puts a piece of text where the called interface has it."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_OPTIONS = {
    "num_predict": "max_tokens",
    **{name: name for name in ("temperature", "top_k", "top_p", "seed", "stop")},
}


class Refusal(Exception):
    """A request that gets an error document instead of an answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Ollama:
    """The names that are served, and the routes."""

    def __init__(self, served: Sequence[Served], *, capacity: int | None = None) -> None:
        self._engine = Engine()
        self._capacity = capacity
        self._residents = {each.tag: Resident(each, make_room=self._make_room) for each in served}
        self._started = datetime.now(UTC)

    def app(self) -> Starlette:
        """Return the ASGI application; it starts and stops the engine."""
        routes = [
            Route("/", lambda _: PlainTextResponse("Ollama is running")),
            Route("/api/version", lambda _: JSONResponse({"version": VERSION})),
            Route("/api/tags", self.tags),
            Route("/api/ps", self.ps),
            Route("/api/show", self.show, methods=["POST"]),
            Route("/api/chat", self.chat, methods=["POST"]),
            Route("/api/generate", self.generate, methods=["POST"]),
            Route("/api/embed", self.embed, methods=["POST"]),
            Route("/api/pull", self.pull, methods=["POST"]),
            Route("/counts", self.counts),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={Refusal: _refused})

    async def tags(self, _: Request) -> Response:
        """What could be loaded."""
        return JSONResponse(
            {"models": [self._listed(each) for each in self._residents.values() if each.present]}
        )

    async def ps(self, _: Request) -> Response:
        """What is loaded, and until when."""
        loaded = [
            {
                **self._listed(each),
                "expires_at": datetime.fromtimestamp(each.expires_at, UTC).isoformat(),
                "size_vram": each.served.size or 0,
                "context_length": each.num_ctx,
            }
            for each in self._residents.values()
            if each.loaded
        ]
        return JSONResponse({"models": loaded})

    async def show(self, request: Request) -> Response:
        """Everything about one name. Loads nothing."""
        resident, _ = await self._asked(request)
        facts = self._engine.facts
        return JSONResponse(
            {
                "modelfile": f"FROM {resident.served.tag}",
                "parameters": f"num_ctx {resident.served.context_length}",
                "template": "{{ .Prompt }}",
                "details": self._details(),
                "model_info": {
                    "general.architecture": "llama",
                    "general.parameter_count": facts["n_params"],
                    "llama.context_length": resident.served.context_length,
                    "llama.embedding_length": facts["n_embd"],
                },
                "capabilities": ["completion"],
                "modified_at": self._started.isoformat(),
            }
        )

    async def chat(self, request: Request) -> Response:
        """Answer a conversation; without messages only load, or unload."""
        resident, body = await self._asked(request)
        messages = [
            {"role": str(each.get("role", "user")), "content": str(each.get("content", ""))}
            for each in body.get("messages") or ()
        ]
        wanted = {"messages": messages} if messages else None
        return self._answer(resident, body, _say_chat, "/v1/chat/completions", wanted)

    async def generate(self, request: Request) -> Response:
        """Answer a prompt; without one only load, or unload."""
        resident, body = await self._asked(request)
        if resident.served.embeds and (body.get("keep_alive") != 0 or body.get("prompt")):
            raise Refusal(400, f'"{resident.served.tag}" does not support generate')
        prompt, system = str(body.get("prompt") or ""), body.get("system")
        if body.get("raw") and prompt:
            return self._answer(resident, body, _say_text, "/v1/completions", {"prompt": prompt})
        messages = [{"role": "system", "content": str(system)}] if system else []
        messages.append({"role": "user", "content": prompt})
        return self._answer(
            resident, body, _say_text, "/v1/chat/completions", {"messages": messages} if prompt else None
        )

    async def embed(self, request: Request) -> Response:
        """Load what shall embed nothing."""
        resident, body = await self._asked(request)
        if body.get("input") not in ([], "", None):
            raise Refusal(501, "this Ollama embeds nothing")
        try:
            async with resident.turn(_seconds(body.get("keep_alive")), _num_ctx(body)):
                return JSONResponse({"model": resident.served.tag, "embeddings": []})
        except LoadFault as error:
            raise Refusal(500, str(error)) from error

    async def pull(self, request: Request) -> Response:
        """Fetch what is absent, in two parts, and tell how far it is."""
        resident, _ = await self._asked(request, absent=True)
        total = resident.served.size or 100

        async def events() -> AsyncIterator[bytes]:
            for completed in (0, total // 2):
                told = {"status": "pulling", "digest": WEIGHTS_SHA256, "total": total, "completed": completed}
                yield json.dumps(told).encode() + b"\n"
            await resident.pull()
            yield json.dumps({"status": "success"}).encode() + b"\n"

        return StreamingResponse(events(), media_type="application/x-ndjson")

    async def counts(self, _: Request) -> Response:
        """What happened to each name since the start: for tests."""
        return JSONResponse({tag: resident.status() for tag, resident in self._residents.items()})

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await self._engine.start()
        yield
        await self._engine.stop()

    async def _asked(self, request: Request, *, absent: bool = False) -> tuple[Resident, dict[str, Any]]:
        """Return the resident a request names, and its body. Raises `Refusal`."""
        try:
            body = await request.json()
        except ValueError as error:
            raise Refusal(400, "invalid JSON in the request body") from error
        name = str(body.get("model") or body.get("name") or "") if isinstance(body, dict) else ""
        if not name:
            raise Refusal(400, "model is required")
        resident = self._residents.get(name if ":" in name else f"{name}:latest")
        if resident is None or not (resident.present or absent):
            raise Refusal(404, f"model '{name}' not found")
        return resident, body

    def _answer(
        self,
        resident: Resident,
        body: Mapping[str, Any],
        say: Say,
        path: str,
        wanted: Mapping[str, Any] | None,
    ) -> Response:
        keep_alive = _seconds(body.get("keep_alive"))
        if wanted is None:
            events = _load_only(resident, keep_alive, _num_ctx(body))
        else:
            request = {**wanted, **_engine_options(body), "stream": True, "cache_prompt": False}
            events = self._generated(resident, (keep_alive, _num_ctx(body)), path, request)
        return Answer(events, say, name=str(body["model"]), streamed=body.get("stream", True))

    async def _generated(
        self, resident: Resident, how: tuple[float, int | None], path: str, request: Mapping[str, Any]
    ) -> Events:
        began = time.perf_counter_ns()
        reason = "stop"
        async with (
            resident.turn(*how) as loading,
            aclosing(self._engine.generate(path, request)) as chunks,
        ):
            await asyncio.sleep(resident.served.delay_seconds)
            async for chunk in chunks:
                for choice in chunk["choices"]:
                    reason = choice["finish_reason"] or reason
                    text = choice.get("text") or choice.get("delta", {}).get("content")
                    if text:
                        tokens = (choice.get("logprobs") or {}).get("content")
                        yield {"text": text, "done": False, **({"logprobs": tokens} if tokens else {})}
                if timings := chunk.get("timings"):
                    yield {
                        "text": "",
                        "done": True,
                        "done_reason": reason,
                        "total_duration": time.perf_counter_ns() - began,
                        "load_duration": loading,
                        "prompt_eval_count": timings["prompt_n"],
                        "prompt_eval_duration": int(timings["prompt_ms"] * NANOSECONDS),
                        "eval_count": timings["predicted_n"],
                        "eval_duration": int(timings["predicted_ms"] * NANOSECONDS),
                    }

    def _make_room(self, comes: Resident) -> None:
        """Have the longest idle ones go until there is room, where it is bounded."""
        loaded = sorted(
            (each for each in self._residents.values() if each.loaded), key=lambda one: one.expires_at
        )
        needed = sum(each.served.size or 0 for each in (*loaded, comes))
        for each in loaded:
            if self._capacity is None or needed <= self._capacity:
                return
            each.go()
            needed -= each.served.size or 0

    def _listed(self, resident: Resident) -> dict[str, Any]:
        tag = resident.served.tag
        return {
            "name": tag,
            "model": tag,
            "modified_at": self._started.isoformat(),
            "size": resident.served.size or self._engine.facts["size"],
            "digest": WEIGHTS_SHA256,
            "details": self._details(),
        }

    def _details(self) -> dict[str, Any]:
        facts = self._engine.facts
        return {
            "parent_model": "",
            "format": "gguf",
            "family": "llama",
            "families": ["llama"],
            "parameter_size": f"{facts['n_params'] / 1e6:.2f}M",
            "quantization_level": facts["ftype"],
        }


class Answer(Response):
    """A response of events, as a stream of lines or joined into one document; it ends when the client goes away."""

    def __init__(self, events: Events, say: Say, *, name: str, streamed: bool) -> None:
        super().__init__(None)
        self._events, self._say, self._name, self._streamed = events, say, name, streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or stop generating as soon as nobody listens."""
        work = asyncio.create_task(self._send(scope, receive, send))
        gone = asyncio.create_task(_hangs_up(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            gone.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)
        if not work.cancelled():
            work.result()

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._events) as events:
            try:
                first = await anext(events)
            except Busy:
                message = "server busy, please try again.  maximum pending requests exceeded"
                await JSONResponse({"error": message}, 503)(scope, receive, send)
            except LoadFault as error:
                await JSONResponse({"error": str(error)}, 500)(scope, receive, send)
            except EngineRefused as error:
                await JSONResponse({"error": str(error)}, 400)(scope, receive, send)
            else:
                if self._streamed:
                    await self._stream(first, events, send)
                else:
                    await JSONResponse(await self._joined(first, events))(scope, receive, send)

    async def _stream(self, event: dict[str, Any], events: Events, send: Send) -> None:
        headers = [(b"content-type", b"application/x-ndjson")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while not event["done"]:
            await send(_line(self._document(event), more=True))
            event = await anext(events)
        await send(_line(self._document(event), more=False))

    async def _joined(self, event: dict[str, Any], events: Events) -> dict[str, Any]:
        text, tokens = "", []
        while not event["done"]:
            text += event["text"]
            tokens += event.get("logprobs", [])
            event = await anext(events)
        return self._document({**event, "text": text, **({"logprobs": tokens} if tokens else {})})

    def _document(self, event: Mapping[str, Any]) -> dict[str, Any]:
        rest = {key: value for key, value in event.items() if key != "text"}
        return {
            "model": self._name,
            "created_at": datetime.now(UTC).isoformat(),
            **self._say(event["text"]),
            **rest,
        }


async def _load_only(resident: Resident, keep_alive: float, num_ctx: int | None) -> Events:
    if keep_alive > 0 or resident.loaded:
        async with resident.turn(keep_alive, num_ctx if keep_alive > 0 else resident.num_ctx):
            pass
    yield {"text": "", "done": True, "done_reason": "load" if keep_alive > 0 else "unload"}


def _say_chat(text: str) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text}}


def _say_text(text: str) -> dict[str, Any]:
    return {"response": text}


def _line(document: object, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": json.dumps(document).encode() + b"\n", "more_body": more}


async def _hangs_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse({"error": str(error)}, error.status)


def _engine_options(body: Mapping[str, Any]) -> dict[str, Any]:
    """Translate Ollama's options, format and logprobs; a negative num_predict is no limit."""
    given = body.get("options") or {}
    options = {
        _OPTIONS[name]: value for name, value in given.items() if name in _OPTIONS and value is not None
    }
    shape = body.get("format")
    if shape == "json":
        options["response_format"] = {"type": "json_object"}
    elif isinstance(shape, dict):
        options["response_format"] = {"type": "json_schema", "json_schema": {"schema": shape}}
    if body.get("logprobs"):
        options |= {"logprobs": True, "top_logprobs": int(body.get("top_logprobs") or 0)}
    return options


def _num_ctx(body: Mapping[str, Any]) -> int | None:
    asked = (body.get("options") or {}).get("num_ctx")
    return asked if isinstance(asked, int) else None


def _seconds(keep_alive: object) -> float:
    """Return a keep_alive (seconds, or a Go duration such as "1m30s") in seconds; negative is for ever."""
    if keep_alive is None:
        return DEFAULT_KEEP_ALIVE
    try:
        seconds = float(str(keep_alive))
    except ValueError:
        text = str(keep_alive).removeprefix("-")
        parts = _DURATION.findall(text)
        if "".join(number + unit for number, unit in parts) != text:
            raise Refusal(400, "invalid keep_alive") from None
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
        seconds = -seconds if str(keep_alive).startswith("-") else seconds
    return float("inf") if seconds < 0 else seconds
