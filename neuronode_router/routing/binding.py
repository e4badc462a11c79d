"""Which profile a caller is bound to: the key's binding goes before the team's.

It must not know where bindings are kept, nor how spending is counted; it is handed both.
"""

from __future__ import annotations

from collections.abc import Callable

from neuronode_router.domain.bindings import Beyond, Bindings, subjects_of

Spent = Callable[[str, Beyond], float | None]
"""From a subject and its rule to the share of the budget that is spent; None where nobody knows."""


def bound_profile(bindings: Bindings, *, key: str, team: str | None, spent: Spent) -> str | None:
    """Return the profile that answers this caller, None for the active one. A budget nobody knows is not spent."""
    for subject in subjects_of(key, team):
        binding = bindings.get(subject)
        if binding is None:
            continue
        rule = binding.beyond
        if rule is not None and (share := spent(subject, rule)) is not None and share >= rule.share:
            return rule.profile
        return binding.profile
    return None
