"""What is found in this host's profile files, against what is committed: the same, an old copy of it, or a new edit.

It must not know how files are read, nor what is to become of them.
"""

from __future__ import annotations

from neuronode_router.control.store import ControlStore
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import FilesAhead, StaleFiles
from neuronode_router.profiles.files import ProfileFiles


def refuse_stale(store: ControlStore, profiles: ProfileSet, before: ControlState) -> None:
    """Raise `StaleFiles` when `profiles`, found in the files, are what a revision earlier than `before` said."""
    last = store.last_with(profiles.digest)
    # A later one than `before` was committed just now, by a process that found the same files: no old copy.
    if last is not None and last < before.revision and profiles.digest != before.profiles.digest:
        raise StaleFiles(revision=last, current=before.revision)


def require_in_step(store: ControlStore, source: ProfileFiles, before: ControlState, host: HostFacts) -> None:
    """Insist that the files say what is in force, so that an edit of them brings nothing else along.

    Raises `StaleFiles` for an old copy, `FilesAhead` for an edit that nobody has committed yet, what `load` raises.
    """
    committed = before.profiles.digest
    found = source.load(host)
    refuse_stale(store, found, before)
    if found.digest == committed or store.last_with(found.digest) is not None:
        return
    # It may be what another process is about to commit: its files come first.
    with store.standstill() as latest:
        pass
    if latest == committed and source.load(host).digest != committed:
        raise FilesAhead(before.revision)
