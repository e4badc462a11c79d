"""Bytes of a profile file -> plain data, the place of every key, and every problem of the YAML itself.

It must not know the schema or the host. Anchors, tags, merge keys and everything YAML 1.1 turns into something
other than text are refused, so what is returned holds only mappings, lists, texts, booleans and None.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn, cast

import yaml

from neuronode_router.errors import Problem
from neuronode_router.profiles.problems import MAX_PROBLEMS, Code, Path, Source, shown
from neuronode_router.profiles.yaml11 import Loader, is_trap, scalar

MAX_BYTES = 256 * 1024
MAX_DEPTH = 6
MAX_NODES = 2000

_BOOLEANS = {"true": True, "false": False}
_SWITCHES = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false"})


@dataclass(frozen=True, slots=True)
class YamlReading:
    """What a file says. `document` is None when it holds nothing that could be checked further."""

    document: dict[str, object] | None
    source: Source
    problems: tuple[Problem, ...]


def read_document(raw: bytes, file: str) -> YamlReading:
    """Return what `raw` says and everything wrong with its YAML (at most 50 problems). Never raises."""
    places: dict[Path, tuple[int, int]] = {}
    source = Source(file, places)
    walker = _Walker(source, places)
    document: object = None
    try:
        if len(raw) > MAX_BYTES:
            walker.stop(
                Code.TOO_LARGE, (), f"The file is larger than {MAX_BYTES // 1024} kB.", "Split or shorten it."
            )
        document = walker.walk(raw.decode("utf-8-sig"))
    except _Stopped:
        pass
    except UnicodeDecodeError as error:
        places[()] = (raw.count(b"\n", 0, error.start) + 1, 1)
        walker.note(Code.NOT_UTF8, (), "The file is not UTF-8.", "Save it as UTF-8.")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark is not None:
            places[()] = (mark.line + 1, mark.column + 1)
        walker.note(Code.SYNTAX, (), f"This is not YAML: {error.problem or error.context}.", _SYNTAX_MEND)
    except yaml.YAMLError:
        walker.note(
            Code.SYNTAX,
            (),
            "The file has a character that YAML does not allow.",
            "Remove control characters.",
        )
    return YamlReading(document if isinstance(document, dict) else None, source, tuple(walker.problems))


_SYNTAX_MEND = "Check indentation, colons and quotes here and in the line above."


class _Stopped(Exception):
    """The document is not worth reading further."""


class _Walker:
    """Follows the parser's events once, from top to bottom; its recursion is bounded by `MAX_DEPTH`."""

    def __init__(self, source: Source, places: dict[Path, tuple[int, int]]) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._places = places
        self._nodes = 0
        self._events: Iterator[yaml.Event] = iter(())

    def walk(self, text: str) -> object:
        """Return the document's data. Raises `yaml.YAMLError` and `_Stopped`."""
        self._events = _events(text)
        next(self._events)  # the start of the stream
        if not isinstance(next(self._events), yaml.DocumentStartEvent):
            self.stop(Code.EMPTY, (), "The file is empty.", _EMPTY_MEND)
        root = next(self._events)
        self._places[()] = _place(root)
        document = self._node(root, ())
        if document is None and not self.problems:
            self.stop(Code.EMPTY, (), "The file is empty.", _EMPTY_MEND)
        if not isinstance(document, dict) and not self.problems:
            self.add(Code.WRONG_TYPE, (), "The file must be a mapping.", "Start with `description:`.")
        self._only_document()
        return document

    def note(self, code: Code, path: Path, message: str, fix: str) -> None:
        """Note a problem."""
        self.problems.append(self._source.problem(code, path, message, fix))

    def add(self, code: Code, path: Path, message: str, fix: str) -> None:
        """Note a problem; end the walk when there are too many to be useful."""
        self.note(code, path, message, fix)
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Stopped

    def stop(self, code: Code, path: Path, message: str, fix: str) -> NoReturn:
        """Note a problem and end the walk."""
        self.note(code, path, message, fix)
        raise _Stopped

    def _only_document(self) -> None:
        next(self._events)
        if isinstance(following := next(self._events), yaml.DocumentStartEvent):
            self._places[()] = _place(following)
            self.stop(
                Code.SEVERAL_DOCUMENTS, (), "The file has more than one document.", "One profile per file."
            )

    def _node(self, event: yaml.Event, path: Path) -> object:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self.stop(Code.TOO_LARGE, path, f"The file has more than {MAX_NODES} entries.", "Shorten it.")
        if len(path) > MAX_DEPTH:
            self.stop(
                Code.TOO_DEEP,
                path[:3],
                f"Nested deeper than {MAX_DEPTH} levels.",
                "Profiles need only three.",
            )
        if isinstance(event, yaml.AliasEvent):
            self.add(Code.ANCHOR, path, f"Alias *{event.anchor} is not allowed.", "Write the value out.")
            return None
        self._plain_node(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event, path)

    def _plain_node(self, event: yaml.Event, path: Path) -> None:
        if getattr(event, "anchor", None) is not None:
            self.add(Code.ANCHOR, path, "Anchors are not allowed.", "Remove the &name and write values out.")
        if (tag := getattr(event, "tag", None)) is not None:
            self.add(
                Code.TAG,
                path,
                f"The tag {shown(str(tag))} is not allowed.",
                "Remove it; quote texts instead.",
            )

    def _sequence(self, path: Path) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            here = (*path, len(items))
            self._places[here] = _place(event)
            items.append(self._node(event, here))
        return items

    def _mapping(self, path: Path) -> dict[str, object]:
        entries: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            here = (*path, key)
            if key in entries:
                before = self._places[here][0]
                self._places[here] = _place(event)
                self.add(
                    Code.DUPLICATE_KEY, here, f"The key is already in line {before}.", "Keep one of them."
                )
            self._places[here] = _place(event)
            entries[key] = self._node(next(self._events), here)
        return entries

    def _key(self, event: yaml.Event, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._places[path] = _place(event)
            self.stop(Code.WRONG_TYPE, path, "A key must be a text.", "Write `key: value`.")
        here = (*path, event.value)
        self._places.setdefault(here, _place(event))
        self._nodes += 1
        self._plain_node(event, here)
        if event.style:
            return event.value
        if event.value == "<<":
            self.add(Code.ANCHOR, here, "Merge keys are not allowed.", "Write the entries out.")
        elif is_trap(event.value):
            self._trap(event.value, here)
        return event.value

    def _scalar(self, event: yaml.Event, path: Path) -> object:
        assert isinstance(event, yaml.ScalarEvent)
        if event.style or event.tag is not None:
            return event.value
        if event.value in _BOOLEANS:
            return _BOOLEANS[event.value]
        if event.value == "":
            return None
        if is_trap(event.value):
            self._trap(event.value, path)
        return event.value

    def _trap(self, text: str, path: Path) -> None:
        switch = ", or write true or false where a switch is meant" if text.lower() in _SWITCHES else ""
        message = f"Unquoted, {shown(text)} is not a text to every YAML reader."
        self.add(Code.YAML_TRAP, path, message, f"Quote it: {scalar(shown(text))}{switch}.")


_EMPTY_MEND = "Write a profile, or remove the file."


def _events(text: str) -> Iterator[yaml.Event]:
    loader = Loader(text)
    try:
        while loader.check_event():
            yield cast(yaml.Event, loader.get_event())
    finally:
        loader.dispose()


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None  # every event of a parser has one
    return mark.line + 1, mark.column + 1
