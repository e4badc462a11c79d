"""The tasks in force: the shipped ones and those of the operator's folder, reread when its files change.

It must not know what a task is used for. A folder that is broken leaves the last good tasks in force.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from neuronode_router.errors import Problem, TemplatesInvalid
from neuronode_router.tasks.catalogue import Catalogue, load, shipped, template_files
from neuronode_router.tasks.template import InputRule, TaskTemplate

Signature = tuple[tuple[str, int, int, int], ...]


class TaskFolder:
    """`catalogue` is what may be asked for, `problems` why the folder's tasks are not, or not as they stand now.

    Reading them costs an attribute. `refresh` blocks on the disk: call it every second or so, in a thread.
    """

    def __init__(self, folder: Path | None) -> None:
        self.catalogue: Catalogue = shipped()
        self.problems: tuple[Problem, ...] = ()
        self._folder = folder
        self._seen: Signature | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read the folder again if it changed. Never raises."""
        if self._folder is None:
            return
        try:
            signature = _signature(self._folder)
            if signature == self._seen:
                return
            self.catalogue = _beside_shipped(load(self._folder))
            self.problems = ()
        except OSError as error:
            signature = None
            fix = "Make it readable, or correct NEURONODE_TASKS."
            self.problems = (Problem("unreadable", f"{error.strerror}.", fix, file=self._folder.name),)
        except TemplatesInvalid as error:
            self.problems = error.problems
        self._seen = signature


def _signature(folder: Path) -> Signature:
    stats = [(path.name, path.stat()) for path in template_files(folder)]
    return tuple((name, found.st_mtime_ns, found.st_size, found.st_ino) for name, found in stats)


def _beside_shipped(own: Catalogue) -> Catalogue:
    """A shipped task may be reworded; its inputs and answers are a contract with its callers."""
    known = shipped()
    problems = [
        Problem(
            "shipped_task",
            "This task ships with the package: its inputs and its output are not as there.",
            "Keep them as docs/tasks.md has them (lengths may grow), or choose another name.",
            f"{name}.yaml",
        )
        for name, task in own.items()
        if name in known and not _serves(task, known[name])
    ]
    if problems:
        raise TemplatesInvalid(problems)
    return MappingProxyType({**known, **own})


def _serves(own: TaskTemplate, shipped_one: TaskTemplate) -> bool:
    """Whether who calls a shipped task may go on doing so: whatever that takes is taken, and answered in its form."""
    wanted, taken = shipped_one.inputs, own.inputs
    return (own.output, taken.keys()) == (shipped_one.output, wanted.keys()) and all(
        _takes(taken[name], rule) for name, rule in wanted.items()
    )


def _takes(own: InputRule, shipped_one: InputRule) -> bool:
    return (
        (own.kind, own.verbatim) == (shipped_one.kind, shipped_one.verbatim)
        and own.optional >= shipped_one.optional
        and own.max_characters >= shipped_one.max_characters
    )
