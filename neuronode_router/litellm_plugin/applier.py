"""How a proxy worker takes up a new control state: prepare a Snapshot in a thread, swap it in on the event
loop.

It knows what LiteLLM offers and nothing of where states come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from neuronode_router.domain import ControlState, HostFacts
from neuronode_router.errors import Problem, ProfilesInvalid
from neuronode_router.litellm_plugin.admission import Admission
from neuronode_router.litellm_plugin.aliases import RouterAliases
from neuronode_router.routing.snapshot import Snapshot, build_snapshot


class SnapshotApplier:
    """Implements `control.ports.Applier` for a proxy worker."""

    def __init__(
        self, *, admission: Admission, aliases: RouterAliases, facts: Callable[[], HostFacts]
    ) -> None:
        self._admission = admission
        self._aliases = aliases
        self._facts = facts

    def prepare(self, state: ControlState) -> Snapshot:
        """Return the state as this worker's Snapshot. Raises `ProfilesInvalid` where this host lacks a
        group.
        """
        facts = self._facts()
        if problems := list(_missing_groups(state, facts)):
            raise ProfilesInvalid(problems)
        return build_snapshot(state, facts)

    def swap(self, prepared: Snapshot) -> None:
        """Serve `prepared` from now on. The snapshot first: admission, not the alias map, decides
        requests.
        """
        self._admission.take(prepared)
        self._aliases.replace(prepared.aliases)


def _missing_groups(state: ControlState, facts: HostFacts) -> Iterator[Problem]:
    for profile in state.profiles.profiles.values():
        places = [(f"tasks.{task}", group) for task, group in profile.tasks.items()]
        places += [(f"tiers.{tier}", group) for tier, groups in profile.tiers.items() for group in groups]
        for path, group in places:
            if group not in facts.groups:
                yield Problem(
                    code="unknown_group",
                    message=f"This host's LiteLLM has no model group {group!r}.",
                    mend="Give all hosts the same model_list, then POST /admin/profiles/reload.",
                    file=profile.name,
                    path=path,
                )
