"""The words that no profile can have as its name are those of the routes that stand where a name would."""

from __future__ import annotations

from fastapi.routing import APIRoute

from admin_api.router import PREFIX
from neuronode_router.profiles.checks import RESERVED_PROFILE_NAMES
from tests.admin_api.world import BASE, World


def test_exactly_the_words_beside_a_profiles_name_are_reserved(world: World) -> None:
    """Each literal beside `/profiles/{name}` is reserved, and no other word is taken from operators."""
    page = world.app.openapi()["paths"]
    paths = {*page, *(route.path for route in public_routes(world))}
    beside = {path.removeprefix(f"{BASE}/").split("/")[0] for path in paths if path.startswith(f"{BASE}/")}

    assert "{name}" in beside
    assert beside - {"{name}", ""} == RESERVED_PROFILE_NAMES


def public_routes(world: World) -> list[APIRoute]:
    """Return the routes of the application under the first prefix."""
    found = [route for route in world.app.routes if isinstance(route, APIRoute)]
    return [route for route in found if route.path.startswith(PREFIX)]
