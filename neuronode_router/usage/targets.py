"""Where recorded requests would have gone under another profile, and whether they would have fitted there.

It must not know costs, nor ask any provider. What overload did to single requests is not replayed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from neuronode_router.domain.decisions import Reason
from neuronode_router.domain.names import AUTO, Tier
from neuronode_router.domain.profiles import Profile
from neuronode_router.usage.finished import UsageKey
from neuronode_router.usage.sums import Sums

FOLLOWING = frozenset({Reason.ACTIVE_PROFILE, Reason.OVERRIDE_DENIED})
"""Reasons of requests that the active profile decided: these follow a switch."""


@dataclass(frozen=True, slots=True)
class GroupNote:
    """What is known of a model group beforehand; of its deployments the most capable counts."""

    context_window: int | None = None
    """Tokens of prompt and answer together; None where nobody said."""
    modalities: frozenset[str] = frozenset({"text"})
    capabilities: frozenset[str] = frozenset()
    """Tasks it is good at; empty where nobody said."""


class Violation(StrEnum):
    """What would not have fitted."""

    UNKNOWN_GROUP = "unknown_group"
    CONTEXT_WINDOW = "context_window"
    MODALITY = "modality"
    CAPABILITY = "capability"


@dataclass(frozen=True, slots=True)
class FitFinding:
    """One violation, for all recorded requests of a task."""

    kind: Violation
    task: str
    group: str
    detail: str


def asked_auto(key: UsageKey, recorded: Profile | None) -> bool:
    """Return whether a request was one for `auto`, or for a tier of it, and for no task. Never raises.

    The task of its key does not say so: that is what it was classified as. What has a tier was placed by it, unless
    `recorded`, the profile that decided, leaves that very task to `auto`: then it counts as the task's.
    """
    return bool(key.tier) and (recorded is None or recorded.tasks.get(key.task) != AUTO)


def target(key: UsageKey, candidate: Profile, *, auto: bool) -> str:
    """Return the group that admission would choose for a request under `candidate`; `auto` says whether it was one for
    `auto`. Never raises.

    Only requests that the active profile decided follow a switch. Those that were classified keep their tier; where
    the recorded group is one of that tier's, it stays the choice, for overload may have had a say in it.
    """
    if key.reason not in FOLLOWING:
        return key.chosen_group
    name = AUTO if auto else candidate.tasks.get(key.task)
    if name == AUTO:
        groups = candidate.tiers.get(Tier(key.tier) if key.tier else candidate.uncertain, ())
        return key.chosen_group if key.chosen_group in groups or not groups else groups[0]
    return name or key.chosen_group


def findings(task: str, sums: Sums, group: str, notes: Mapping[str, GroupNote]) -> Iterator[FitFinding]:
    """Yield what in these requests of a task would not have fitted into `group`. Never raises."""
    note = notes.get(group)
    if note is None:
        yield FitFinding(Violation.UNKNOWN_GROUP, task, group, "LiteLLM has no such model group.")
        return
    if note.context_window is not None and sums.largest > note.context_window:
        detail = f"The largest request took {sums.largest} tokens, the window holds {note.context_window}."
        yield FitFinding(Violation.CONTEXT_WINDOW, task, group, detail)
    for modality, count in (("image", sums.images), ("audio", sums.audio)):
        if count and modality not in note.modalities:
            yield FitFinding(
                Violation.MODALITY, task, group, f"It takes no {modality}; {count} requests had some."
            )
    if note.capabilities and task not in note.capabilities:
        yield FitFinding(Violation.CAPABILITY, task, group, "Its note does not name this task.")
