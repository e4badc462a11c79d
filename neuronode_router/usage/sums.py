"""What is summed up over finished requests: integers, so that any two sums add up exactly and in any order.

It must not know what the requests have in common.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

from neuronode_router.histogram import Histogram, bucket_of, open_bucket_of
from neuronode_router.usage.finished import GOOD_ENDS, FinishedRequest

NANO = 1_000_000_000
"""Costs are counted in billionths of a US dollar: the price of one token is hundreds of them."""

MICRO = 1_000_000


@dataclass(slots=True)
class Sums:
    """Counts of requests, tokens and dollars. Merging is associative and commutative; `Sums()` changes nothing."""

    requests: int = 0
    fallbacks: int = 0
    priced: int = 0
    """Requests whose cost is known."""
    unpriced: int = 0
    """Requests that used tokens of a deployment without a price: their cost is unknown, not zero."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_nano: int = 0
    output_nano: int = 0
    images: int = 0
    """Requests with images."""
    audio: int = 0
    largest: int = 0
    """Most tokens, prompt and answer together, of one request."""
    latency: Counter[int] = field(default_factory=Counter)
    """Buckets of `histogram`, in milliseconds."""
    first_token: Counter[int] = field(default_factory=Counter)
    cost_micro: Counter[int] = field(default_factory=Counter)
    """Open buckets of what single requests cost, in millionths of a US dollar; only while a rollout compares them."""

    def add(self, finished: FinishedRequest) -> None:
        """Count one request. Never raises."""
        self.requests += 1
        self.fallbacks += finished.fallback
        self.prompt_tokens += finished.prompt_tokens
        self.completion_tokens += finished.completion_tokens
        self.cached_tokens += finished.cached_tokens
        if finished.cost is not None:
            self.priced += 1
            self.cost_nano += round(finished.cost * NANO)
            self.output_nano += round(finished.output_cost * NANO)
            if finished.key.arm:
                self.cost_micro[open_bucket_of(finished.cost * MICRO)] += 1
        elif finished.key.outcome in GOOD_ENDS:
            self.unpriced += 1
        self.images += finished.images
        self.audio += finished.audio
        self.largest = max(self.largest, finished.prompt_tokens + finished.completion_tokens)
        if finished.latency_ms is not None:
            self.latency[bucket_of(finished.latency_ms)] += 1
        if finished.first_token_ms is not None:
            self.first_token[bucket_of(finished.first_token_ms)] += 1

    def merge(self, other: Sums) -> None:
        """Add what `other` counted. Never raises."""
        for name in ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.largest = max(self.largest, other.largest)
        self.latency.update(other.latency)
        self.first_token.update(other.first_token)
        self.cost_micro.update(other.cost_micro)

    @property
    def cost(self) -> float | None:
        """US dollars of the priced requests; None where there are none."""
        return self.cost_nano / NANO if self.priced else None

    @property
    def latency_mean_ms(self) -> float | None:
        """The mean latency in milliseconds, None without samples."""
        return Histogram(self.latency).mean

    def latency_ms(self, share: float) -> float | None:
        """Return a quantile of the latency in milliseconds, None without samples."""
        return Histogram(self.latency).quantile(share)

    def first_token_ms(self, share: float) -> float | None:
        """Return a quantile of the time to the first token in milliseconds, None without samples."""
        return Histogram(self.first_token).quantile(share)


ADDED = tuple(each.name for each in fields(Sums) if each.type == "int" and each.name != "largest")
"""The counters that add up. `largest` is the greater of two instead."""
