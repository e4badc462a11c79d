"""Bytes of a task template -> plain data, the line of every key, and what is wrong with the YAML itself.

It must not know what a template says.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml

from neuronode_router.errors import Problem

MAX_BYTES = 64 * 1024
MAX_DEPTH = 20
MAX_NODES = 5000
SYNTAX_MEND = "Check indentation, colons and quotes here and in the line above."

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """What a file says, and where. `data` is None when there are `problems`."""

    file: str
    data: object = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, code: str, path: Path, message: str, fix: str) -> None:
        """Note a problem at `path`, with the line of the nearest place above it that the file has."""
        line = next(
            (self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines), 0
        )
        dotted = ".".join(str(step)[:80] for step in path)
        self.problems.append(Problem(code, message, fix, self.file, line, 0, dotted))


def read(raw: bytes, file: str) -> Document:
    """Return what `raw` says. Anchors, aliases, tags, doubled keys and giant files are problems. Never raises."""
    document = Document(file)
    if len(raw) > MAX_BYTES:
        document.add("too_large", (), f"The file is larger than {MAX_BYTES // 1024} kB.", "Shorten it.")
        return document
    try:
        text = raw.decode("utf-8-sig")
        if _plain(document, text):
            _places(document, yaml.compose(text, Loader=yaml.SafeLoader), ())
        if not document.problems:
            document.data = yaml.safe_load(text)
    except UnicodeDecodeError:
        document.add("not_utf8", (), "The file is not UTF-8.", "Save it as UTF-8.")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.lines[()] = mark.line + 1 if mark else 0
        document.add("syntax", (), f"This is not YAML: {error.problem or error.context}.", SYNTAX_MEND)
    except (yaml.YAMLError, ValueError):  # a character YAML has not, or a number or date that is none
        document.add(
            "syntax", (), "A value in the file cannot be read.", "Quote texts, dates and long numbers."
        )
    return document


def _plain(document: Document, text: str) -> bool:
    """Note what could blow up or act while the document is built, before anything is built."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        document.lines[()] = event.start_mark.line + 1 if event.start_mark else 0
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or count > MAX_NODES:
            document.add(
                "too_large", (), "The file is nested too deep or has too many entries.", "Shorten it."
            )
        elif getattr(event, "anchor", None) is not None:
            document.add("anchor", (), "Anchors and aliases are not allowed.", "Write the value out.")
        elif getattr(event, "tag", None) is not None:
            document.add("tag", (), "Tags are not allowed.", "Remove it; quote texts instead.")
        if document.problems:
            return False
    document.lines[()] = 1
    return True


def _places(document: Document, node: yaml.Node | None, path: Path) -> None:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            document.lines[(*path, index)] = item.start_mark.line + 1
            _places(document, item, (*path, index))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            known = here in document.lines
            document.lines[here] = key.start_mark.line + 1
            if known:
                document.add("duplicate_key", here, "The key stands here twice.", "Keep one of them.")
            _places(document, value, here)
