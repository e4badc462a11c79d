"""Keep trained weights on this host: folders named by their hash, and one pointer that says which of them to use.

It must not know how weights are made, who uses them, or the shipped ones: an empty list of pointers means those.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neuronode_router import private_files
from neuronode_router.classifier import weights
from neuronode_router.classifier.observed import scheme
from neuronode_router.errors import ArtefactRefused

FOLDER, POINTER = "classifier", "current"
KEPT = 10
"""Ways back that are kept."""
SCHEME = "features"
"""The manifest's key for the features that the weights were fitted to."""

Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pointer:
    """Weights that were put in use."""

    digest: str
    """sha256 of the manifest, which holds the sha256 of every other file."""
    since: float
    """Unix time in seconds."""


@dataclass(frozen=True, slots=True)
class Found:
    """Weights of the store, ready to use."""

    pointer: Pointer
    weights: weights.Weights

    @property
    def trained_on(self) -> Mapping[str, Any]:
        """What the weights were made from, as their manifest says."""
        return dict(self.weights.manifest.get("trained_on", {}))


class ArtefactStore:
    """The folder `classifier` of a state directory.

    Readers never see half a change: the pointer file is replaced as a whole.
    """

    def __init__(self, directory: Path) -> None:
        self.folder = directory / FOLDER
        self._pointer = self.folder / POINTER

    def stamp(self) -> Stamp | None:
        """Return what changes whenever the pointer does, at the price of one stat; None without one. Never raises."""
        try:
            found = self._pointer.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def pointers(self) -> tuple[Pointer, ...]:
        """Return what was put in use and can be gone back to, the one in use last; empty means the shipped weights.

        Raises `ArtefactRefused` when the pointer file is not ours.
        """
        try:
            entries: list[Any] = json.loads(self._pointer.read_text(encoding="utf-8"))
            if not isinstance(entries, list):
                raise TypeError("a list of pointers is expected")
            return tuple(Pointer(str(entry["digest"]), float(entry["since"])) for entry in entries)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtefactRefused(
                "The pointer to the trained weights cannot be read.",
                fix=f"Remove {self._pointer} to use the shipped weights, or train again.",
            ) from error

    def load(self) -> Found | None:
        """Return the weights in use, or None for the shipped ones.

        Raises `ArtefactRefused` when they are missing, altered, or fitted to other features than this version reads.
        """
        pointers = self.pointers()
        return self._found(pointers[-1]) if pointers else None

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """Yield an empty folder to make weights in; what `install` did not take is removed. Raises `OSError`."""
        private_files.make_directory(self.folder)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self.folder, ignore_cleanup_errors=True) as made:
            yield Path(made) / "weights"

    def install(self, made: Path, *, now: float) -> Pointer:
        """Put the weights of a workplace in use. Raises `ArtefactRefused` if they do not load, and `OSError`."""
        pointer = Pointer(_digest(made), now)
        for file in made.iterdir():
            _sync(file)
        kept = self.folder / pointer.digest
        shutil.rmtree(
            kept, ignore_errors=True
        )  # the same weights as before, or what was altered in their name
        made.replace(kept)
        self._found(pointer)
        self._point((*self.pointers(), pointer)[-KEPT:])
        return pointer

    def back(self) -> Pointer | None:
        """Go back to what was in use before and return it, or None for the shipped weights.

        Raises `ArtefactRefused` when there is no way back, or when what was in use before cannot be used any more.
        """
        pointers = self.pointers()
        if not pointers:
            raise ArtefactRefused(
                "The shipped weights are in use: there is nothing to go back to.",
                fix="Train first, or leave it.",
            )
        rest = pointers[:-1]
        if rest:
            self._found(rest[-1])
        self._point(rest)
        return rest[-1] if rest else None

    def _found(self, pointer: Pointer) -> Found:
        folder = self.folder / pointer.digest
        if _digest(folder) != pointer.digest:
            raise ArtefactRefused(f"The manifest of the weights {pointer.digest[:12]} was altered.")
        loaded = weights.load(folder)
        if loaded.manifest.get(SCHEME) != scheme():
            raise ArtefactRefused(
                f"The weights {pointer.digest[:12]} were fitted to features of another version.",
                fix="Train again with `neuronode train`; until then the shipped weights serve.",
            )
        return Found(pointer, loaded)

    def _point(self, pointers: tuple[Pointer, ...]) -> None:
        private_files.make_directory(self.folder)
        handle, name = tempfile.mkstemp(prefix=".current-", dir=self.folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump([asdict(pointer) for pointer in pointers], file)
            file.flush()
            os.fsync(handle)
        Path(name).replace(self._pointer)
        self._forget({pointer.digest for pointer in pointers})

    def _forget(self, wanted: set[str]) -> None:
        for folder in self.folder.iterdir():
            if folder.is_dir() and folder.name not in wanted and not folder.name.startswith("."):
                shutil.rmtree(folder, ignore_errors=True)


def _digest(folder: Path) -> str:
    try:
        return hashlib.sha256((folder / weights.MANIFEST).read_bytes()).hexdigest()
    except OSError as error:
        raise ArtefactRefused(f"The weights {folder.name[:12]} are missing.") from error


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
