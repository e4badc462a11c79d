"""What the gate judges of a change: the cells that lead elsewhere than what answers now, and no others."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

import pytest

from neuronode_router.control.change import ChangeTarget
from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.bindings import Binding
from neuronode_router.domain.profiles import ProfileEdit, edited_name
from neuronode_router.domain.receipts import Receipt
from neuronode_router.domain.rollouts import Canary
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import UnprovenProfile
from neuronode_router.proof.gate import ProofGate
from neuronode_router.proof.matrix import Matrix, ProbeEvidence, ProbeTarget
from neuronode_router.proof.probes import ProbeReason, shape_of
from neuronode_router.proof.store import ProofStore
from tests.support.clock import Clock
from tests.support.control import HOST, MemorySource

ANNA = Actor("anna")
RED = "classification"
"""A task that no profile's group answers as it should."""


@pytest.fixture
async def gated(ready: ProfileManager, store: ControlStore, source: MemorySource) -> ProfileManager:
    """The manager of a worker whose gate refuses; `balanced` is active, and every profile has one red cell."""
    clock = Clock()
    proofs = ProofStore(store.database, clock=clock)
    for task, group in _mapped(source):
        why = ProbeReason.NO_LABEL if task == RED else ProbeReason.ANSWERED
        proofs.keep(ProbeEvidence(ProbeTarget(group, shape_of(task)), why, clock()))
    gate = ProofGate("enforce", store=proofs, matrix=Matrix(86_400), clock=clock)
    return ProfileManager(store=store, source=source, host=lambda: HOST, wake=WakeGroup(()), gate=gate)


def _mapped(source: MemorySource) -> Iterable[tuple[str, str]]:
    return (cell for profile in source.read().profiles.values() for cell in profile.tasks.items())


def refused(error: pytest.ExceptionInfo[UnprovenProfile]) -> list[str | None]:
    return [problem.path for problem in error.value.problems]


async def tries(manager: ProfileManager, group: str, *, active: str = "balanced") -> Receipt:
    """Let a rollout try another group for `chat`."""
    edit = ProfileEdit(MappingProxyType({"chat": group}))
    canary = Canary("r-1", edited_name(active), "00", 10, 0.0, edit)

    def prepare(state: ControlState) -> ChangeTarget:
        return ChangeTarget(active, state.profiles, state.bindings, canary=canary)

    return await manager.act("rollout", prepare, actor=ANNA, wait="none")


async def test_a_rollback_of_one_mapping_is_not_refused_for_another(gated: ProfileManager) -> None:
    """In the middle of an incident the way back stays open."""
    await gated.edit_task("balanced", "chat", "chat_premium", actor=ANNA, wait="none")

    receipt = await gated.rollback(actor=ANNA, wait="none")

    assert receipt.changed


async def test_a_rollback_to_what_is_red_is_refused(gated: ProfileManager) -> None:
    """What it changes is judged."""
    await gated.edit_task("balanced", RED, "tier", actor=ANNA, wait="none")

    with pytest.raises(UnprovenProfile) as error:
        await gated.rollback(actor=ANNA, wait="none")

    assert refused(error) == [f"balanced.{RED}"]


async def test_of_an_edit_that_is_tried_only_the_edit_is_judged(gated: ProfileManager) -> None:
    """Its other cells answer everybody already."""
    with pytest.raises(UnprovenProfile) as error:
        await tries(gated, "tier")
    receipt = await tries(gated, "chat_premium")

    assert refused(error) == ["balanced+edit.chat"]
    assert receipt.changed


async def test_an_edit_that_was_tried_is_promoted_as_it_is(gated: ProfileManager) -> None:
    """Cells of the canary are in force, also where nobody ever probed them."""
    gate, gated._gate = gated._gate, None
    await tries(gated, "tier")
    gated._gate = gate

    def promoted(state: ControlState) -> ChangeTarget:
        assert state.canary is not None
        staged = gated.stage_edit(state, state.canary.edit or ProfileEdit())
        return ChangeTarget(state.active, staged.profiles, state.bindings, edit=staged)

    receipt = await gated.act("rollout", promoted, actor=ANNA, wait="none")

    assert receipt.changed


async def test_an_edit_beside_a_switch_is_judged_as_a_whole(gated: ProfileManager) -> None:
    """Of a profile that nobody had nothing is in force."""
    with pytest.raises(UnprovenProfile) as error:
        await tries(gated, "chat_cost_effective", active="premium")

    assert refused(error) == [f"premium.{RED}", f"premium+edit.{RED}"]


async def test_a_bound_profile_that_becomes_active_is_judged_as_a_whole(gated: ProfileManager) -> None:
    """It answers others than it did; binding a team to the active one puts nothing in force."""
    await gated.bind("team:a", Binding("premium"), actor=ANNA, wait="none", force=True)
    bound = await gated.bind("team:b", Binding("balanced"), actor=ANNA, wait="none")

    with pytest.raises(UnprovenProfile) as error:
        await gated.switch("premium", actor=ANNA, wait="none")

    assert bound.changed
    assert refused(error) == [f"premium.{RED}"]


async def test_a_bound_profile_that_is_edited_back_is_judged_for_that(gated: ProfileManager) -> None:
    """As the active one is."""
    await gated.bind("team:a", Binding("premium"), actor=ANNA, wait="none", force=True)
    await gated.edit_task("premium", "chat", "tier", actor=ANNA, wait="none")

    receipt = await gated.rollback(actor=ANNA, wait="none")

    assert receipt.changed


async def test_what_stays_is_not_even_named(gated: ProfileManager) -> None:
    """A receipt's warnings are about the change."""
    assert gated._gate is not None
    gated._gate.mode = "warn"

    receipt = await tries(gated, "tier")

    assert receipt.warnings == ("balanced+edit.chat: tier was never probed.",)
