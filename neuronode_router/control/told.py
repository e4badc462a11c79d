"""What previews, receipts and the audit log tell of a change: what names mean, who is bound, what profiles say.

It must not know why it was made, nor whether anything forbids it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from neuronode_router.control.change import ChangeTarget
from neuronode_router.control.policy_store import SHORT_DIGEST
from neuronode_router.domain.audit import profile_path
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import ProfileSet, TaskChange, alias_map, task_changes
from neuronode_router.domain.state import ControlState
from neuronode_router.domain.steering import NOT_STEERED, Steering

TRIED = "@rollout"
"""Under which name they tell of the second arm. No alias is called so."""

POLICY, HOLD, CAP = "@policy", "@hold", "@max_tier"
"""Likewise of the policy in force, who holds which profile, and the highest tier."""

VALUE_LIMIT = 2000
"""Characters that are told of what a profile says in one place; all of it is in the stored set."""


def told_changes(before: ControlState | None, after: ChangeTarget) -> tuple[TaskChange, ...]:
    """Return what differs, sorted by name. Of a first revision only what names mean: all is new there."""
    if before is None:
        return task_changes({}, _meant(after))
    meant = task_changes(_meant(before), _meant(after))
    said = {
        TaskChange(profile_path(after.active, f"tasks.{each.task}"), each.before, each.after)
        for each in meant
        if before.active == after.active
    }
    written = _written_changes(before.profiles, after.profiles)
    return tuple(
        sorted((*meant, *(each for each in written if each not in said)), key=lambda each: each.task)
    )


def _meant(state: ControlState | ChangeTarget) -> dict[str, str]:
    bound = {subject: str(binding) for subject, binding in state.bindings.items()}
    tried = {TRIED: str(state.canary)} if state.canary else {}
    steering = state.steering or NOT_STEERED
    aliases = alias_map(state.profiles, state.active)
    moved = {task: group for task, group in steering.moved.items() if task in aliases}
    return aliases | moved | bound | tried | _steers(steering)


def _steers(steering: Steering) -> dict[str, str]:
    told = {
        POLICY: steering.policy[:SHORT_DIGEST],
        HOLD: str(steering.hold or ""),
        CAP: steering.cap if steering.cap is not Tier.COMPLEX else "",
    }
    return {name: text for name, text in told.items() if text}


def _written_changes(before: ProfileSet, after: ProfileSet) -> tuple[TaskChange, ...]:
    """Return what profiles say otherwise, place by place: also those that are not active answer somebody."""
    if before.digest == after.digest:
        return ()
    return task_changes(dict(_written(before)), dict(_written(after)))


def _written(profiles: ProfileSet) -> Iterator[tuple[str, str]]:
    for name, profile in profiles.profiles.items():
        document = profile.to_document()
        del document["name"]
        for path, text in _places(document):
            if text:
                yield profile_path(name, path), _bounded(text)


def _places(document: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{path}", text) for path, text in _places(value))
        elif isinstance(value, list):
            yield key, ", ".join(value)
        else:
            yield key, value if isinstance(value, str) else json.dumps(value)


def _bounded(text: str) -> str:
    """Return a text that differs from another one also where only what is left out of it does."""
    if len(text) <= VALUE_LIMIT:
        return text
    return f"{text[:VALUE_LIMIT]}\N{HORIZONTAL ELLIPSIS} ({hashlib.sha256(text.encode()).hexdigest()[:8]})"
