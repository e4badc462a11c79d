"""What LiteLLM asks before a fallback goes to another group: a ladder's steps are granted to whom its name is.

A key may hold only our names; LiteLLM would then skip every step. Everything else is left to LiteLLM's own check. It
trusts only the stamp that admission wrote: what clients send under that name was scrubbed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from neuronode_router.litellm_plugin.hooks import gate
from neuronode_router.litellm_plugin.hooks.request_metadata import BUCKETS, stamped
from neuronode_router.litellm_plugin.router.bridge import AccessCheck, RouterBridge
from neuronode_router.routing.residency import is_within

Grants = Callable[[Any, str, str], Awaitable[bool]]
"""From LiteLLM's caller, the name it sent and a group to whether it may use the one or the other."""


class FallbackAccess:
    """Our check of one router, around LiteLLM's own."""

    def __init__(
        self, bridge: RouterBridge, *, grants: Grants | None = None, places: gate.Places | None = None
    ) -> None:
        """Without `grants`, as where there are no keys, every step is granted."""
        self._places = places
        self._bridge = bridge
        self._grants = grants
        self._theirs: AccessCheck | None = None

    def hold(self) -> None:
        """Be what LiteLLM asks, also after it was set anew. Where it asks nobody, nobody is asked."""
        present = self._bridge.access_check()
        if present is not None and present != self.check:
            self._theirs = present
            self._bridge.set_access_check(self.check)

    def release(self) -> None:
        """Give LiteLLM its own check back."""
        if self._theirs is not None and self._bridge.access_check() == self.check:
            self._bridge.set_access_check(self._theirs)

    async def check(self, *, model: str, request_kwargs: Any, **context: Any) -> bool:
        """Return whether the request may go on to the group `model`. Raises what LiteLLM's own check raises."""
        asks, wanted = gate.passing(), gate.places()
        if wanted and self._places is not None:
            found = self._places.of_group(model)
            if found and not any(is_within(place, wanted) for place in found):
                return False
        if asks is not None:
            if not asks.passage.reaches(model):
                return False
            if model in asks.approved:
                return True
        allowed = await self._judged(model, request_kwargs, context)
        if allowed and asks is not None:
            asks.approved.add(model)
        return allowed

    @property
    def is_asked(self) -> bool:
        """Whether LiteLLM asks us before fallbacks."""
        return self._theirs is not None

    async def _judged(self, model: str, request_kwargs: Any, context: Mapping[str, Any]) -> bool:
        mark = stamped(request_kwargs)
        if mark and model in mark.get("tiers", ()):
            user = _user(request_kwargs)
            return self._grants is None or user is None or await self._grants(user, mark["name"], model)
        if self._theirs is None:
            return True
        return bool(await self._theirs(model=model, request_kwargs=request_kwargs, **context))


def _user(request: Mapping[str, Any]) -> Any | None:
    buckets = (request.get(name) for name in BUCKETS)
    users = (bucket.get("user_api_key_auth") for bucket in buckets if isinstance(bucket, Mapping))
    return next((user for user in users if user is not None), None)
