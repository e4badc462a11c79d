"""Change what a YAML text says by touching only the characters that must change.

It must not know what the document is about. Comments, order, quotes, indentation and line ends of everything that
is not changed stay byte for byte. The result is read back by LiteLLM's reader and refused when it says anything
but what was asked, so a text this module does not understand is never damaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from neuronode_router.yaml11 import compose, read, scalar

STEP = 2
"""Columns that a new level is indented by."""

_TEXT = "tag:yaml.org,2002:str"
_BYTE_ORDER_MARK = "\ufeff"


class NotUnderstood(Exception):
    """The text cannot be changed without risking what else it says."""


def revise(text: str, wanted: dict[str, Any], *, current: dict[str, Any] | None = None) -> str:
    """Return `text` changed so that it reads as `wanted`: mappings, lists, texts, numbers and booleans.

    `current` is `mapping_of(text)` where the caller has it already: reading a long configuration takes a while.
    Raises `NotUnderstood` when the text is no YAML mapping, or its form (anchors, merge keys) stands in the way.
    """
    if text.startswith(_BYTE_ORDER_MARK):
        return _BYTE_ORDER_MARK + revise(text.removeprefix(_BYTE_ORDER_MARK), wanted, current=current)
    if current is None:
        current = mapping_of(text)
    if current == wanted:
        return text
    node = compose(text)
    assert isinstance(node, yaml.MappingNode)
    splice = _Splice(text)
    splice.amend(node, current, wanted)
    revised = splice.result()
    try:
        understood = mapping_of(revised) == wanted
    except NotUnderstood:
        understood = False
    if not understood:
        raise NotUnderstood("its form (anchors, merge keys) stands in the way of a safe change")
    return revised


def mapping_of(text: str) -> dict[Any, Any]:
    """Return the mapping that `text` is to LiteLLM. Raises `NotUnderstood`, without quoting from the text."""
    try:
        document = read(text)
    except yaml.YAMLError as error:
        raise NotUnderstood(f"it is not YAML that LiteLLM reads: {_reason(error)}") from error
    except (ValueError, RecursionError) as error:
        # What PyYAML lets through for a date such as 2024-13-45 and for endless nesting.
        raise NotUnderstood("it has a value that LiteLLM cannot read") from error
    if not isinstance(document, dict):
        raise NotUnderstood("it is not a mapping")
    return document


def dump(document: Mapping[str, Any]) -> str:
    """Return a new YAML text that reads as `document`."""
    return "".join(_block_entries(document, 0, "\n"))


class _Splice:
    """Collects replacements of stretches of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._edits: list[tuple[int, int, str]] = []

    def result(self) -> str:
        """Return the text with every edit applied. Edits at one place apply in the order they were made."""
        pieces: list[str] = []
        position = 0
        for start, end, replacement in sorted(self._edits, key=lambda edit: edit[:2]):
            pieces += (self._text[position:start], replacement)
            position = max(position, end)
        return "".join((*pieces, self._text[position:]))

    def amend(self, node: yaml.Node, current: object, wanted: object, *, column: int | None = None) -> None:
        """Make `node`, which now says `current`, say `wanted`; `column` is that of its key where it is in a block."""
        if type(current) is type(wanted) and current == wanted:
            return
        if column is not None and not current and isinstance(wanted, dict) and wanted:
            self._fill(node, wanted, column)
        elif not wanted:
            self._replace(node, wanted)
        elif isinstance(node, yaml.MappingNode) and isinstance(current, dict) and isinstance(wanted, dict):
            amend = self._amend_flow_mapping if node.flow_style else self._amend_mapping
            amend(node, current, wanted)
        elif isinstance(node, yaml.SequenceNode) and isinstance(current, list) and isinstance(wanted, list):
            self._amend_sequence(node, current, wanted)
        else:
            self._replace(node, wanted)

    def _amend_mapping(self, node: yaml.MappingNode, current: dict[str, Any], wanted: dict[str, Any]) -> None:
        entries = _entries(node)
        for name, (key, value) in entries.items():
            if name in wanted:
                self.amend(value, current[name], wanted[name], column=key.start_mark.column)
            else:
                self._remove_lines(key, value)
        added = {name: value for name, value in wanted.items() if name not in current}
        column = node.value[0][0].start_mark.column
        self._insert_lines(node, _block_entries(added, column, self._newline))

    def _amend_flow_mapping(
        self, node: yaml.MappingNode, current: dict[str, Any], wanted: dict[str, Any]
    ) -> None:
        entries = _entries(node)
        if not entries or current.keys() - wanted.keys():
            self._replace(node, wanted)
            return
        for name, (_, value) in entries.items():
            self.amend(value, current[name], wanted[name])
        added = [f", {scalar(name)}: {_flow(wanted[name])}" for name in wanted if name not in current]
        end = node.value[-1][1].end_mark.index
        self._edits.append((end, end, "".join(added)))

    def _amend_sequence(self, node: yaml.SequenceNode, current: list[Any], wanted: list[Any]) -> None:
        if node.flow_style and len(current) != len(wanted):
            self._replace(node, wanted)
            return
        for item, before, after in zip(node.value, current, wanted, strict=False):
            self.amend(item, before, after)
        for item in node.value[len(wanted) :]:
            self._remove_lines(item, item)
        column = node.start_mark.column
        self._insert_lines(node, _block_items(wanted[len(current) :], column, self._newline))

    def _fill(self, node: yaml.Node, wanted: Mapping[str, Any], column: int) -> None:
        """Put a block of entries where nothing, `null` or `{}` stood."""
        start, end = node.start_mark.index, node.end_mark.index
        start = len(self._text[:start].rstrip(" "))
        entries = "".join(_block_entries(wanted, column + STEP, self._newline))
        self._edits.append((start, end, self._newline + entries.removesuffix(self._newline)))

    def _replace(self, node: yaml.Node, wanted: object) -> None:
        start, end = node.start_mark.index, node.end_mark.index
        if isinstance(node, yaml.CollectionNode) and not node.flow_style:
            raise NotUnderstood("it has a block where another kind of value is wanted")
        quote = node.style if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"') else None
        replacement = _flow(wanted, quote)
        if self._text[start - 1 : start] == ":":
            replacement = f" {replacement}"  # an empty value begins right after its colon
        if self._text[start:end].endswith("\n"):
            replacement += self._newline  # a block scalar owns its last line end
        self._edits.append((start, end, replacement))

    def _remove_lines(self, first: yaml.Node, last: yaml.Node) -> None:
        start = self._text.rfind("\n", 0, first.start_mark.index) + 1
        self._edits.append((start, self._line_end(last), ""))

    def _insert_lines(self, node: yaml.Node, lines: Sequence[str]) -> None:
        if not lines:
            return
        at = self._line_end(node)
        opening = "" if self._text[at - 1 : at] == "\n" else self._newline
        self._edits.append((at, at, opening + "".join(lines)))

    def _line_end(self, node: yaml.Node) -> int:
        """Return where the line after the last character of `node` begins."""
        last = _last_leaf(node).end_mark.index
        if self._text[last - 1 : last] == "\n":
            return last
        end = self._text.find("\n", last)
        return len(self._text) if end < 0 else end + 1


def _entries(node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """Return key and value nodes by name. The last of duplicate keys is the one that counts."""
    return {key.value: (key, value) for key, value in node.value if key.tag == _TEXT}


def _last_leaf(node: yaml.Node) -> yaml.Node:
    """The end mark of a block collection lies behind the comments that follow it; that of its last leaf does not."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node


def _block_entries(entries: Mapping[str, Any], column: int, newline: str) -> list[str]:
    lines: list[str] = []
    for name, value in entries.items():
        opening = " " * column + scalar(name) + ":"
        if isinstance(value, Mapping) and value:
            lines += (opening + newline, *_block_entries(value, column + STEP, newline))
        else:
            lines.append(f"{opening} {_flow(value)}{newline}")
    return lines


def _block_items(items: Sequence[Any], column: int, newline: str) -> list[str]:
    return [f"{' ' * column}- {_flow(item)}{newline}" for item in items]


def _flow(value: object, quote: str | None = None) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float() | None:
            return "null" if value is None else repr(value)
        case str():
            return scalar(value, quote=quote)
        case Mapping():
            return "{" + ", ".join(f"{scalar(str(key))}: {_flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_flow(item) for item in value) + "]"
        case _:
            raise NotUnderstood(f"a {type(value).__name__} cannot be written")


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" (line {mark.line + 1})" if mark is not None else ""
    return f"{getattr(error, 'problem', None) or 'a character YAML does not allow'}{where}"
