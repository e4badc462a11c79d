"""Requests that come back with their Idempotency-Key: also those that found nothing to do, and after an archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neuronode_router.control.archive import archive
from neuronode_router.control.change import ChangeOrder, ChangeTarget
from neuronode_router.control.idempotency import Idempotency
from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.transition import carry_out, require_state
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import IdempotencyMismatch, UnknownRevision

ANNA, BERT = Actor("anna"), Actor("bert")
KEY = Idempotency("k", "f" * 64)


async def test_a_request_that_changed_nothing_undoes_nothing_later(
    ready: ProfileManager, store: ControlStore
) -> None:
    """Its retry, after somebody else's switch, is its first receipt."""
    first = await ready.switch("balanced", actor=ANNA, idempotency=KEY)
    await ready.switch("premium", actor=BERT)
    again = await ready.switch("balanced", actor=ANNA, idempotency=KEY)

    assert (first.changed, first.replayed) == (False, False)
    assert (again.changed, again.replayed) == (False, True)
    for name in ("revision", "action", "profile", "previous_profile", "changes", "committed_at"):
        assert getattr(again, name) == getattr(first, name), name
    assert (await ready.get_current_profile())["active_profile"] == "premium"
    assert store.revision() == 2


async def test_a_dry_run_keeps_no_key(ready: ProfileManager) -> None:
    """What it foresaw can be done with the same key."""
    await ready.switch("balanced", actor=ANNA, idempotency=KEY, dry_run=True)
    await ready.switch("premium", actor=BERT)

    assert (await ready.switch("balanced", actor=ANNA, idempotency=KEY)).changed


@pytest.mark.parametrize("changes", [True, False])
async def test_a_retry_after_an_archive_is_told(
    ready: ProfileManager, store: ControlStore, tmp_path: Path, changes: bool
) -> None:
    """It does nothing again, and says where its row is."""
    await ready.switch("premium" if changes else "balanced", actor=ANNA, idempotency=KEY)
    await ready.switch("cost_effective", actor=BERT)
    newest = (await ready.switch("premium", actor=BERT)).committed_at
    assert newest is not None
    archive(store.database, tmp_path / "old.ndjson", before=newest)

    with pytest.raises(UnknownRevision, match="archived"):
        await ready.switch("premium" if changes else "balanced", actor=ANNA, idempotency=KEY)
    assert (await ready.get_current_profile())["active_profile"] == "premium"


class Elsewhere:
    """The same store as another worker has it, which answers a request at a moment that a test chooses."""

    def __init__(self, store: ControlStore) -> None:
        self._store = store
        self.order = ChangeOrder("switch", actor=ANNA, idempotency=KEY)
        self.profile = "premium"
        self._asked = False

    def answers(self) -> None:
        """Carry the request out, once."""
        if not self._asked:
            self._asked = True
            carry_out(self._store, self.order, self.prepare)

    def prepare(self, before: ControlState | None) -> ChangeTarget:
        """Return the state with the profile of the request."""
        state = require_state(before)
        return ChangeTarget(self.profile, state.profiles, state.bindings)


@pytest.fixture
def elsewhere(ready: ProfileManager, store: ControlStore) -> Elsewhere:
    """Another worker, at revision 1 with the profile balanced."""
    return Elsewhere(store)


@pytest.mark.parametrize("if_match", [None, 1])
@pytest.mark.parametrize("profile", ["premium", "balanced"])
@pytest.mark.parametrize("moment", ["read", "recalled", "prepared"])
def test_of_one_request_on_two_workers_the_slower_is_the_replay(
    store: ControlStore,
    elsewhere: Elsewhere,
    monkeypatch: pytest.MonkeyPatch,
    if_match: int | None,
    profile: str,
    moment: str,
) -> None:
    """Whether there was something to do or nothing, with If-Match and without, whenever the other one finishes."""
    order = elsewhere.order = ChangeOrder("switch", actor=ANNA, idempotency=KEY, if_match=if_match)
    elsewhere.profile = profile

    def then_answered(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*args: Any, **keywords: Any) -> Any:
            found = act(*args, **keywords)
            elsewhere.answers()
            return found

        return acted

    prepare = elsewhere.prepare
    if moment == "prepared":
        prepare = then_answered(prepare)
    else:
        place, name = (store, "read") if moment == "read" else (store.keys, "recall")
        monkeypatch.setattr(place, name, then_answered(getattr(place, name)))
    outcome = carry_out(store, order, prepare)

    assert outcome.replayed
    assert outcome.changed == (profile == "premium")
    assert store.revision() == (2 if outcome.changed else 1)


def test_another_request_with_the_key_at_the_same_moment_is_refused(
    store: ControlStore, elsewhere: Elsewhere
) -> None:
    """It is no replay of what it did not ask for."""
    elsewhere.order = ChangeOrder("switch", actor=ANNA, idempotency=Idempotency(KEY.key, "0" * 64))
    elsewhere.profile = "balanced"

    def overtaken(before: ControlState | None) -> ChangeTarget:
        elsewhere.answers()
        return elsewhere.prepare(before)

    with pytest.raises(IdempotencyMismatch):
        carry_out(store, ChangeOrder("switch", actor=ANNA, idempotency=KEY), overtaken)
