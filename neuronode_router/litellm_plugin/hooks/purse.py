"""What is known of the budgets of one request's caller: the door writes it down, admission knows what the group costs.

It must not know whose budgets there are, nor how they are judged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass

from fastapi import HTTPException
from litellm.proxy._types import UserAPIKeyAuth


class BudgetExceededError(HTTPException):
    """LiteLLM's refusal of a caller whose budget is spent. Usage counts refusals by the name of the class."""


UNTOLD = (
    "This LiteLLM cannot be asked whether a budget of yours is spent, and what the request leads to costs. Ask for its "
    "model group by name, or have a tested release of LiteLLM installed."
)

Judge = Callable[[], Awaitable[UserAPIKeyAuth]]
"""Has LiteLLM judge the request anew, as one that costs. Raises `BudgetExceededError`, and what LiteLLM raises."""


@dataclass(slots=True)
class Purse:
    """The budgets of one request's caller.

    LiteLLM has judged them (`settled`), has found one spent (`refusal`), or has not looked, because the name that was
    sent costs nothing by its map. Without `judge` it cannot be asked again.
    """

    settled: bool = False
    refusal: BudgetExceededError | None = None
    judge: Judge | None = None

    async def pay(self, user: UserAPIKeyAuth) -> None:
        """Let the request go where it costs.

        Raises `BudgetExceededError`, what LiteLLM's door raises, and HTTPException 503 where nobody can tell.
        """
        if self.settled:
            return
        if self.refusal is not None:
            raise self.refusal
        if self.judge is None:
            raise HTTPException(503, {"error": UNTOLD})
        try:
            judged = await self.judge()
        except BudgetExceededError as refusal:
            self.refusal = refusal
            raise
        # What LiteLLM has set aside for the request is taken back when it ends, by the caller it knows.
        user.budget_reservation = judged.budget_reservation
        self.settled = True


_purse: ContextVar[Purse | None] = ContextVar("neuronode_purse", default=None)


def hold(purse: Purse | None) -> None:
    """Note what is known, for all that follows in this request; None where LiteLLM has judged the name itself."""
    _purse.set(purse)


def held() -> Purse | None:
    """Return what is known of the budgets of this request's caller."""
    return _purse.get()


def is_spent() -> bool:
    """Return whether a budget of the caller's is known to be spent."""
    purse = _purse.get()
    return purse is not None and purse.refusal is not None


def is_empty() -> bool:
    """Return whether nothing that costs may be asked: a budget is spent, or nobody can tell whether one is."""
    purse = _purse.get()
    return purse is not None and not purse.settled and (purse.refusal is not None or purse.judge is None)
