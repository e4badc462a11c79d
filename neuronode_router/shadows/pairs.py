"""What one request's two answers came to, and sums of that: facts only, never text.

It must not know who was asked or where sums are kept.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from neuronode_router.domain.shadows import Shadow
from neuronode_router.histogram import bucket_of
from neuronode_router.tasks.agreement import ComparedBy
from neuronode_router.usage.sums import NANO

WHOLE = 1000
"""Shares are in thousandths, and so are ratios of lengths in their histogram."""


class Skip(StrEnum):
    """Why a request that was chosen is not answered again."""

    SAME_GROUP = "same_group"
    """The other profile would have asked the very group that answered."""
    NO_GROUP = "no_group"
    """The other profile has no group for it, or this proxy has not that group."""
    RESIDENCY = "residency"
    """It would have been refused: its data may not go there."""
    ACCESS = "access"
    """It would have been refused: the key may not reach the group."""
    WINDOW = "window"
    """It would have been refused: it is too long for the group's window."""
    UNFIT = "unfit"
    """It would have been refused: the group lacks what it needs, such as tools."""
    UNREPEATABLE = "unrepeatable"
    """It cannot be asked again, or not without side effects: it is stored, continues what a provider keeps, runs tools
    of the provider, or says what nobody knows here.
    """
    NOT_TEXT = "not_text"
    """It holds more than text and tools of the client: what answering it costs could not be bounded."""
    TOO_LONG = "too_long"
    WIRE = "wire"
    """A kind of call that is not answered again."""
    CACHED = "cached"
    """LiteLLM's cache answered the client."""
    CLIENT_FAILED = "client_failed"
    """The client got an error."""
    CLIENT_LEFT = "client_left"
    REDACTED = "redacted"
    """LiteLLM keeps the answers' texts from everybody."""
    UNTOLD = "untold"
    """LiteLLM never told how it ended, or too many waited for their end."""
    QUEUE = "queue"
    """Too many waited to be answered again."""
    BUDGET = "budget"
    """What may still be spent did not allow it."""
    ENDED = "ended"
    """The comparison was over, or the worker stopped, before it was answered again."""
    UNPRICED = "unpriced"
    """Nobody knows what the group costs, so no budget could bound it."""
    FAULT = "fault"
    """An error of ours, which is in the log."""


REFUSED = (Skip.RESIDENCY, Skip.ACCESS, Skip.WINDOW, Skip.UNFIT)
"""What the other profile would have refused."""


def is_chosen(shadow: Shadow, call_id: str) -> bool:
    """Return whether a request belongs to the share, by a keyed hash of its id. Never raises."""
    key = bytes.fromhex(shadow.salt)
    digest = hashlib.blake2b(call_id.encode("utf-8", "replace"), key=key, digest_size=8).digest()
    return int.from_bytes(digest) % WHOLE < shadow.share


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What is kept of one answer."""

    latency_ms: float | None = None
    first_token_ms: float | None = None
    """Streams only."""
    cost_usd: float | None = None
    """None where nobody knows."""
    length: int = 0
    """Characters."""
    refused: bool = False
    formed: bool | None = None
    """Whether it has the form that was demanded; None where none was."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What one request's two answers came to."""

    client: AnswerFacts
    other: AnswerFacts
    agrees: tuple[ComparedBy, bool] | None = None
    """What was compared, and whether it is the same."""
    judged: bool | None = None
    """Whether the judge says that the other answer would have done."""
    judge_failed: bool = False


@dataclass(slots=True)
class PairSums:
    """Counts that add up, in any order: integers only. `PairSums()` changes nothing."""

    counts: Counter[str] = field(default_factory=Counter)
    """By name: `sampled`, `answered`, and `skipped.`, `failed.`, `compared.`, `agreed.` ... with what."""
    buckets: dict[str, Counter[int]] = field(default_factory=dict)
    """Buckets of `histogram`, by name."""

    def skip(self, why: Skip) -> None:
        """Count a chosen request that was not answered again."""
        self.counts.update(("sampled", f"skipped.{why}"))

    def fail(self, outcome: str) -> None:
        """Count one whose other answer is an error of this class."""
        self.counts.update(("sampled", f"failed.{outcome}"))

    def add(self, pair: Pair) -> None:
        """Count two answers. Never raises."""
        self.counts.update(("sampled", "answered"))
        for who, answer in (("client", pair.client), ("other", pair.other)):
            self._side(who, answer)
        if pair.client.formed is not None and pair.other.formed is not None:
            self.counts["forms"] += 1
            self.counts["formed.client"] += pair.client.formed
            self.counts["formed.other"] += pair.other.formed
        if pair.agrees is not None:
            basis, same = pair.agrees
            self.counts[f"compared.{basis}"] += 1
            self.counts[f"agreed.{basis}"] += same
        if pair.judged is not None:
            self.counts["judged"] += 1
            self.counts["judged.enough"] += pair.judged
        self.counts["judge_failed"] += pair.judge_failed
        if pair.client.length and pair.other.length:
            self._bucket("length", WHOLE * pair.other.length / pair.client.length)
        self._cost(pair.client.cost_usd, pair.other.cost_usd)

    def merge(self, other: PairSums) -> None:
        """Add what another has."""
        self.counts.update(other.counts)
        for name, counts in other.buckets.items():
            self.buckets.setdefault(name, Counter()).update(counts)

    def to_text(self) -> str:
        """Return it as JSON."""
        found = {"counts": +self.counts, "buckets": self.buckets}
        return json.dumps(found, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> PairSums:
        """Rebuild it from `to_text`'s form."""
        told = json.loads(text)
        buckets = {
            name: Counter({int(bucket): count for bucket, count in counts.items()})
            for name, counts in told["buckets"].items()
        }
        return cls(Counter(told["counts"]), buckets)

    def _side(self, who: str, answer: AnswerFacts) -> None:
        self.counts[f"refused.{who}"] += answer.refused
        if answer.latency_ms is not None:
            self._bucket(f"latency.{who}", answer.latency_ms)
        if answer.first_token_ms is not None:
            self._bucket(f"first_token.{who}", answer.first_token_ms)

    def _cost(self, client: float | None, other: float | None) -> None:
        if client is None or other is None:
            return
        one, two = round(client * NANO), round(other * NANO)
        self.counts.update(
            {
                "priced": 1,
                "cost.client": one,
                "cost.other": two,
                "cost.client_squared": one * one,
                "cost.other_squared": two * two,
                "cost.product": one * two,
            }
        )

    def _bucket(self, name: str, value: float) -> None:
        self.buckets.setdefault(name, Counter())[bucket_of(value)] += 1
