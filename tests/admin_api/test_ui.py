"""The dashboard's files: public, complete, small, and shut in by their headers (T17, T18)."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import httpx
import pytest

from admin_api.router import PREFIX, SECOND_PREFIX
from admin_api.ui.routes import MAX_CLAIM_BYTES, STATIC, read_site
from neuronode_router.control.chain import LATER
from neuronode_router.errors import AdminClosed
from tests.admin_api.world import World

UI = f"{PREFIX}/ui"
IMPORTS = re.compile(r'from "(\.[^"]+)"')
SCRIPTS = sorted(STATIC.rglob("*.js"))
MAX_PACKED_BYTES = 200_000
SITE = read_site()
FIELDS = re.compile(r"<(?:input|textarea)\b(?:=>|[^>])*>")


@pytest.fixture
async def anyone(world: World) -> httpx.AsyncClient:
    """A client without a key."""
    return world.client(None)


@pytest.mark.parametrize("prefix", [PREFIX, SECOND_PREFIX])
async def test_the_page_needs_no_key(anyone: httpx.AsyncClient, prefix: str) -> None:
    """With and without the slash, under both prefixes, a browser arrives at the page."""
    answer = await anyone.get(f"{prefix}/ui", follow_redirects=True)

    assert answer.status_code == 200
    assert answer.url.path == f"{prefix}/ui/"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_the_redirect_keeps_a_path_in_front(anyone: httpx.AsyncClient) -> None:
    """Behind a gateway that serves the proxy under a path, an absolute redirect would leave that path."""
    answer = await anyone.get(UI)

    assert (answer.status_code, answer.headers["location"]) == (307, "ui/")


async def test_the_page_is_there_before_there_is_anything_to_show(
    world: World, anyone: httpx.AsyncClient
) -> None:
    """A closed or starting proxy still serves the page, framed by nobody else."""
    world.frame_origin = "https://ui.test"
    world.closed = AdminClosed("No master key.")

    answer = await anyone.get(f"{UI}/")

    assert answer.status_code == 200
    assert "ui.test" not in answer.headers["content-security-policy"]


async def test_nothing_inline_and_nothing_from_elsewhere_may_run(anyone: httpx.AsyncClient) -> None:
    """T17: the policy starts from nothing, allows its own origin only, and no text becomes code or markup."""
    answer = await anyone.get(f"{UI}/")

    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
        "frame-ancestors": "'self'",
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_only_the_configured_origin_may_frame_the_page(world: World, anyone: httpx.AsyncClient) -> None:
    """T18: every file is framed by its own origin, and by the one the operator names."""
    alone = await anyone.get(f"{UI}/")
    world.frame_origin = "https://ui.test"
    shared = await anyone.get(f"{UI}/")

    assert alone.headers["content-security-policy"].endswith("frame-ancestors 'self'")
    assert alone.headers["x-frame-options"] == "SAMEORIGIN"
    assert shared.headers["content-security-policy"].endswith("frame-ancestors 'self' https://ui.test")


@pytest.mark.parametrize(
    "path", ["../ui.py", "%2e%2e/ui.py", "vendor/README.md", "js", "js/", "nothing.js", "%00", "index.html/"]
)
async def test_only_the_pages_own_files_are_served(anyone: httpx.AsyncClient, path: str) -> None:
    """T10: a path is looked up among the known files, never on the disk."""
    for place in (UI, f"{UI}/{SITE.version}"):
        answer = await anyone.get(
            httpx.URL("http://proxy.test", raw_path=f"{place}/{path}".encode()), follow_redirects=True
        )

        assert answer.status_code in {401, 404}  # 401: dots that the client resolved lead to the API itself
        assert "AdminHost" not in answer.text


async def test_files_travel_compressed_and_only_once(anyone: httpx.AsyncClient) -> None:
    """A browser that has the file is told so; one that has not gets it packed, and unpacks the same bytes."""
    file = f"{UI}/{SITE.version}/app.css"
    first = await anyone.get(file, headers={"Accept-Encoding": "gzip"})
    again = await anyone.get(file, headers={"If-None-Match": f"W/{first.headers['etag']}"})
    plain = await anyone.get(file, headers={"Accept-Encoding": "identity"})

    assert first.headers["content-encoding"] == "gzip"
    assert (again.status_code, again.content) == (304, b"")
    assert plain.content == first.content == (STATIC / "app.css").read_bytes()


async def test_every_import_of_the_page_is_served(anyone: httpx.AsyncClient) -> None:
    """From index.html through every module: nothing that is asked for is missing, nothing served is unused."""
    index = (await anyone.get(f"{UI}/")).text
    named = set(re.findall(r'(?:href|src)="([^"#]+)"', index))
    imported = {
        (script.parent / name).resolve().relative_to(STATIC).as_posix()
        for script in SCRIPTS
        for name in IMPORTS.findall(script.read_text())
    }

    statuses = {path: (await anyone.get(f"{UI}/{path}")).status_code for path in named}

    assert set(statuses.values()) == {200}
    assert {path.removeprefix(f"{SITE.version}/") for path in named} == set(SITE.files)
    assert imported | {"again.js", "app.css", "icon.svg", "js/main.js"} == set(SITE.files)


async def test_a_file_is_kept_for_ever_and_the_page_is_not(anyone: httpx.AsyncClient) -> None:
    """An address names the version of its file; another version is not there, so no page mixes two."""
    page = await anyone.get(f"{UI}/")
    file = await anyone.get(f"{UI}/{SITE.version}/js/main.js")
    older = await anyone.get(f"{UI}/0123456789abcdef/js/main.js")

    assert page.headers["cache-control"] == "no-cache"
    assert file.headers["cache-control"].endswith("immutable")
    assert (older.status_code, older.headers["cache-control"]) == (404, "no-cache")


async def test_every_version_has_what_loads_the_page_anew(anyone: httpx.AsyncClient) -> None:
    """Its address names no version, it is asked for each time, and it stands before what may be missing."""
    page = await anyone.get(f"{UI}/")
    script = await anyone.get(f"{UI}/again.js")

    assert page.text.index('src="again.js"') < page.text.index(f"{SITE.version}/app.css")
    assert (script.status_code, script.headers["cache-control"]) == (200, "no-cache")
    assert "content-security-policy" in script.headers


def test_the_whole_page_is_small() -> None:
    """All files together, packed, stay far below what a slow connection notices."""
    everything = [SITE.index, *SITE.files.values()]

    assert sum(len(asset.packed) for asset in everything) < MAX_PACKED_BYTES
    assert all(gzip.decompress(asset.packed) == asset.plain for asset in everything)


def test_vendored_code_is_what_its_table_says() -> None:
    """T24: what others wrote is unchanged."""
    rows = dict(
        re.findall(r"^\| `([\w.-]+)` .*`([0-9a-f]{64})` \|$", (STATIC / "vendor/README.md").read_text(), re.M)
    )

    assert rows == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in vendored()}
    assert len(rows) == 4


def vendored() -> list[Path]:
    """Code that others wrote."""
    return sorted((STATIC / "vendor").glob("*.js"))


@pytest.mark.parametrize("script", [s for s in SCRIPTS if s not in vendored()], ids=lambda s: s.name)
def test_no_script_of_ours_makes_markup_or_code_from_text(script: Path) -> None:
    """T17: names and reasons reach the page as text only, and nothing is fetched from elsewhere."""
    text = script.read_text()

    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|dangerously|document\.write|\beval\b|Function\(", text
    )
    assert not re.search(r"https?://|document\.cookie", text)


def test_what_is_being_typed_is_kept_by_every_text_field() -> None:
    """A field whose value only a finished change sets is emptied by the next news that draws its screen again."""
    drawn = [tag for script in SCRIPTS for tag in FIELDS.findall(script.read_text()) if " value=" in tag]

    assert len(drawn) > 5
    assert [tag for tag in drawn if "onInput=" not in tag and " readonly" not in tag] == []


async def test_a_claim_becomes_a_session(world: World, anyone: httpx.AsyncClient) -> None:
    """What LiteLLM's UI posts to the page is exchanged for a key, which is not kept by any cache."""
    answer = await anyone.post(f"{UI}/session", json={"claim": "a good claim"})

    assert answer.json() == {"key": world.keys["admin"], "expires_at": 1.0}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "body",
    [b'{"claim": "forged"}', b'{"claim": 7}', b"{}", b"[]", b"", b"[" * 5000],
)
async def test_anything_else_is_no_session(anyone: httpx.AsyncClient, body: bytes) -> None:
    """Forged, misshapen or deep: 401, never a failure."""
    answer = await anyone.post(f"{UI}/session", content=body)

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


async def test_an_endless_claim_is_cut_off(anyone: httpx.AsyncClient) -> None:
    """No more is read of it than the longest claim."""
    answer = await anyone.post(f"{UI}/session", content=b"x" * (MAX_CLAIM_BYTES + 1))

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_closed_proxy_gives_no_session(world: World, anyone: httpx.AsyncClient) -> None:
    """T26: without a master key there is no way in through the page either."""
    world.closed = AdminClosed("No master key.")

    answer = await anyone.post(f"{UI}/session", json={"claim": "a good claim"})

    assert answer.status_code == 503


async def test_the_access_of_a_caller_shows_no_secret(world: World) -> None:
    """Readers see what each key of the access file may do, members only themselves, nobody a hash."""
    async with world.client("viewer") as viewer, world.client("member") as member:
        seen = (await viewer.get(f"{PREFIX}/access")).json()
        own = (await member.get(f"{PREFIX}/access")).json()

    assert {key["name"] for key in seen["keys"]} >= {"admin", "viewer", "member"}
    assert "sha256" not in seen["keys"][0]
    assert (own["you"]["name"], own["you"]["role"], own["keys"]) == ("member", "member", None)


@pytest.mark.parametrize("prefix", [PREFIX, SECOND_PREFIX])
@pytest.mark.parametrize(
    "path", ["", "/", "/ui", "/ui/", "/profiles", "/profiles/", "/profiles/ui", "/profiles/ui/"]
)
async def test_every_likely_address_leads_to_the_page(
    anyone: httpx.AsyncClient, prefix: str, path: str
) -> None:
    """Whoever guesses, or remembers an old address, arrives."""
    answer = await anyone.get(prefix + path, follow_redirects=True)

    assert (answer.status_code, answer.url.path) == (200, f"{prefix}/ui/")


def test_the_page_hashes_what_the_audit_log_hashes() -> None:
    """Both leave out the same fields where they are empty: else every chain of an older database would look broken."""
    said = re.search(r"const LATER = \[([^\]]*)\]", (STATIC / "js/chain.js").read_text())

    assert said is not None
    assert tuple(re.findall(r'"(\w+)"', said[1])) == LATER
