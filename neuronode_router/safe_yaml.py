"""Bytes of an operator's YAML file -> plain data, the place of every key, and every problem of the YAML itself.

It must not know what a file is about. It is read event by event and refused at its caps, before anything is built;
anchors, aliases, merge keys, tags and doubled keys are problems, so no small file can become a large document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, cast

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from neuronode_router.errors import Problem
from neuronode_router.yaml11 import Loader, is_trap, scalar

Path = tuple[str | int, ...]
"""Keys and list indexes from the top of a document: `("tasks", "classification")`."""

MAX_NAME_SHOWN = 80
MAX_PROBLEMS = 50
"""How many problems one file is told at once, by each of reading and checking."""

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}
_SWITCHES = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false"})
_SYNTAX_FIX = "Check indentation, colons and quotes here and in the line above."


@dataclass(frozen=True, slots=True)
class YamlCaps:
    """What a file may have at most; `depth` counts levels of mappings and lists."""

    bytes: int
    depth: int
    nodes: int
    numbers: frozenset[str] = frozenset()
    """Keys of the file itself that mean a number: an unquoted decimal one is as good there as its text."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document came from, so that a problem can name file, line and column."""

    file: str
    places: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    """(line, column), both from 1, of every key and list item; empty for a document that came as JSON."""

    def problem(self, code: str, path: Path, message: str, fix: str) -> Problem:
        """Return the problem at `path`, or at the nearest place above it that the document has."""
        line, column = next(
            (self.places[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.places), (0, 0)
        )
        return Problem(str(code), message, fix, self.file, line, column, dotted(path))


@dataclass(frozen=True, slots=True)
class YamlReading:
    """What a file says. `document` is None when it holds nothing that could be checked further."""

    document: dict[str, object] | None
    source: Source
    problems: tuple[Problem, ...]


def dotted(path: Path) -> str:
    """Return a path as people read it: `tiers.fast[0]`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{shown(step)}" for step in path)
    return "".join(steps).removeprefix(".")


def shown(name: str) -> str:
    """Return a name as it may appear in a message: printable and short, whatever was sent."""
    text = name if name.isprintable() else name.encode("unicode_escape").decode("ascii")
    return text if len(text) <= MAX_NAME_SHOWN else f"{text[:MAX_NAME_SHOWN]}..."


def read_yaml(raw: bytes, file: str, *, caps: YamlCaps, typed: bool = False) -> YamlReading:
    """Return what `raw` says and everything wrong with its YAML (at most 50 problems). Never raises.

    Unquoted values are texts, `true` and `false`; one that some YAML reader takes for another kind is a problem.
    `typed` values may also be what YAML 1.1 makes of them: numbers, dates. Keys are texts there, for no other reader
    sees such a file: `on` needs no quotes.
    """
    places: dict[Path, tuple[int, int]] = {}
    source = Source(file, places)
    walker = _Walker(source, places, caps=caps, typed=typed)
    document: object = None
    try:
        if len(raw) > caps.bytes:
            size = f"The file is larger than {caps.bytes // 1024} kB."
            walker.stop("too_large", (), size, "Split or shorten it.")
        document = walker.walk(raw.decode("utf-8-sig"))
    except _Stopped:
        pass
    except UnicodeDecodeError as error:
        places[()] = (raw.count(b"\n", 0, error.start) + 1, 1)
        walker.note("not_utf8", (), "The file is not UTF-8.", "Save it as UTF-8.")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark is not None:
            # libyaml sees an end that is missing in a line after the last.
            places[()] = (min(mark.line, raw.count(b"\n")) + 1, mark.column + 1)
        walker.note("syntax", (), f"This is not YAML: {error.problem or error.context}.", _SYNTAX_FIX)
    except yaml.YAMLError:
        message = "The file has a character that YAML does not allow."
        walker.note("syntax", (), message, "Remove control characters.")
    return YamlReading(document if isinstance(document, dict) else None, source, tuple(walker.problems))


class _Stopped(Exception):
    """The document is not worth reading further."""


class _Walker:
    """Follows the parser's events once, from top to bottom; its recursion is bounded by the caps' depth."""

    def __init__(
        self, source: Source, places: dict[Path, tuple[int, int]], *, caps: YamlCaps, typed: bool
    ) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._places = places
        self._caps = caps
        self._typed = typed
        self._nodes = 0
        self._events: Iterator[yaml.Event] = iter(())

    def walk(self, text: str) -> object:
        """Return the document's data. Raises `yaml.YAMLError` and `_Stopped`."""
        self._events = _events(text)
        next(self._events)  # the start of the stream
        if not isinstance(next(self._events), yaml.DocumentStartEvent):
            self.stop("empty", (), "The file is empty.", "Write something into it, or remove it.")
        root = next(self._events)
        self._places[()] = _place(root)
        document = self._node(root, ())
        if document is None and not self.problems:
            self.stop("empty", (), "The file is empty.", "Write something into it, or remove it.")
        if not isinstance(document, dict) and not self.problems:
            self.add("wrong_type", (), "The file must be a mapping.", "Start with `key: value`.")
        self._only_document()
        return document

    def note(self, code: str, path: Path, message: str, fix: str) -> None:
        """Note a problem."""
        self.problems.append(self._source.problem(code, path, message, fix))

    def add(self, code: str, path: Path, message: str, fix: str) -> None:
        """Note a problem; end the walk when there are too many to be useful."""
        self.note(code, path, message, fix)
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Stopped

    def stop(self, code: str, path: Path, message: str, fix: str) -> NoReturn:
        """Note a problem and end the walk."""
        self.note(code, path, message, fix)
        raise _Stopped

    def _only_document(self) -> None:
        next(self._events)
        if isinstance(following := next(self._events), yaml.DocumentStartEvent):
            self._places[()] = _place(following)
            message = "The file has more than one document."
            self.stop("several_documents", (), message, "Keep one document per file.")

    def _node(self, event: yaml.Event, path: Path) -> object:
        self._nodes += 1
        if self._nodes > self._caps.nodes:
            message = f"The file has more than {self._caps.nodes} entries."
            self.stop("too_large", path, message, "Shorten it.")
        if len(path) > self._caps.depth:
            message = f"Nested deeper than {self._caps.depth} levels."
            self.stop("too_deep", path[:3], message, "Fewer levels are enough here.")
        if isinstance(event, yaml.AliasEvent):
            self.add("anchor", path, f"Alias *{event.anchor} is not allowed.", "Write the value out.")
            return None
        self._unadorned(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event, path)

    def _unadorned(self, event: yaml.Event, path: Path) -> None:
        if getattr(event, "anchor", None) is not None:
            self.add("anchor", path, "Anchors are not allowed.", "Remove the &name and write values out.")
        if (tag := getattr(event, "tag", None)) is not None:
            message = f"The tag {shown(str(tag))} is not allowed."
            self.add("tag", path, message, "Remove it; quote texts instead.")

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
                message = f"The key is already in line {before}."
                self.add("duplicate_key", here, message, "Keep one of them.")
            self._places[here] = _place(event)
            entries[key] = self._node(next(self._events), here)
        return entries

    def _key(self, event: yaml.Event, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._places[path] = _place(event)
            self.stop("wrong_type", path, "A key must be a text.", "Write `key: value`.")
        here = (*path, event.value)
        self._places.setdefault(here, _place(event))
        self._nodes += 1
        self._unadorned(event, here)
        if event.style:
            return event.value
        if event.value == "<<":
            self.add("anchor", here, "Merge keys are not allowed.", "Write the entries out.")
        elif not self._typed and is_trap(event.value):
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
        if self._typed:
            return self._typed_scalar(event.value, path)
        if is_trap(event.value) and not self._is_number(event.value, path):
            self._trap(event.value, path)
        return event.value

    def _is_number(self, text: str, path: Path) -> bool:
        return len(path) == 1 and path[0] in self._caps.numbers and _DECIMAL.fullmatch(text) is not None

    def _typed_scalar(self, text: str, path: Path) -> object:
        tag = Resolver().resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # untyped there
        try:
            return SafeConstructor().construct_object(yaml.ScalarNode(tag, text))
        except (ValueError, yaml.YAMLError):  # a date such as 2026-99-99, a number of 5,000 digits
            self.add("syntax", path, "The value cannot be read.", "Quote texts, dates and long numbers.")
            return None

    def _trap(self, text: str, path: Path) -> None:
        switch = ", or write true or false where a switch is meant" if text.lower() in _SWITCHES else ""
        message = f"Unquoted, {shown(text)} is not a text to every YAML reader."
        self.add("yaml_trap", path, message, f"Quote it: {scalar(shown(text))}{switch}.")


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
