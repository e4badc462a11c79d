"""YAML text as a YAML 1.1 reader (LiteLLM reads with PyYAML) understands it: parse it, and write scalars it keeps.

It must not know what a document is about. libyaml does the parsing: it is about 30 times as fast as a parser in Python,
which spends half a second on 250 kB that were made to hurt (docs/profiles.md has the figures).
"""

from __future__ import annotations

import re
from typing import Any

import yaml

Loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's safe loader, in C wherever the wheel has libyaml (all published wheels do)."""

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")
# Wider than any one reader's rule: readers differ in underscores, exponents and leading zeros.
_NUMBER_OR_SWITCH = re.compile(r"[-+]?[0-9.][0-9_.]*([eE][-+]?[0-9_]+)?|[-+]?0[xob][0-9a-fA-F_]+|[yYnN]")
_ESCAPED = re.compile(
    r'[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|["\\]'
)


def read(text: str) -> Any:
    """Return the one document of `text` as LiteLLM would see it. Raises `yaml.YAMLError`."""
    loader = Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def compose(text: str) -> yaml.Node | None:
    """Return the node tree of `text`, with a mark at each end of every node. Raises `yaml.YAMLError`."""
    loader = Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def is_trap(text: str) -> bool:
    """Return whether some YAML reader takes this unquoted text for anything but text (`no`, `012`, `1e3`)."""
    rules = yaml.SafeLoader.yaml_implicit_resolvers
    candidates = (*rules.get(text[:1], ()), *rules.get(None, ()))
    return any(pattern.match(text) for _, pattern in candidates) or bool(_NUMBER_OR_SWITCH.fullmatch(text))


def scalar(text: str, *, quote: str | None = None) -> str:
    """Return `text` as a scalar on one line that every YAML reader reads back equal.

    It is plain where that is safe, and quoted otherwise; `quote` asks for the quotes that stood there before.
    """
    plain = _PLAIN.fullmatch(text) is not None
    if plain and quote == "'":
        return f"'{text}'"
    if plain and quote is None and not is_trap(text):
        return text
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    if char in '"\\':
        return f"\\{char}"
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
