"""A worker for tests that kill it: adds one answered pair per batch and prints how many the store has taken.

Usage: python -m tests.contract.shadow_process <state URL> <worker> <comparison>
"""

from __future__ import annotations

import itertools
import sys

from neuronode_router.shadows.pairs import AnswerFacts, Pair, PairSums
from neuronode_router.shadows.store import SetAside, ShadowBatch, ShadowStore
from neuronode_router.storage.database import Database


def main() -> None:
    """Set money aside, and add, until killed."""
    url, worker, shadow = sys.argv[1:]
    store = ShadowStore(Database(url))
    for count in itertools.count(1):
        sums = PairSums()
        sums.add(Pair(AnswerFacts(cost_usd=0.002), AnswerFacts(cost_usd=0.001)))
        assert store.set_aside(shadow, 3_000_000) is SetAside.DONE
        assert store.add(worker, ShadowBatch(shadow, count, {("balanced", "chat"): sums}, 2_000_000))
        print(count, flush=True)


if __name__ == "__main__":
    main()
