"""Errands: what programs ask about a conversation in passing, such as its title, tags, or whether it is safe.

They quote what may be hard and ask for a word or a line. It must not know tiers; it looks at the ends of a text only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

START, END = 600, 400
"""Characters of each end in which such an instruction stands."""

_MAKE = (
    r"\b(?:generate|create|write|provide|give|suggest|extract|propose|make|formulate|come up with"
    r"|erzeuge?|erstelle?|schreib\w*|gib|formulier\w*|schlag\w*|finde?)\b[^\n]{0,60}"
)
_ABOUT_A_CONVERSATION: Mapping[str, tuple[tuple[str, ...], re.Pattern[str]]] = {
    "title": (("title", "titel", "ueberschrift"), re.compile(_MAKE + r"\b(?:titles?|titel|ueberschrift)\b")),
    "tags": (("tags", "schlagw"), re.compile(_MAKE + r"\b(?:tags|schlagwoerter|schlagworte)\b")),
    "follow-ups": (
        ("follow", "fragen"),
        re.compile(
            r"\bfollow[- _]?ups?\b[^\n]{0,30}(?:question|prompt|frage)|\b(?:anschluss|folge|rueck)fragen\b"
        ),
    ),
    "queries": (("quer", "anfrage"), re.compile(r"\b(?:search quer(?:y|ies)|suchanfragen?)\b")),
    "topic": (("topic", "thema"), re.compile(r"\b(?:new (?:conversation )?topic|isnewtopic|neues thema)\b")),
    "standalone": (
        ("standalone", "eigenst"),
        re.compile(r"\b(?:standalone (?:question|query)|eigenstaendige (?:frage|anfrage))\b"),
    ),
    "one line": (
        ("characters", "words", "zeichen", "worte", "woerte"),
        re.compile(
            r"\b(?:under|at most|less than|fewer than|no more than|within|hoechstens|maximal|unter|in) 0{1,2} "
            r"(?:characters|words|zeichen|woertern?|worten?)\b"
        ),
    ),
    "emoji": (("emoji",), re.compile(r"\b(?:a|one|single|ein|einem) emoji\b")),
    "verdict": (
        ("unsafe", "harmful"),
        re.compile(r"\bsafe or unsafe\b|\bunsafe or safe\b|\bharmful\b[^\n]{0,40}\bconversation\b"),
    ),
}
"""What is asked in passing: words of which a text has at least one, or its pattern is not tried, and the pattern."""

_LABEL = re.compile(
    r"\b(?:answer|reply|respond|output|return)\b[^\n]{0,20}\bonly\b[^\n]{0,20}\b(?:label|category|class|prefix)\b"
    r"|\b(?:answer|reply|respond|output|return)\b[^\n]{0,20}\b(?:label|category|class|prefix)\b[^\n]{0,20}\bonly\b"
    r"|\b(?:only|just) the (?:label|category|class|prefix)\b"
    r"|\bantworte? (?:nur|ausschliesslich) mit (?:dem|der|einem|einer) (?:label|kategorie|klasse|kuerzel)\b"
)
"""What asks for one word of a list: it needs no quoted conversation."""
_LABEL_WORDS = ("only", "just", "antwort")
_LABELS = ("label", "categor", "class", "prefix", "kategorie", "klasse", "kuerzel")
"""A text without one of either tuple is no such request, and its pattern need not be tried."""
_QUOTED = re.compile(
    r"<(?:chat_?history|conversation|history|messages?|transcript|chat|dialog(?:ue)?)\b|\"role\" ?:"
    r"|(?:^|\n) ?(?:\W{0,3})(?:user|human|assistant|nutzer|ai|mensch)\W{0,3} ?[:\n]"
    r"|\b(?:conversation|chat|dialog(?:ue)?) (?:below|above|history)\b|\bfollowing (?:\w+ )?conversation\b"
    r"|\bthis (?:\w+ )?(?:conversation|message|chat)\b|\b(?:dieses|das folgende|obige\w*) gespraech\b"
)


def errand_of(start: str, end: str, system: str = "") -> str | None:
    """Return what kind of errand a folded text is, given by its ends and the system prompt's start; None for none.

    Never raises; a few microseconds, however long the text is.
    """
    instruction = "\n".join((system[:START], start[:START], end[-END:]))
    if _has(instruction, _LABEL_WORDS) and _has(instruction, _LABELS) and _LABEL.search(instruction):
        return "label"
    for kind, (words, said) in _ABOUT_A_CONVERSATION.items():
        if _has(instruction, words) and said.search(instruction):
            return kind if _QUOTED.search(instruction) else None
    return None


def _has(text: str, words: tuple[str, ...]) -> bool:
    for word in words:  # noqa: SIM110 - half the time that `any` of a generator takes
        if word in text:
            return True
    return False
