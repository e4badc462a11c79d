"""What the usage routes are given.

It must not know how usage is counted or kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from neuronode_router.domain import Profile
from neuronode_router.usage.explain import Explanation
from neuronode_router.usage.forecast import Forecast
from neuronode_router.usage.report import Report


class UsageView(Protocol):
    """The books. Every method may raise `StoreUnavailable`; times are Unix seconds."""

    @property
    def clock(self) -> Callable[[], float]:
        """Tells the time."""
        ...

    async def report(
        self, since: float, until: float, *, by: tuple[str, ...], step: int | None, team: str | None
    ) -> Report:
        """Return figures by group, of one team where it is given."""
        ...

    async def forecast(self, candidate: Profile, since: float, until: float) -> Forecast:
        """Return what the recorded requests would have cost under a profile."""
        ...

    async def explain(self, call_id: str, profiles: Mapping[str, Profile]) -> Explanation | None:
        """Return a recent request and its alternatives, None where it is not known."""
        ...
