"""Find cues (`cues.txt`) in folded text: whole words, stems, endings of compounds, separable verbs, negations.

It must not know weights or tiers. Linear in the text: each word is looked up, and a rule looks at most
`REACH` words ahead; no regular expression of a cue ever runs over prompt text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from neuronode_router.classifier.excerpt import fold

REACH = 14
"""Words between the parts of a cue: a German verb and its particle stand far apart."""
MAX_TOKENS = 400
REMEMBERED = 1 << 14
"""Words of which it is remembered which cues they open: most words open none, and most come again."""

HARDER, EASIER, NEGATION = "harder", "easier", "negation"
_HEAD, _ENDING = 3, 4
_TOKEN = re.compile(r"\w+(?:[-/']\w+|\+\+|#)*|[.!?:;\n]|```")
_ENDS = frozenset(".!?:;\n")
"""They stand among the words of a text: no two words of a cue meet across one."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One cue: its words, and what it speaks for."""

    cue: str
    task: str
    weight: float
    first: str
    rest: tuple[tuple[str, bool], ...]
    """Its further words, and whether a gap may stand before each."""
    at_start: bool
    next: str = ""
    """The word that must follow the first at once, where it is a whole one: most cues are ruled out by it."""


class Lexicon:
    """All rules, indexed by their first word. Immutable; safe to share between threads."""

    def __init__(self, rules: Iterable[Rule], negations: frozenset[str] = frozenset()) -> None:
        self._negations = negations
        self._opening = lru_cache(REMEMBERED)(self._rules_from)
        self._words: dict[str, list[Rule]] = {}
        self._stems: dict[str, list[Rule]] = {}
        self._endings: dict[str, list[Rule]] = {}
        for rule in rules:
            first = rule.first
            if first.startswith("*"):
                self._endings.setdefault(first[-_ENDING:], []).append(rule)
            elif first.endswith("*"):
                self._stems.setdefault(first[:_HEAD], []).append(rule)
            else:
                self._words.setdefault(first, []).append(rule)

    def find(self, text: str) -> list[Rule]:
        """Return every cue found in folded text, each once, in order of appearance. Never raises."""
        words = [*tokenise(text), ""]
        found: dict[tuple[str, str], Rule] = {}
        for at, rules in enumerate(map(self._opening, words)):
            for rule in rules:
                if rule.next and rule.next != words[at + 1]:
                    continue
                if _continues(rule, words, at) and not self._negated(words, at):
                    found.setdefault((rule.task, rule.cue), rule)
        return list(found.values())

    def _rules_from(self, word: str) -> tuple[Rule, ...]:
        """Return the rules whose first word this is."""
        near = (
            *self._words.get(word, ()),
            *self._stems.get(word[:_HEAD], ()),
            *self._endings.get(word[-_ENDING:], ()),
        )
        return tuple(rule for rule in near if _matches(rule.first, word))

    def _negated(self, words: Sequence[str], at: int) -> bool:
        """Tell whether a negation stands up to two words before, or right after the cue's first word."""
        before, after = words[max(0, at - 2) : at], words[at + 1 : at + 2]
        return not (self._negations.isdisjoint(before) and self._negations.isdisjoint(after))


def tokenise(text: str) -> Sequence[str]:
    """Return the first `MAX_TOKENS` words of folded text, and what ends its sentences. Never raises."""
    return _TOKEN.findall(text)[:MAX_TOKENS]


def parse(line: str, *, task: str, weight: float) -> Rule:
    """Return the rule that a line of `cues.txt` writes down."""
    words, gaps, gap = [], [], False
    for part in fold(line).removeprefix("^").split():
        if part == "...":
            gap = True
            continue
        for word in _rule_words(part):
            words.append(word)
            gaps.append(gap)
            gap = False
    rest = tuple(zip(words[1:], gaps[1:], strict=True))
    following = words[1] if rest and not rest[0][1] and "*" not in words[1] else ""
    return Rule(" ".join(line.split()), task, weight, words[0], rest, line.startswith("^"), following)


def shipped_rules() -> list[Rule]:
    """Return every rule of `cues.txt`, negations included."""
    return list(_rules((Path(__file__).parent / "cues.txt").read_text(encoding="utf-8")))


@cache
def shipped() -> Lexicon:
    """Return the lexicon of `cues.txt`, read once in a process."""
    rules = shipped_rules()
    negations = frozenset(rule.first for rule in rules if rule.task == NEGATION)
    return Lexicon((rule for rule in rules if rule.task != NEGATION), negations)


def _rules(text: str) -> Iterator[Rule]:
    task, weight = "", 0.0
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("["):
            task, _, number = line.strip("[]").partition(" ")
            weight = float(number)
        elif not line.startswith("#"):
            yield parse(line, task=task, weight=weight)


def _rule_words(part: str) -> list[str]:
    star_before, star_after = part.startswith("*"), part.endswith("*")
    words = _TOKEN.findall(part)
    if star_before:
        words[0] = f"*{words[0]}"
    if star_after:
        words[-1] = f"{words[-1]}*"
    return words


def _continues(rule: Rule, words: Sequence[str], at: int) -> bool:
    """Tell whether the rest of a rule follows its first word."""
    if rule.at_start and at and words[at - 1] not in _ENDS:
        return False
    for wanted, gap in rule.rest:
        at += 1
        if gap:
            within = range(at, min(at + REACH - 1, len(words)))
            at = next((place for place in within if _matches(wanted, words[place])), len(words))
        if at >= len(words) or not _matches(wanted, words[at]):
            return False
    return True


def _matches(pattern: str, word: str) -> bool:
    if pattern.startswith("*"):
        return len(word) >= len(pattern) and word.endswith(pattern[1:])
    if pattern.endswith("*"):
        return word.startswith(pattern[:-1])
    return word == pattern
