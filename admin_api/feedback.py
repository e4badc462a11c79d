"""The route that takes feedback: was the classifier right about a request?

It must not know how decisions are kept. Anybody may judge his own requests, an administrator all of them.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from admin_api.documents import storable
from admin_api.edge import Caller
from neuronode_router.access import key_hash
from neuronode_router.classifier.classification import LABELS
from neuronode_router.classifier.history import FeedbackOutcome, Sign
from neuronode_router.domain import Tier
from neuronode_router.errors import HistoryUnavailable

Label = Literal[LABELS]  # type: ignore[valid-type]  # the classifier's own table of tasks and kinds of `other`


class FeedbackBody(BaseModel):
    """What somebody says of one decision."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"call_id": "8f0c...", "verdict": "wrong", "task": "summary"}},
    )

    call_id: Annotated[str, Field(min_length=1, max_length=128), AfterValidator(storable)] = Field(
        description="The `x-litellm-call-id` of the answer."
    )
    verdict: Literal["right", "wrong"] = Field(description="Of the task, and of the tier.")
    task: Label | None = Field(
        default=None, description="With `wrong`: what it was: a task, or a kind of `other`."
    )
    tier: Tier | None = Field(default=None, description="The tier that would have been right.")

    @model_validator(mode="after")
    def _right_needs_no_task(self) -> Self:
        if self.verdict == "right" and self.task is not None:
            raise ValueError("a right decision needs no other task")
        return self


class FeedbackDocument(BaseModel):
    """What was judged."""

    model_config = ConfigDict(extra="forbid")

    call_id: str
    decided_at: float = Field(description="Unix time in seconds.")
    task: str = Field(description="What the classifier said: a task, or a kind of `other`.")
    tier: Tier
    confidence: float
    group: str = Field(description="Where the request was sent.")


async def give_feedback(call: Caller, body: FeedbackBody, request: Request) -> FeedbackDocument:
    """Say whether the classifier was right about a request. Of one caller's verdicts on a call the last one counts."""
    call.limits.count(call.principal, call.host.write_limit)
    if call.host.feedback is None:
        raise HistoryUnavailable("No history of decisions is kept here.")
    _, _, key = request.headers.get("authorization", "").partition(" ")
    sign = Sign(FeedbackOutcome(body.verdict), body.task, body.tier)
    entry = await call.host.feedback.judge(
        body.call_id, sign, by=call.principal, key_hash=key_hash(key.strip())
    )
    return FeedbackDocument(
        call_id=entry.call_id,
        decided_at=entry.at,
        task=entry.label,
        tier=entry.tier,
        confidence=entry.confidence,
        group=entry.sent_to,
    )
