"""Every admin route against every kind of caller, through LiteLLM's own authentication."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from admin_api.router import PREFIX, SECOND_PREFIX
from tests.admin_api.test_security import MEMBERS_MAY, TEAMS_MAY, VIEWERS_MAY
from tests.e2e.conftest import ADMIN
from tests.e2e.test_secrets import UNKNOWN_KEY, routes
from tests.support.proxy import MASTER_KEY, Proxy

pytestmark = pytest.mark.e2e

MORE_THAN_THE_ROLE = {
    *TEAMS_MAY,
    *("put_binding", "delete_binding", "list_bindings", "give_feedback"),
}
"""Routes that also look at the caller's team or at whose request it was: tests/admin_api has them."""


@pytest.mark.parametrize("prefix", [PREFIX, SECOND_PREFIX])
@pytest.mark.parametrize(
    ("caller", "may"),
    [
        ("nobody", set()),
        ("unknown", set()),
        ("narrow", MEMBERS_MAY),
        ("ordinary", MEMBERS_MAY),
        ("viewer", VIEWERS_MAY),
        ("master", None),
    ],
)
def test_each_caller_reaches_what_it_may(
    proxy: Proxy, keys: Mapping[str, str], caller: str, may: set[str] | None, prefix: str
) -> None:
    """401 for strangers, 403 for what a role does not include, anything else where it does."""
    key = {**keys, "nobody": None, "unknown": UNKNOWN_KEY, "master": MASTER_KEY}[caller]
    refusal = 401 if caller in ("nobody", "unknown") else 403

    with proxy.client(key) as client:
        # A body that no route accepts: who is let in is answered 4xx or 200, and nothing changes.
        found = {
            name: client.request(method, prefix + path, json={"nonsense": True}).status_code
            for name, method, path in routes()
        }

    wrong = {
        route: status
        for route, status in found.items()
        if (refusal == 401 and status != 401)
        or (route not in MORE_THAN_THE_ROLE and (status == refusal) != (may is not None and route not in may))
    }
    assert len(found) >= 12
    assert wrong == {}


@pytest.mark.parametrize(
    "path", ["//admin/profiles/list", "/admin/%2e%2e/admin/profiles/list", "/ADMIN/profiles/list"]
)
def test_no_path_gets_around_the_key(proxy: Proxy, path: str) -> None:
    """Odd spellings of a path lead nowhere without a key."""
    with proxy.client(None, host="localhost:4000/#@admin") as client:
        assert client.get(path).status_code in (400, 401, 404)
        assert client.get(f"{ADMIN}/list").status_code == 401
