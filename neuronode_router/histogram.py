"""A histogram with fixed, logarithmic buckets: the counts of any two add up, and every quantile is right within 5 %.

It must not know what is counted, or when.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

GROWTH = 1.1
"""Bucket k holds values from GROWTH**k up to GROWTH**(k+1)."""

BUCKETS = 160
"""1 to 3.9 million: 1 ms to 65 minutes. Values outside are counted in the first and the last bucket."""

RELATIVE_ERROR = 0.05
"""Bound of a quantile's error within that range: a bucket is named by its geometric middle, sqrt(1.1) = 1.049."""

_PER_BUCKET = 1 / math.log(GROWTH)
_MIDDLES = tuple(math.pow(GROWTH, bucket + 0.5) for bucket in range(BUCKETS))


def bucket_of(value: float) -> int:
    """Return the bucket of a finite number. Raises `ValueError` or `OverflowError` for NaN and infinity."""
    return min(open_bucket_of(value), BUCKETS - 1)


def open_bucket_of(value: float) -> int:
    """Return the bucket of a finite number where none is the last. Raises like `bucket_of`."""
    return 0 if value <= 1.0 else int(math.log(value) * _PER_BUCKET)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bucket. The histogram of two sets of values has the sum of their counts."""

    counts: Mapping[int, int] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """How many values were counted."""
        return sum(self.counts.values())

    @property
    def mean(self) -> float | None:
        """The mean of the values, None when empty; its error is bounded like a quantile's."""
        if not self.counts:
            return None
        return sum(_MIDDLES[bucket] * count for bucket, count in self.counts.items()) / self.samples

    def quantile(self, share: float) -> float | None:
        """Return the value that `share` (0 to 1) of the values do not exceed, by nearest rank; None when empty."""
        rank = max(1, math.ceil(share * self.samples))
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return _MIDDLES[bucket]
        return None
