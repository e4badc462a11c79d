"""The dashboard's files: public, from memory, compressed once, with the headers that shut everything else out.

It must not know data or keys: the page asks the admin API for those, with the key of whoever uses it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from admin_api.ports import AdminHost, DashboardView
from admin_api.problems import NO_STORE, problem_response
from neuronode_router.errors import NeuronodeError, NotAuthenticated, NotReady

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
MAX_CLAIM_BYTES = 8192
MEDIA_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served, by ending. Licences and notes beside the code are not."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none';"
    " frame-ancestors 'self'"
)
HEADERS: Mapping[str, str] = {
    # Files are asked for again each time, and answered with 304: after an upgrade no page mixes two versions.
    "Cache-Control": "no-cache",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
    # Browsers that know frame-ancestors ignore this one, which cannot name another origin.
    "X-Frame-Options": "SAMEORIGIN",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    plain: bytes
    packed: bytes
    etag: str
    media_type: str


def build_ui(host: Callable[[], AdminHost]) -> APIRouter:
    """Return the routes of the page, to be included under the prefix of the admin API.

    They need no key and work before there is anything to serve: `host` is only asked who may frame the page.
    """
    router = APIRouter(include_in_schema=False)
    files = assets()

    @router.get("/ui")
    async def enter() -> Response:
        # Relative, so that it holds under any prefix and root path: the page's addresses are relative too.
        return Response(status_code=307, headers={"Location": "ui/", **HEADERS})

    @router.post("/ui/session")
    async def sign_in(request: Request) -> Response:
        try:
            session = _dashboard(host()).sign_in(await _claim(request))
        except NeuronodeError as error:
            return problem_response(error)
        return JSONResponse({"key": session.key, "expires_at": session.expires_at}, headers=NO_STORE)

    @router.get("/ui/{path:path}")
    async def page(path: str, request: Request) -> Response:
        asset = files.get(path or INDEX)
        headers = dict(HEADERS) | {"Content-Security-Policy": _policy(host)}
        if asset is None:
            return Response("Not found.", 404, headers, "text/plain")
        return _send(asset, request, headers)

    return router


@cache
def assets() -> Mapping[str, Asset]:
    """Return every file of the page by its path, read and compressed once in a process."""
    return {
        file.relative_to(STATIC).as_posix(): _asset(file)
        for file in sorted(STATIC.rglob("*"))
        if file.suffix in MEDIA_TYPES
    }


def _asset(file: Path) -> Asset:
    content = file.read_bytes()
    return Asset(
        plain=content,
        packed=gzip.compress(content, 9, mtime=0),
        etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        media_type=MEDIA_TYPES[file.suffix],
    )


def _send(asset: Asset, request: Request, headers: dict[str, str]) -> Response:
    headers["ETag"] = asset.etag
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if asset.etag in known:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.packed, headers=headers, media_type=asset.media_type)
    return Response(asset.plain, headers=headers, media_type=asset.media_type)


async def _claim(request: Request) -> str:
    """Return the claim of a body `{"claim": "..."}`. Raises `NotAuthenticated` for anything else."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_CLAIM_BYTES:
            raise NotAuthenticated("This is no identity claim of LiteLLM's UI.")
    try:
        claim = json.loads(body)["claim"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise NotAuthenticated("This is no identity claim of LiteLLM's UI.") from error
    if not isinstance(claim, str):
        raise NotAuthenticated("This is no identity claim of LiteLLM's UI.")
    return claim


def _dashboard(host: AdminHost) -> DashboardView:
    if host.dashboard is None:
        raise NotReady("This proxy takes no sign-in from LiteLLM's UI.")
    return host.dashboard


def _policy(host: Callable[[], AdminHost]) -> str:
    try:
        dashboard = host().dashboard
    except NeuronodeError:  # starting, or closed: the page says so itself, and only its own origin frames it
        return POLICY
    return f"{POLICY} {dashboard.frame_origin}" if dashboard and dashboard.frame_origin else POLICY
