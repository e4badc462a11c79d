"""Which deployments LiteLLM has in cooldown now, as this process knows: from memory, without asking its Redis.

It must change nothing. LiteLLM itself brings what other processes cool down into this memory while it routes.
"""

from __future__ import annotations

from typing import Any


def cooling(router: Any | None) -> frozenset[str]:
    """Return the ids of the deployments in cooldown. Raises what LiteLLM's own cache raises."""
    if router is None:
        return frozenset()
    cache, ids = router.cooldown_cache, router.get_model_ids()
    held = cache.in_memory_cache.batch_get_cache([cache.get_cooldown_cache_key(name) for name in ids])
    return frozenset(name for name, _ in cache.active_cooldowns_from_results(ids, held))
