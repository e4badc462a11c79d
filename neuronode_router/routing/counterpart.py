"""Where another profile would have sent a request that was decided already.

It does not know who asks, and decides nothing: the request goes where it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from neuronode_router.domain.decisions import Decision, Reason, Step
from neuronode_router.domain.names import TIERS
from neuronode_router.routing.snapshot import Snapshot


def counterpart(
    snapshot: Snapshot, decision: Decision, profile: str, *, may_go: Callable[[str], bool] = lambda _: True
) -> Decision | None:
    """Return what the same name means in another profile, None where it means nothing there.

    Of `auto` it is the first group of the tier that was chosen, else of the next lighter one, to which the request's
    data `may_go`: the text is not classified again, and that profile's overload is not known. Where only the other
    profile says `auto` it is that of its `uncertain` tier.
    """
    meaning = snapshot.meanings.get(profile, {}).get(decision.original_model)
    if meaning is None:
        return None
    if not meaning.auto:
        return meaning
    tier = decision.tier or snapshot.profiles[profile].uncertain
    ladder = snapshot.ladders[profile]
    rungs = [(each, group) for each in TIERS[TIERS.index(tier) :: -1] for group in ladder.get(each, ())]
    if not rungs:
        return None
    each, group = next((rung for rung in rungs if may_go(rung[1])), rungs[0])
    return replace(meaning, group=group, tier=each)


def follows(decision: Decision) -> bool:
    """Return whether a switch of the active profile would have sent the request elsewhere."""
    return (
        decision.reason is Reason.ACTIVE_PROFILE
        and decision.profile is not None
        and Step.POLICY not in decision.steps
    )
