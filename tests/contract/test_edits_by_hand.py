"""Files are edited by hand while profiles are changed through the API: nobody's work is lost or mixed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.receipts import Receipt
from neuronode_router.errors import FilesAhead
from neuronode_router.profiles.edits import StagedFiles
from tests.contract.publish_process import make_manager
from tests.support.place import profile_text

BOB = Actor("bob")
FAST = "chat_ultra_fast"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The profile files of revision 1."""
    directory = tmp_path / "profiles"
    directory.mkdir()
    for name in ("balanced", "premium"):
        (directory / f"{name}.yaml").write_text(profile_text(name))
    return directory


@pytest.fixture
async def manager(store: ControlStore, directory: Path) -> ProfileManager:
    """The manager of a host at revision 1 that nobody watches the files of."""
    manager = make_manager(store, directory)
    await manager.reload(actor=FILES)
    return manager


def content(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


def task(manager: ProfileManager, *, dry_run: bool = False) -> Awaitable[Receipt]:
    return manager.edit_task("balanced", "chat", FAST, actor=BOB, dry_run=dry_run)


def whole(manager: ProfileManager, *, dry_run: bool = False) -> Awaitable[Receipt]:
    document = {"tasks": {"chat": FAST}}
    return manager.edit_profile("balanced", document, actor=BOB, dry_run=dry_run)


@pytest.mark.parametrize("edit", [task, whole])
@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("name", ["balanced", "premium", "specialized"])
async def test_an_edit_waits_for_one_by_hand(
    manager: ProfileManager,
    directory: Path,
    edit: Callable[..., Awaitable[Receipt]],
    dry_run: bool,
    name: str,
) -> None:
    """Neither overwritten nor taken along under another name: refused, until it is in force as its author's."""
    (directory / f"{name}.yaml").write_text(profile_text(name, summary="summary_ultra_fast"))
    before = content(directory)

    with pytest.raises(FilesAhead) as refused:
        await edit(manager, dry_run=dry_run)
    assert (refused.value.code, refused.value.actual) == ("revision_conflict", 1)
    assert content(directory) == before

    await manager.reload(actor=FILES)
    receipt = await task(manager)
    assert receipt.revision == 3
    assert {change.task for change in receipt.changes} == {"chat", "task_chat"}


async def test_what_another_process_publishes_is_nobodys_edit(
    manager: ProfileManager, store: ControlStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that come before their commit are waited for."""
    publish, standstill = StagedFiles.publish, store.standstill
    waits = threading.Event()
    loop, meanwhile = asyncio.get_running_loop(), list[Future[Receipt]]()

    def waiting() -> AbstractContextManager[str | None]:
        waits.set()
        return standstill()

    async def edit() -> Receipt:
        return await task(make_manager(store, directory))

    def published(staged: StagedFiles) -> None:
        monkeypatch.setattr(StagedFiles, "publish", publish)
        publish(staged)
        meanwhile.append(asyncio.run_coroutine_threadsafe(edit(), loop))
        assert waits.wait(10)

    monkeypatch.setattr(store, "standstill", waiting)
    monkeypatch.setattr(StagedFiles, "publish", published)
    await manager.edit_task("premium", "chat", FAST, actor=BOB)

    receipt = await asyncio.wrap_future(meanwhile[0])
    assert receipt.revision == 3
    assert {change.task for change in receipt.changes} == {"chat", "task_chat"}


async def test_a_rollback_tells_what_it_kept_of_files_that_are_not_in_force(
    manager: ProfileManager, directory: Path
) -> None:
    """Broken where nothing changes it is left alone; where something changes, it lies beside; the receipt says both."""
    await manager.edit_task("premium", "chat", FAST, actor=BOB)
    for name in ("balanced", "premium"):
        (directory / f"{name}.yaml").write_text(f"{name} is not finished\n")

    receipt = await manager.rollback(1, actor=BOB)

    said = " ".join(receipt.warnings)
    assert "balanced.yaml is left as it is" in said
    (kept,) = directory.glob("*.kept-*")
    assert kept.name in said
    assert kept.read_text() == "premium is not finished\n"
    assert (directory / "balanced.yaml").read_text() == "balanced is not finished\n"
    assert "chat: chat_premium" in (directory / "premium.yaml").read_text()
