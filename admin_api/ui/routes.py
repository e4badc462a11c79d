"""The dashboard's files: public, from memory, compressed once, with the headers that shut everything else out.

It must not know data or keys: the page asks the admin API for those, with the key of whoever uses it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from admin_api.host import AdminHost
from admin_api.http.guard import answered, read_body
from neuronode_router.access import UiSession
from neuronode_router.errors import NeuronodeError, NotAuthenticated, NotReady

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
AGAIN = "again.js"
"""Loads the page anew where a file of it is missing: under an address that every version has."""
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
ASK_AGAIN = {"Cache-Control": "no-cache"}
KEEP = {"Cache-Control": "public, max-age=31536000, immutable"}
"""For files whose address names their version: after an upgrade no page mixes two of them."""
HEADERS: Mapping[str, str] = {
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


@dataclass(frozen=True, slots=True)
class Site:
    """The page: its entry, and all other files under the version that they make up together."""

    version: str
    index: Asset
    files: Mapping[str, Asset]


def build_ui(host: Callable[[], AdminHost], prefix: str) -> APIRouter:
    """Return the routes of the page at `prefix`/ui/, and those that lead there.

    They need no key and work before there is anything to serve: `host` is only asked who may frame the page.
    """
    router = APIRouter(include_in_schema=False)
    site, here = read_site(), prefix.rpartition("/")[2]

    # Relative, so that they hold under any root path: the page's addresses are relative too.
    for path, address in {
        "": f"{here}/ui/",
        "/": "ui/",
        "/ui": "ui/",
        "/profiles": "ui/",
        "/profiles/ui": "../ui/",
    }.items():
        router.add_api_route(prefix + path, _leading_to(address), methods=["GET"])

    @router.post(f"{prefix}/ui/session")
    async def sign_in(request: Request) -> Response:
        return await answered(_session(host, request), of="ui/session")

    @router.get(f"{prefix}/ui/")
    async def page(request: Request) -> Response:
        return _send(site.index, request, _headers(host, ASK_AGAIN))

    @router.get(f"{prefix}/ui/{AGAIN}")
    async def again(request: Request) -> Response:
        return _send(site.files[AGAIN], request, _headers(host, ASK_AGAIN))

    @router.get(prefix + "/ui/{version}/{path:path}")
    async def file(version: str, path: str, request: Request) -> Response:
        asset = site.files.get(path)
        if asset is None or version != site.version:
            return Response("Not found.", 404, _headers(host, ASK_AGAIN), "text/plain")
        return _send(asset, request, _headers(host, KEEP))

    return router


@cache
def read_site() -> Site:
    """Return the page, read and compressed once in a process."""
    contents = {
        file.relative_to(STATIC).as_posix(): file.read_bytes()
        for file in sorted(STATIC.rglob("*"))
        if file.suffix in MEDIA_TYPES
    }
    digest = hashlib.sha256()
    for path, content in contents.items():
        digest.update(path.encode() + b"\0" + content + b"\0")
    version = digest.hexdigest()[:16]
    index = contents.pop(INDEX).decode()
    # Named at once, or a browser would learn of each module only from the one that imports it.
    modules = "".join(
        f'<link rel="modulepreload" href="{version}/{path}">'
        for path in contents
        if path.endswith(".js") and path != AGAIN
    )
    index = index.replace("<!-- {modules} -->", modules).replace("{version}", version)
    return Site(
        version=version,
        index=_asset(INDEX, index.encode()),
        files={path: _asset(path, content) for path, content in contents.items()},
    )


def _leading_to(address: str) -> Callable[[], Awaitable[Response]]:
    async def enter() -> Response:
        return Response(status_code=307, headers={"Location": address, **HEADERS, **ASK_AGAIN})

    return enter


def _asset(path: str, content: bytes) -> Asset:
    return Asset(
        plain=content,
        packed=gzip.compress(content, 9, mtime=0),
        etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        media_type=MEDIA_TYPES[Path(path).suffix],
    )


def _headers(host: Callable[[], AdminHost], caching: Mapping[str, str]) -> dict[str, str]:
    return {**HEADERS, **caching, "Content-Security-Policy": _policy(host)}


def _send(asset: Asset, request: Request, headers: dict[str, str]) -> Response:
    headers["ETag"] = asset.etag
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if asset.etag in known:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.packed, headers=headers, media_type=asset.media_type)
    return Response(asset.plain, headers=headers, media_type=asset.media_type)


async def _session(host: Callable[[], AdminHost], request: Request) -> Response:
    session = _sign_in(host())(await _claim(request))
    return JSONResponse({"key": session.key, "expires_at": session.expires_at})


async def _claim(request: Request) -> str:
    """Return the claim of a body `{"claim": "..."}`. Raises `NotAuthenticated` for anything else."""
    body = await read_body(request, MAX_CLAIM_BYTES)
    try:
        claim = json.loads(body)["claim"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise NotAuthenticated("This is no identity claim of LiteLLM's UI.") from error
    if not isinstance(claim, str):
        raise NotAuthenticated("This is no identity claim of LiteLLM's UI.")
    return claim


def _sign_in(host: AdminHost) -> Callable[[str], UiSession]:
    if host.sign_in is None:
        raise NotReady("This proxy takes no sign-in from LiteLLM's UI.")
    return host.sign_in


def _policy(host: Callable[[], AdminHost]) -> str:
    try:
        origin = host().frame_origin
    except NeuronodeError:  # starting, or closed: the page says so itself, and only its own origin frames it
        origin = None
    return f"{POLICY} {origin}" if origin else POLICY
