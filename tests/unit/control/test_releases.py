"""Several releases on one store: what a newer one wrote is refused and never dropped; what neither uses is the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import pytest

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.worker import Worker
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.bindings import Beyond, Binding, bindings_from_text, bindings_text
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import ALWAYS_STORED, Profile, ProfileEdit, ProfileSet
from neuronode_router.domain.rollouts import Canary, canary_from_text, canary_text
from neuronode_router.domain.rules import PersonalDataRule
from neuronode_router.domain.state import ControlState
from neuronode_router.domain.steering import Bend, Hold, Steering, steering_from_text, steering_text
from neuronode_router.errors import StaleFiles, StateUnreadable
from tests.support.control import MemorySource, make_profile, make_set
from tests.support.waiting import eventually

ANNA = Actor("anna")
LOCAL = replace(make_profile("premium"), personal_data=PersonalDataRule.LOCAL)
HERE, READ = Profile.to_stored, Profile.from_document


@contextmanager
def release(writes: Callable[[Profile], dict[str, Any]]) -> Iterator[None]:
    """Let another release write what is committed meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Profile, "to_stored", writes)
        yield


def newer(profile: Profile) -> dict[str, Any]:
    """Return a profile as a release writes it that knows one more rule."""
    return HERE(profile) | ({"outside": "never"} if profile.name == "premium" else {})


def newer_reads(_: type[Profile], document: dict[str, Any]) -> Profile:
    """Return a profile as that release reads it, as far as this one can tell."""
    return READ({key: value for key, value in document.items() if key != "outside"})


def older(profile: Profile) -> dict[str, Any]:
    """Return a profile as a release wrote it that had only the keys that are always stored."""
    return {key: value for key, value in profile.to_document().items() if key in ALWAYS_STORED}


def test_what_a_release_adds_is_stored_only_where_it_is_used() -> None:
    """So no set gets another digest by an upgrade, and an older release reads all that it can honour."""
    stored = json.loads(make_set(premium=LOCAL).canonical())

    assert stored["balanced"].keys() == ALWAYS_STORED
    assert stored["premium"].keys() == ALWAYS_STORED | {"personal_data"}
    assert ProfileSet.from_canonical(json.dumps(stored)) == make_set(premium=LOCAL)
    defaults = {each.name for each in fields(Profile) if each.name not in ALWAYS_STORED}
    assert defaults.isdisjoint(stored["balanced"])


async def test_an_old_copy_is_known_for_one_after_an_upgrade(
    manager: ProfileManager, source: MemorySource
) -> None:
    """A release that knows more keys does not undo what is committed because the one before wrote fewer."""
    with release(older):
        source.write(make_set())
        await manager.reload(actor=FILES, wait="none")
        source.write(make_set(premium=make_profile("premium", chat="chat_balanced")))
        await manager.reload(actor=ANNA, wait="none")

    source.write(make_set())
    with pytest.raises(StaleFiles):
        await manager.reload("unless_stale", actor=FILES, wait="none")
    with pytest.raises(StaleFiles):
        await manager.edit_task("premium", "classification", "tier", actor=ANNA)


async def test_an_older_release_changes_nothing_of_what_it_cannot_read(
    ready: ProfileManager, store: ControlStore, source: MemorySource
) -> None:
    """A switch there would leave out what it does not know, and say nothing of it."""
    with release(newer):
        source.write(make_set(premium=make_profile("premium", chat="chat_balanced")))
        await ready.reload(actor=FILES, wait="none")

        for act in (
            ready.switch("premium", actor=ANNA),
            ready.bind("team:red", Binding("premium"), actor=ANNA),
            ready.rollback(1, actor=ANNA),
            ready.reload(actor=ANNA),
        ):
            with pytest.raises(StateUnreadable, match=r"Revision 2 .* unknown keys outside") as caught:
                await act
            assert "same release" in caught.value.fix

    assert store.revision() == store.audit.verify() == 2


async def test_a_worker_of_an_older_release_refuses_it_and_says_so(
    ready: ProfileManager,
    store: ControlStore,
    source: MemorySource,
    worker: Worker[ControlState],
) -> None:
    """It keeps to what it serves, is in the receipts, and goes on with the next revision that it can read."""
    with release(newer):
        source.write(make_set(premium=make_profile("premium", chat="chat_balanced")))
        receipt = await ready.reload(actor=FILES)

    (ack,) = receipt.workers
    assert (ack.state, ack.revision) == ("refused", 1)
    assert "unknown keys outside" in ack.detail
    assert worker.store_failures == 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Profile, "from_document", classmethod(newer_reads))
        await ready.edit_profile("premium", make_profile("premium").to_document(), actor=ANNA, wait="none")
    await eventually(lambda: worker.revision == 3)
    assert worker.served.refused is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (bindings_text({"team:red": Binding(None, Beyond(0.5, "premium"))}), bindings_from_text),
        (steering_text(Steering("p", Hold("a", "b"), (Bend("c", emergency=True),))), steering_from_text),
        (
            canary_text(Canary("r", "p", "00", 1, 0.0, ProfileEdit({"chat": "x"}, {Tier.FAST: ("y",)}))),
            canary_from_text,
        ),
    ],
    ids=["bindings", "steering", "canary"],
)
def test_nothing_that_is_committed_is_read_without_what_a_newer_release_says_there(
    text: str, read: Callable[[str], object]
) -> None:
    """Whichever object of it has one more key."""
    document = json.loads(text)
    assert read(text)

    for place in _objects(document):
        place["newer"] = 1
        with pytest.raises((TypeError, ValueError)):
            read(json.dumps(document))
        del place["newer"]


def _objects(node: object) -> Iterator[dict[str, Any]]:
    """Yield a document's objects; of tasks there may be any."""
    if isinstance(node, dict):
        yield node
        for key, inner in node.items():
            yield from _objects(inner) if key != "tasks" else ()
    elif isinstance(node, list):
        for inner in node:
            yield from _objects(inner)
