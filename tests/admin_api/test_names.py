"""The words that no profile can have as its name are those of the routes that stand where a name would."""

from __future__ import annotations

from fastapi.routing import APIRoute

from admin_api.router import ENDPOINTS, PREFIX
from admin_api.ui.routes import build_ui
from neuronode_router.profiles.checks import RESERVED_PROFILE_NAMES
from tests.admin_api.world import BASE, World


def test_exactly_the_words_beside_a_profiles_name_are_reserved(world: World) -> None:
    """Each literal beside `/profiles/{name}` is reserved, and no other word is taken from operators."""
    page = [route.path for route in build_ui(world.host, PREFIX).routes if isinstance(route, APIRoute)]
    paths = [*page, *(PREFIX + endpoint.path for endpoint in ENDPOINTS)]
    beside = {path.removeprefix(f"{BASE}/").split("/")[0] for path in paths if path.startswith(f"{BASE}/")}

    assert beside - {"{name}"} == RESERVED_PROFILE_NAMES
    assert "{name}" in beside
