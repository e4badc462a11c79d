"""What the ProfileManager asks of whoever has local models in memory: before a commit, and after it.

It must not know what a local model is, nor who serves it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from neuronode_router.control.change import ChangeOrder, ChangeResult, ChangeTarget
from neuronode_router.domain.receipts import WarmMode, WarmReport
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import WarmFailed

OVERTAKEN = "Somebody else changed what is in force while models were loaded. Look at it, and repeat: they are loaded."


class WarmUp(Protocol):
    """The models of one change."""

    async def first(self) -> bool:
        """Have in memory what can be before the commit; return whether anything had to be waited for.

        Raises `WarmFailed`: then the change is not made.
        """
        ...

    async def then(self) -> WarmReport:
        """Have in memory what had to wait for the commit, and return what became of everything. Never raises."""
        ...


Up = TypeVar("Up", bound=WarmUp)


class Warmth(Protocol[Up]):
    """Whoever knows the local models."""

    def mode(self, order: ChangeOrder) -> WarmMode:
        """Return what a change does about them. Never raises."""
        ...

    async def begin(self, before: ControlState, after: ChangeTarget, order: ChangeOrder) -> Up | None:
        """Look at what a change needs; None where no local model has anything to do with it.

        Raises `WarmFailed` where that cannot be found out and the change is to wait for it.
        """
        ...

    async def outlook(
        self, before: ControlState, after: ChangeTarget, order: ChangeOrder
    ) -> WarmReport | None:
        """Return what a change would do about local models, and do nothing.

        Raises `WarmFailed` on a dry run of what would be refused.
        """
        ...

    def drain(self, up: Up) -> None:
        """Let go, in the background, what nobody needs after a change that was waited for or not made. Never raises."""
        ...

    async def go_on(self, before: ControlState, after: ChangeTarget, order: ChangeOrder) -> WarmReport | None:
        """Have them in memory after the commit, in the background; return what that will be. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class WarmedChange:
    """The models of a change that is about to be committed."""

    up: WarmUp
    waited: int | None
    """The revision on which it has waited for them; None where there was nothing to wait for."""


class WarmChanges:
    """Has local models in memory around changes; without a `Warmth` it does nothing."""

    def __init__(self, warmth: Warmth[Any] | None) -> None:
        self._warmth = warmth

    async def first(
        self, order: ChangeOrder, foresee: Callable[[ChangeOrder], Awaitable[ChangeResult]]
    ) -> WarmedChange | None:
        """Wait for the models of a change that is to wait. Raises `WarmFailed`, and whatever the change would raise."""
        warmth = self._warmth
        if warmth is None or order.dry_run or warmth.mode(order) != "wait":
            return None
        foreseen = await foresee(replace(order, dry_run=True))
        if foreseen.before is None or foreseen.target is None or not foreseen.changed:
            return None
        up = await warmth.begin(foreseen.before, foreseen.target, order)
        if up is None:
            return None
        try:
            waited = await up.first()
        except WarmFailed:
            warmth.drain(up)
            raise
        return WarmedChange(up, foreseen.before.revision if waited else None)

    def in_vain(self, warmed: WarmedChange | None) -> None:
        """Let go of what was loaded for a change that was not made. Never raises."""
        if self._warmth is not None and warmed is not None:
            self._warmth.drain(warmed.up)

    async def then(self, warmed: WarmedChange | None, outcome: ChangeResult) -> WarmReport | None:
        """Return what becomes of the models. What was committed is committed, so nothing here is a failure.

        On a dry run it raises `WarmFailed` for what would be refused.
        """
        warmth, before, target, order = self._warmth, outcome.before, outcome.target, outcome.order
        if warmth is None or before is None or target is None or not outcome.changed:
            return None
        if order.dry_run:
            return await self.outlook(order, before, target)
        if warmed is not None:
            report = await warmed.up.then()
            warmth.drain(warmed.up)
            return report
        return await warmth.go_on(before, target, order) if warmth.mode(order) == "background" else None

    async def outlook(
        self, order: ChangeOrder, before: ControlState, target: ChangeTarget
    ) -> WarmReport | None:
        """Return what a change would do about the models; None where it would do nothing. Raises as `then`."""
        if self._warmth is None or self._warmth.mode(order) == "off":
            return None
        return await self._warmth.outlook(before, target, order)
