"""Reads LiteLLM's configuration as LiteLLM does: the file, and what its `include` brings in.

It must not know what any section is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from neuronode_router.errors import SettingsError

Config = dict[str, Any]


def read_config(path: Path) -> Config:
    """Return the configuration with its `include` files merged in.

    Raises `SettingsError` naming file and line.
    """
    return merged(_load(path), path)


def section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a section of a configuration or of an entry in it; an empty one where something else stands."""
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def merged(
    document: Mapping[str, Any], path: Path, *, root: Path | None = None, seen: tuple[Path, ...] = ()
) -> Config:
    """Return what stands at `path` with its `include` files merged in, as LiteLLM merges them.

    Lists are joined, other values of the included file win. Raises `SettingsError` naming file and line.
    """
    result = dict(document)
    entries = result.pop("include", None) or []
    if not isinstance(entries, list):
        raise SettingsError(f"{path}: `include` must be a list of files.")
    for entry in entries:
        target = _locate(str(entry), path, root or path)
        if target in (*seen, path):
            raise SettingsError(f"{path}: `include` of {entry} goes round in a circle.")
        for key, value in merged(_load(target), target, root=root or path, seen=(*seen, path)).items():
            present = result.get(key)
            result[key] = (
                [*present, *value] if isinstance(present, list) and isinstance(value, list) else value
            )
    return result


def _load(path: Path) -> Config:
    try:
        # The reader LiteLLM itself uses: any other could see another document.
        document = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise SettingsError(
            f"The configuration {path} cannot be read: {error.strerror}.", fix="Name it with --config FILE."
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise SettingsError(f"{where}: {getattr(error, 'problem', None) or 'this is not YAML'}.") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: a LiteLLM configuration is a mapping.")
    return document


def _locate(entry: str, declared_in: Path, root: Path) -> Path:
    beside = declared_in.parent / entry
    return beside if beside.exists() else root.parent / entry
