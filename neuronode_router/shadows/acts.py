"""Shadow comparisons of the proxies that share a store: begun and ended by people, ended by themselves, reported.

Beginning and end are changes of the ProfileManager like a switch: committed, with a receipt and a row in the audit log;
nobody is answered differently for them. It must not know HTTP, LiteLLM, or how requests are asked again.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Unpack

from neuronode_router.control.change import ChangeTarget, Options, as_it_is, naming
from neuronode_router.control.checks import require_profile
from neuronode_router.control.manager import ProfileManager
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.names import AUTO
from neuronode_router.domain.receipts import Receipt
from neuronode_router.domain.shadows import Shadow
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import ShadowRefused, UnknownShadow, UnknownTask
from neuronode_router.shadows.pairs import WHOLE
from neuronode_router.shadows.report import ShadowFinding, by_task, findings, headline
from neuronode_router.shadows.store import ShadowStanding, ShadowStore
from neuronode_router.threads import in_thread

logger = logging.getLogger(__name__)

TIME_OVER = "its time is over"
SPENT = "its budget allows no further request"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPlan:
    """What is ordered."""

    profile: str
    share: int
    """Thousandths of the requests."""
    seconds: float
    """For how long."""
    budget_usd: float
    concurrency: int
    tasks: tuple[str, ...] = ()
    judge: str | None = None
    sample_text: bool = False


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """A comparison, and what was found out."""

    standing: ShadowStanding
    headline: str
    """All of it as one sentence."""
    findings: tuple[ShadowFinding, ...]
    """Of all tasks together, and of each."""
    against: tuple[str, ...]
    """The profiles that answered the clients meanwhile."""
    samples: tuple[Mapping[str, Any], ...]
    """Requests with both answers, newest first; empty unless texts are sampled."""


class Shadows:
    """The comparisons. `clock` is Unix time in seconds."""

    def __init__(
        self, *, manager: ProfileManager, store: ShadowStore, clock: Callable[[], float] = time.time
    ) -> None:
        self._manager = manager
        self._store = store
        self._clock = clock

    async def start(self, plan: ShadowPlan, **options: Unpack[Options]) -> Receipt:
        """Begin. Raises `UnknownProfile`, `UnknownTask`, `ShadowRefused` and what a switch raises."""
        if plan.judge is not None and plan.judge not in self._manager.groups():
            raise ShadowRefused(
                f"The judge {plan.judge!r} is no model group here.",
                fix="Name a model_name of LiteLLM's model list.",
            )
        begun = Shadow(
            id=f"s-{secrets.token_hex(4)}",
            profile=plan.profile,
            salt=secrets.token_hex(16),
            share=plan.share,
            until=await in_thread(self._store.time, self._clock) + plan.seconds,
            budget_usd=plan.budget_usd,
            concurrency=plan.concurrency,
            tasks=plan.tasks,
            judge=plan.judge,
            sample_text=plan.sample_text,
        )

        def prepare(state: ControlState) -> ChangeTarget:
            _require_startable(begun, state)
            # A comparison changes nobody's answer.
            return replace(
                as_it_is(state),
                along=lambda connection, entry: self._store.begin(connection, begun, entry),
            )

        options["reason"] = naming(_told(begun), options.get("reason", ""))
        return await self._manager.act("shadow", prepare, **options)

    async def stop(self, name: str, **options: Unpack[Options]) -> Receipt:
        """End the comparison of this id. Raises `UnknownShadow` and `ShadowRefused`."""
        why = options.get("reason", "") or f"stopped by {options['actor'].name}"

        def prepare(state: ControlState) -> ChangeTarget:
            if state.shadow is None or state.shadow.id != name:
                over = self._store.read(name)
                raise ShadowRefused(f"The shadow comparison {name} is over: {over.why}.")
            return replace(
                as_it_is(state),
                along=lambda connection, entry: self._store.end(connection, name, why, entry),
            )

        options["reason"] = naming(f"shadow {name} ends", options.get("reason", ""))
        return await self._manager.act("shadow", prepare, **options)

    async def is_over(self, shadow: Shadow) -> bool:
        """Return whether the time of a comparison is over, for all hosts. Raises `StoreUnavailable`."""
        return await in_thread(self._store.time, self._clock) >= shadow.until

    async def end(self, name: str, why: str) -> Receipt | None:
        """End it by itself; return None where that was done already. Raises what a switch raises."""
        try:
            actor = Actor(f"shadow {name}", kind="shadow")
            receipt = await self.stop(name, actor=actor, reason=why, wait="none")
        except (ShadowRefused, UnknownShadow) as overtaken:
            logger.info("neuronode: %s", overtaken.message)
            return None
        logger.info("neuronode: shadow comparison %s ended: %s", name, why)
        return receipt

    async def running(self) -> ShadowReport | None:
        """Return the one that runs, None where none does. Raises `StoreUnavailable`."""
        found = await in_thread(self._store.running)
        return None if found is None else await in_thread(self._reported, found)

    async def read(self, name: str) -> ShadowReport:
        """Return one. Raises `UnknownShadow` and `StoreUnavailable`."""
        return await in_thread(lambda: self._reported(self._store.read(name), samples=True))

    async def page(self, limit: int) -> tuple[ShadowStanding, ...]:
        """Return the newest. Raises `StoreUnavailable`."""
        return await in_thread(self._store.page, limit)

    async def of(self, revision: int) -> str | None:
        """Return the id of the one that began with a revision. Raises `StoreUnavailable`."""
        return await in_thread(self._store.at, revision)

    def _reported(self, standing: ShadowStanding, *, samples: bool = False) -> ShadowReport:
        name = standing.shadow.id
        sums = self._store.sums(name)
        found = findings(by_task(sums.items()))
        return ShadowReport(
            standing,
            headline(standing.shadow.profile, found[0]),
            found,
            tuple(sorted({profile for profile, _ in sums})),
            self._store.samples(name) if samples else (),
        )


def _require_startable(begun: Shadow, state: ControlState) -> None:
    require_profile(begun.profile, state.profiles)
    if state.shadow is not None:
        raise ShadowRefused(f"The shadow comparison {state.shadow.id} runs already.")
    if begun.profile == state.active:
        raise ShadowRefused(
            f"The profile {begun.profile!r} is the active one.", fix="Name the profile to compare it with."
        )
    known = (*state.profiles.profiles[begun.profile].tasks, AUTO)
    for task in begun.tasks:
        if task not in known:
            raise UnknownTask(task, known)


def _told(begun: Shadow) -> str:
    """Return what the audit log says of a beginning."""
    until = datetime.fromtimestamp(begun.until, UTC).strftime("%Y-%m-%d %H:%M UTC")
    texts = ", texts are sampled" if begun.sample_text else ""
    judge = f", judged by {begun.judge}" if begun.judge else ""
    return (
        f"shadow {begun.id}: {begun.profile} answers {begun.share * 100 / WHOLE:g} % once more until {until} "
        f"for at most {begun.budget_usd:g} USD{judge}{texts}"
    )
