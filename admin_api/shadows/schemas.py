"""Bodies and answers of shadow comparisons, as the OpenAPI page shows them. Shares are percent, inside thousandths.

It must not know how answers are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from admin_api.http.schemas import Asked, Document, GroupName, Name, WriteOptions
from neuronode_router.shadows.acts import ShadowPlan, ShadowReport
from neuronode_router.shadows.pairs import WHOLE
from neuronode_router.shadows.report import ShadowFinding
from neuronode_router.shadows.store import ShadowStanding
from neuronode_router.wrong_value import WrongValue

PERCENT = WHOLE / 100
HOUR = 3600.0


def _unique(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise WrongValue("a task is named twice", "Name each once.")
    return names


class ShadowBody(WriteOptions):
    """A profile that answers a share of the requests once more, unseen by clients."""

    profile: Name
    share: Annotated[float, Field(ge=0.1, le=100, allow_inf_nan=False)] = 5
    """Percent of the requests that follow the active profile, in tenths."""
    hours: Annotated[float, Field(ge=1 / 3600, le=31 * 24, allow_inf_nan=False)] = 24
    """After so long it ends by itself."""
    budget_usd: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
    """What its answers and the judge's may cost in all workers together; then it ends by itself."""
    max_concurrency: Annotated[int, Field(ge=1, le=32)] = 2
    """How many requests each worker answers once more at the same time."""
    tasks: Annotated[list[Name], Field(max_length=64), AfterValidator(_unique)] = []
    """Only these, `auto` for requests that name no task. Default: all."""
    judge: GroupName | None = None
    """A model group that is asked whether the other answer would have done: it sees request and both answers."""
    sample_text: bool = False
    """Keep the newest requests with both answers, shortened, for administrators. Default: no text is kept."""

    def plan(self) -> ShadowPlan:
        """Return what is ordered."""
        return ShadowPlan(
            profile=self.profile,
            share=round(self.share * PERCENT),
            seconds=self.hours * HOUR,
            budget_usd=self.budget_usd,
            concurrency=self.max_concurrency,
            tasks=tuple(self.tasks),
            judge=self.judge,
            sample_text=self.sample_text,
        )


class ShadowPaging(Asked):
    """How much of the list."""

    limit: Annotated[int, Field(ge=1, le=50)] = 20


class ShadowDocument(Document):
    """A comparison as it stands."""

    id: str
    profile: str
    """Which answers once more."""
    share: float
    """Percent of the requests."""
    tasks: list[str]
    """Empty for all."""
    judge: str | None
    sample_text: bool
    max_concurrency: int
    budget_usd: float
    spent_usd: float
    """What requests that run may still cost included."""
    started_at: float
    """Unix time in seconds, as all times."""
    until: float
    """When it ends by itself."""
    ended_at: float | None
    """Null while it runs."""
    why: str
    """Why it ended."""
    actor: str
    """Who began it."""


class ShadowReportDocument(ShadowDocument):
    """A comparison, and what was found out."""

    headline: str
    """All of it as one sentence."""
    against: list[str]
    """The profiles that answered the clients meanwhile."""
    findings: Sequence[ShadowFinding]
    """Of all tasks together, and of each. Intervals are of 95 %, for one look."""


class ShadowSampleDocument(Document):
    """A request that was kept with both answers, each shortened."""

    at: float
    task: str
    agrees: bool | None
    """Null where only a reader can tell."""
    asked: str
    """What was said last."""
    client: str
    """What the client was answered."""
    other: str
    """What the other profile answered."""


class SampledShadowDocument(ShadowReportDocument):
    """A comparison with requests that were kept."""

    samples: list[ShadowSampleDocument]
    """Newest first, for administrators only; empty unless `sample_text` was on."""


class ShadowListDocument(Document):
    """The newest comparisons."""

    running: ShadowReportDocument | None
    """The one that runs."""
    shadows: list[ShadowDocument]
    """Newest first."""


Shown = TypeVar("Shown", bound=ShadowDocument)


def shown(standing: ShadowStanding) -> ShadowDocument:
    """Return a comparison as it is answered."""
    return _shown(ShadowDocument, standing)


def shown_report(report: ShadowReport) -> ShadowReportDocument:
    """Return a comparison and what was found out."""
    return _shown(ShadowReportDocument, report.standing, report)


def shown_samples(report: ShadowReport, *, samples: bool) -> SampledShadowDocument:
    """Return the same, with the requests that were kept if `samples` may be seen."""
    kept = [ShadowSampleDocument(**one) for one in report.samples] if samples else []
    return _shown(SampledShadowDocument, report.standing, report, samples=kept)


def _shown(kind: type[Shown], standing: ShadowStanding, *sources: object, **known: object) -> Shown:
    shadow = standing.shadow
    share, concurrency = shadow.share / PERCENT, shadow.concurrency
    return kind.of(*sources, standing, shadow, share=share, max_concurrency=concurrency, **known)
