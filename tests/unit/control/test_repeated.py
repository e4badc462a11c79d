"""Requests that come back with their Idempotency-Key: also those that found nothing to do, and after an archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuronode_router.control.archive import archive
from neuronode_router.control.idempotency import Idempotency
from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.domain.audit import Actor
from neuronode_router.errors import UnknownRevision

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
