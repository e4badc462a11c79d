"""Sample labelled training texts from the phrase files: instructions in many phrasings, with and without attached text.

It must not know features or weights; the same seed gives the same texts.
"""

from __future__ import annotations

import math
import random
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from neuronode_router.classifier.tiers import TIER_OF_LABEL
from neuronode_router.domain.names import TIERS

DOCUMENT = "document"
LANGUAGES = ("de", "en")

PER_PHRASE, PASSAGES = 6, 250
"""What the shipped weights are fitted to: texts for each phrase, and texts strung together for each language."""
SLOT_DEPTH = 2
"""A filler may hold slots of its own."""

_CHOICE = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{([a-z]+)\}")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


@dataclass(frozen=True, slots=True)
class Phrase:
    """One line of a phrase file."""

    task: str
    language: str
    pattern: str
    attach: bool
    tier: str = ""
    """The tier of its section, else of its task; empty where neither has one."""

    @property
    def key(self) -> int:
        """A number of the line: what is made of it is held out together."""
        return zlib.crc32(self.pattern.encode())


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its label (a task, a kind of `other`, or `DOCUMENT`).

    `source` groups what must be held out together.
    """

    text: str
    label: str
    language: str
    source: str
    tier: str = ""
    """How heavy an answer it needs; empty where that is not known."""
    key: int = 0
    """The number of the line that it was made of."""


def phrases(language: str) -> list[Phrase]:
    """Return the phrase lines of a language, in the order of the files' names."""
    return sections(f"{language}*.txt", language)


def sections(names: str, language: str) -> list[Phrase]:
    """Return the lines of files that have sections: `[task]`, then perhaps a tier and `attach`."""
    found: list[Phrase] = []
    task, flags = "", []
    for line in _data_lines(names):
        if line.startswith("[") and line.endswith("]"):
            task, *flags = line[1:-1].split()
        else:
            tier = next((flag for flag in flags if flag in TIERS), TIER_OF_LABEL.get(task, ""))
            found.append(Phrase(task, language, line, "attach" in flags, str(tier)))
    return found


def documents(language: str) -> list[str]:
    """Return ordinary texts of a language, none of them an instruction."""
    return list(_data_lines(f"documents_{language}.txt"))


def sample(seed: int, *, per_phrase: int) -> list[Example]:
    """Return texts of every phrase line, and mere text cut in many ways, for both languages.

    A line gives `per_phrase` texts, and more the more choices and slots it has.
    """
    rng = random.Random(seed)  # noqa: S311 - training data, no secret
    examples: list[Example] = []
    for language in LANGUAGES:
        fillers = slots(language)
        texts = [
            *documents(language),
            *_passages(language, fillers, rng, count=PASSAGES * per_phrase // PER_PHRASE),
        ]
        for phrase in phrases(language):
            examples.extend(_example(phrase, fillers, texts, rng) for _ in range(_share(phrase, per_phrase)))
        for text in texts:
            examples.extend(
                Example(piece, DOCUMENT, language, "phrases", key=zlib.crc32(text.encode()))
                for piece in _pieces(text, texts, rng)
            )
    return examples


def _passages(language: str, slots: dict[str, list[str]], rng: random.Random, *, count: int) -> list[str]:
    """Return texts of one to five sentences."""
    patterns = list(_data_lines(f"passages_{language}.txt"))
    return [
        " ".join(expand(pattern, slots, rng) for pattern in rng.choices(patterns, k=rng.randrange(1, 6)))
        for _ in range(count)
    ]


def _share(phrase: Phrase, per_phrase: int) -> int:
    return round(
        per_phrase * (0.5 + 0.2 * (math.sqrt(phrase.pattern.count("|")) + phrase.pattern.count("{")))
    )


def _example(
    phrase: Phrase, slots: dict[str, list[str]], texts: Sequence[str], rng: random.Random
) -> Example:
    text = compose(phrase, slots, texts, rng)
    return Example(text, phrase.task, phrase.language, "phrases", phrase.tier, phrase.key)


def compose(phrase: Phrase, slots: dict[str, list[str]], texts: Sequence[str], rng: random.Random) -> str:
    """Return one text of a phrase: spelled as people do, perhaps with an opener, perhaps with a text attached."""
    text = _misspell(expand(phrase.pattern, slots, rng), rng)
    if rng.random() < 0.12:
        opener = rng.choice(slots["opener"]) + " "
        text = opener + text[:1].lower() + text[1:]
    attach = 0.6 if phrase.attach else 0.06
    return _attach(text, rng.choice(texts), slots, rng) if rng.random() < attach else text


def _attach(text: str, document: str, slots: dict[str, list[str]], rng: random.Random) -> str:
    if rng.random() < 0.5:
        document = document.split(". ")[0]
    quoted = rng.choice((document, document, f'"{document}"', f"{rng.choice(slots['heading'])} {document}"))
    gap = rng.choice(("\n\n", "\n", " ", "\n---\n"))
    return f"{text}{gap}{quoted}" if rng.random() < 0.5 else f"{quoted}{gap}{text}"


def _pieces(text: str, texts: Sequence[str], rng: random.Random) -> Iterator[str]:
    sentences = text.split(". ")
    yield text
    yield from sentences
    for _ in range(4):
        both = f"{text} {rng.choice(texts)}"
        start = rng.randrange(len(both) // 2)
        yield both[start : start + rng.randrange(30, 320)]


def expand(pattern: str, slots: dict[str, list[str]], rng: random.Random) -> str:
    """Return a pattern with its choices made and its slots filled."""
    while match := _CHOICE.search(pattern):
        pattern = pattern[: match.start()] + rng.choice(match[1].split("|")) + pattern[match.end() :]
    for _ in range(SLOT_DEPTH):
        pattern = _SLOT.sub(lambda slot: rng.choice(slots.get(slot[1], [slot[0]])), pattern)
    return " ".join(pattern.split())


def _misspell(text: str, rng: random.Random) -> str:
    """Return the text as people type it: now and then in one case, without umlauts, or with a slip of a key."""
    draw = rng.random()
    if draw < 0.12:
        text = text.lower().rstrip(".?!")
    elif draw < 0.14:
        text = text.upper()
    elif draw < 0.18:
        text = text.translate(_UMLAUTS)
    elif draw < 0.24 and len(text) > 12:
        at = rng.randrange(3, len(text) - 2)
        text = text[:at] + rng.choice((text[at + 1] + text[at], text[at] * 2, "")) + text[at + 2 :]
    return text


def slots(language: str) -> dict[str, list[str]]:
    """Return the fillers by slot; several lines for one slot add up."""
    found: dict[str, list[str]] = {}
    for line in _data_lines(f"slots_{language}*.txt"):
        name, _, fillers = line.partition(": ")
        found.setdefault(name, []).extend(filler.strip() for filler in fillers.split(" | "))
    return found


def _data_lines(names: str) -> Iterator[str]:
    for path in sorted((Path(str(files(__package__))) / "phrases").glob(names)):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                yield line.strip()
