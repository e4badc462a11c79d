"""Reads what a proxy answers, so that the answer of whatever else listens there is told from it.

It must not know which answer it is.
"""

from __future__ import annotations

import json
from typing import Any

from neuronode_router.errors import NeuronodeError


class NotOffered(NeuronodeError):
    """The proxy has no such route, or what answers is no proxy with this plugin."""

    code = "not_offered"
    fix = "Look with `neuronode doctor --online` whether the plugin is loaded there, and which version."


class ProxyDocument(dict[str, Any]):
    """An object of an answer: asked for a key that it does not have, it raises `NotOffered`."""

    def __missing__(self, key: str) -> Any:
        raise NotOffered(
            f"The answer does not say {key!r}: another service, or another version of the plugin."
        )


def read_answer(text: str | bytes) -> ProxyDocument:
    """Return an answer, with `ProxyDocument`s at any depth. Raises `NotOffered` for what is no JSON object."""
    try:
        document = json.loads(text, object_hook=ProxyDocument)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, ProxyDocument):
        raise NotOffered("Something answers, but not as the admin API does.")
    return document
