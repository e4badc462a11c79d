"""Schemathesis over our part of the OpenAPI page, against the real proxy: shorter than `tests/admin_api` does it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.openapi_page import hold_to_the_page
from tests.support.place import Place
from tests.support.proxy import MASTER_KEY, Proxy
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Proxy]:
    """A proxy of its own: what is sent switches profiles and edits files."""
    place = Place(directory=tmp_path_factory.mktemp("openapi"), upstream=upstream.url)
    environ = {"NEURONODE_WRITE_LIMIT": "10000/second", "NEURONODE_HISTORY": "on"}
    with Proxy(place, environ=environ) as running:
        yield running


def test_the_real_proxy_gives_only_documented_answers(subtests: pytest.Subtests, proxy: Proxy) -> None:
    """LiteLLM's middleware, authentication and handlers are around our routes here."""
    assert hold_to_the_page(subtests, url=proxy.url, key=MASTER_KEY, examples=2) > 50
