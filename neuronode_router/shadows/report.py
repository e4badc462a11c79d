"""What sums of pairs say of a profile: shares and ratios, each with the interval in which the truth lies.

The intervals hold for one look: who looks until a figure pleases deceives himself. It must not know who was asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from neuronode_router.histogram import Histogram
from neuronode_router.shadows.pairs import REFUSED, WHOLE, PairSums
from neuronode_router.tasks.agreement import ComparedBy
from neuronode_router.usage.sums import NANO

Z = 1.959964
"""Of 95 %."""

ALL_TASKS = ""
"""The name under which all tasks are looked at together. No task is called so."""


@dataclass(frozen=True, slots=True)
class ShadowEstimate:
    """A share or a ratio as it was seen, and where it lies with 95 %. All None where nothing was seen."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds that half and 95 of 100 answers do not exceed, right within 5 %; None where there was none."""

    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class BothSides:
    """The same of what clients got and of what the other profile said."""

    client: ShadowEstimate
    other: ShadowEstimate


@dataclass(frozen=True, slots=True)
class BothSpreads:
    """The same of both, as times."""

    client: Spread
    other: Spread


@dataclass(frozen=True, slots=True)
class ShadowFinding:
    """What a comparison found out about one task, or all together."""

    task: str
    """Empty for all tasks."""
    sampled: int
    """Requests that were chosen."""
    answered: int
    """Those that the other profile has answered."""
    skipped: Mapping[str, int]
    """Those that were not asked again, by reason."""
    failed: Mapping[str, int]
    """Those that the other profile has answered with an error, by its class."""
    same_group: int
    """Those that the other profile would have sent to the same group: nothing would have changed."""
    answers: ShadowEstimate
    """The share of what was asked that was answered."""
    refused_by_gate: int
    """Those that this proxy would have refused under the other profile."""
    agreement: ShadowEstimate
    """The share of comparable answers that say the same."""
    by_basis: Mapping[str, ShadowEstimate]
    """The same by what was compared."""
    forms: BothSides
    """The share of answers in the form that was demanded."""
    refusals: BothSides
    """The share of answers that decline."""
    judged: ShadowEstimate
    """The share of which the judge says that the other answer would have done."""
    judge_failed: int
    cost_ratio: ShadowEstimate
    """What the other profile costs for each dollar that clients' answers cost, where both are known."""
    cost_client_usd: float
    cost_other_usd: float
    latency: BothSpreads
    first_token: BothSpreads
    length_ratio: float | None
    """The median of how many times longer the other answer is."""


def findings(by_task: Mapping[str, PairSums]) -> tuple[ShadowFinding, ...]:
    """Return what was found out about all tasks together, and about each."""
    together = PairSums()
    for sums in by_task.values():
        together.merge(sums)
    return tuple(finding(task, sums) for task, sums in [(ALL_TASKS, together), *sorted(by_task.items())])


def finding(task: str, sums: PairSums) -> ShadowFinding:
    """Return what sums say. Never raises."""
    counts = sums.counts
    answered, failed, skipped = counts["answered"], _under(sums, "failed."), _under(sums, "skipped.")
    compared, agreed = _under(sums, "compared."), _under(sums, "agreed.")
    return ShadowFinding(
        task=task,
        sampled=counts["sampled"],
        answered=answered,
        skipped=skipped,
        failed=failed,
        same_group=skipped.get("same_group", 0),
        answers=share(answered, answered + sum(failed.values())),
        refused_by_gate=sum(skipped.get(why, 0) for why in REFUSED),
        agreement=share(sum(agreed.values()), sum(compared.values())),
        by_basis={
            basis.value: share(agreed.get(basis, 0), compared[basis])
            for basis in ComparedBy
            if basis in compared
        },
        forms=_both(sums, "formed", counts["forms"]),
        refusals=_both(sums, "refused", answered),
        judged=share(counts["judged.enough"], counts["judged"]),
        judge_failed=counts["judge_failed"],
        cost_ratio=cost_ratio(sums),
        cost_client_usd=counts["cost.client"] / NANO,
        cost_other_usd=counts["cost.other"] / NANO,
        latency=_spreads(sums, "latency"),
        first_token=_spreads(sums, "first_token"),
        length_ratio=_median_ratio(sums),
    )


def share(hits: int, trials: int) -> ShadowEstimate:
    """Return a share with Wilson's interval: E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", JASA 22 (1927). It is right for few trials and near 0 and 1 too; see Brown, Cai and DasGupta, "Interval
    estimation for a binomial proportion", Statistical Science 16(2), 2001.
    """
    if not trials:
        return ShadowEstimate()
    seen, squared = hits / trials, Z * Z
    middle = (seen + squared / (2 * trials)) / (1 + squared / trials)
    half = (
        Z / (1 + squared / trials) * math.sqrt(seen * (1 - seen) / trials + squared / (4 * trials * trials))
    )
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    high = 1.0 if hits == trials else min(1.0, middle + half)
    return ShadowEstimate(seen, low, high, trials)


def cost_ratio(sums: PairSums) -> ShadowEstimate:
    """Return the ratio of the two costs' sums. Its interval is that of a ratio estimator for pairs (W. G. Cochran,
    "Sampling Techniques", 3rd edition 1977, section 6.4); below two pairs, and where clients' answers cost nothing,
    there is none.
    """
    counts = sums.counts
    pairs, client, other = counts["priced"], counts["cost.client"], counts["cost.other"]
    if not client:
        return ShadowEstimate(samples=pairs)
    ratio = other / client
    if pairs < 2:
        return ShadowEstimate(ratio, samples=pairs)
    # The sum of (other - ratio * client)^2, whose mean is 0.
    spread = (
        counts["cost.other_squared"]
        - 2 * ratio * counts["cost.product"]
        + ratio * ratio * counts["cost.client_squared"]
    )
    error = math.sqrt(max(0.0, spread) / (pairs - 1) / pairs) / (client / pairs)
    return ShadowEstimate(ratio, max(0.0, ratio - Z * error), ratio + Z * error, pairs)


def headline(profile: str, found: ShadowFinding) -> str:
    """Return a finding as one sentence."""
    if not found.answered:
        return f"{profile} has answered nothing yet that clients were answered."
    parts = []
    if found.agreement.samples:
        compared = f"{found.agreement.samples} comparable answers"
        parts.append(f"have agreed in {in_percent(found.agreement)} of {compared}")
    if found.judged.samples:
        parts.append(f"have done by the judge's word in {in_percent(found.judged)}")
    if found.cost_ratio.value is not None:
        parts.append(f"have cost {in_percent(found.cost_ratio)}")
    if not parts:
        return f"{profile} has answered {found.answered} requests; nothing of it could be compared."
    return f"{profile} would {' and '.join(parts)}."


def in_percent(estimate: ShadowEstimate) -> str:
    """Return an estimate as people read it: 97.1 % [96.2, 97.9]."""
    if estimate.value is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value * 100:.1f} %"
    return f"{estimate.value * 100:.1f} % [{estimate.low * 100:.1f}, {estimate.high * 100:.1f}]"


def by_task(found: Iterable[tuple[tuple[str, str], PairSums]]) -> dict[str, PairSums]:
    """Return sums by task, whichever profile answered the clients."""
    together: dict[str, PairSums] = {}
    for (_, task), sums in found:
        together.setdefault(task, PairSums()).merge(sums)
    return together


def _under(sums: PairSums, prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count
        for name, count in sorted(sums.counts.items())
        if name.startswith(prefix)
    }


def _both(sums: PairSums, name: str, trials: int) -> BothSides:
    return BothSides(*(share(sums.counts[f"{name}.{who}"], trials) for who in ("client", "other")))


def _spreads(sums: PairSums, name: str) -> BothSpreads:
    found = (Histogram(sums.buckets.get(f"{name}.{who}", {})) for who in ("client", "other"))
    return BothSpreads(*(Spread(times.quantile(0.5), times.quantile(0.95)) for times in found))


def _median_ratio(sums: PairSums) -> float | None:
    median = Histogram(sums.buckets.get("length", {})).quantile(0.5)
    return None if median is None else median / WHOLE
