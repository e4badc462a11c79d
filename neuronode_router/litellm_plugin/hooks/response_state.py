"""Which deployment keeps what was said before, where a request of the Responses API sends only what is new.

LiteLLM writes the deployment's id into the ids of responses that it hands out, and encrypts them for their caller. Who
may use one is checked by LiteLLM's own hook, later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from neuronode_router.routing.personal_data import bodies

CONTINUES = ("previous_response_id", "previous_interaction_id")
"""Where a request names what was said before, and does not repeat it."""

MAX_ID = 4096
"""Characters of an id that is looked at."""


def deployment_with_state(request: Mapping[str, Any]) -> str | None:
    """Return the id of the deployment that gave the response which a request continues. Never raises.

    None where it continues none. It is what an id that a client sent says: look it up before it is believed.
    """
    return _deployment(request.get(CONTINUES[0]))


def all_with_state(request: Mapping[str, Any]) -> Iterator[str | None]:
    """Yield the same of everything that a request, and its fallbacks, continue; None where the id does not tell."""
    for body in bodies(request):
        yield from (_deployment(body[name]) for name in CONTINUES if body.get(name))


def _deployment(given: object) -> str | None:
    if not isinstance(given, str) or not 0 < len(given) <= MAX_ID:
        return None
    try:
        known = _decoded(given) or _decoded(_decrypted(given))
    except Exception:  # noqa: BLE001  # clients make ids up, and a failure here would lead past their caps
        return None
    return known if isinstance(known, str) else None


def _decrypted(response_id: str) -> str:
    from litellm.proxy.hooks.responses_id_security import ResponsesIDSecurity

    return str(ResponsesIDSecurity()._decrypt_response_id(response_id)[0])


def _decoded(response_id: str) -> object:
    from litellm.responses.utils import ResponsesAPIRequestUtils

    return ResponsesAPIRequestUtils.decode_responses_api_response_id(response_id).get("model_id")
