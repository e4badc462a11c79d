"""A directory of profile files for one test, and the host they are checked against."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuronode_router.domain.profiles import HostFacts
from neuronode_router.errors import Problem
from neuronode_router.profiles.files import ProfileFiles
from neuronode_router.yaml11 import read

TESTDATA = Path(__file__).parents[2] / "testdata" / "profiles"
REPOSITORY = Path(__file__).parents[3]
HOST = HostFacts(groups=frozenset({"small", "large", "task_taken"}), aliases=frozenset({"by_hand"}))
GOOD = (TESTDATA / "balanced.yaml").read_bytes()


class Shelf:
    """Holds a good `balanced.yaml` from the start."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.files = ProfileFiles(directory)
        self.put("balanced", GOOD)

    def put(self, name: str, raw: bytes) -> Path:
        """Write one profile file."""
        path = self.path(name)
        path.write_bytes(raw)
        return path

    def path(self, name: str) -> Path:
        """Return where a profile's file lies."""
        return self.directory / f"{name}.yaml"

    def check(self) -> tuple[Problem, ...]:
        """Return the problems of all files."""
        return self.files.check(HOST)

    def codes(self) -> list[str]:
        """Return the codes of all problems, in order."""
        return [problem.code for problem in self.check()]

    def content(self) -> dict[str, bytes]:
        """Return every file by name, hidden ones included."""
        return {path.name: path.read_bytes() for path in self.directory.iterdir() if path.is_file()}


def good_document(**changes: Any) -> dict[str, Any]:
    """Return the good profile as the API would send it, with some keys changed."""
    document: Mapping[str, Any] = read(GOOD.decode())
    return {**document, **changes}
