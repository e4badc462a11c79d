"""Tasks as data: templates, the messages they become, and what their answers are worth.

It must not know who answers, which tiers a profile has, or LiteLLM.
"""

from __future__ import annotations

from neuronode_router.tasks.answers import Checked, check
from neuronode_router.tasks.catalogue import Catalogue, load, parse, shipped
from neuronode_router.tasks.confidence import TokenLogprob, confidence
from neuronode_router.tasks.escalation import (
    Done,
    Escalate,
    EscalationReason,
    Retry,
    Step,
    TaskAttempt,
    plan_next,
)
from neuronode_router.tasks.rendering import Message, render
from neuronode_router.tasks.template import Language, TaskTemplate

__all__ = [
    "Catalogue",
    "Checked",
    "Done",
    "Escalate",
    "EscalationReason",
    "Language",
    "Message",
    "Retry",
    "Step",
    "TaskAttempt",
    "TaskTemplate",
    "TokenLogprob",
    "check",
    "confidence",
    "load",
    "parse",
    "plan_next",
    "render",
    "shipped",
]
