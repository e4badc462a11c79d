"""Find the label that an answer means.

It must not know tasks or JSON. Every step is linear in the length of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile

from neuronode_router.domain.normal_form import normalized

MAX_ANSWER_CHARACTERS = 65_536

_LETTERS = r"\w+#&%/$€"
"""What words are of. The signs kept tell labels such as C, C++ and C# apart."""
_NOT_IN_WORDS = re.compile(f"[^{_LETTERS}]+|_+")
_BETWEEN = re.compile(rf"(?:[^{_LETTERS}.,:]|_|\.(?!\w)|(?<!\w)\.|[,:](?!\d)|(?<!\d)[,:])+")
"""Between words, but for the points and colons within "Node.js", "1.5" and "10:30"."""
_BORDERS = re.compile("[.:;|()\n]|(?<=\\s)[-\u2013\u2014](?=\\s)")
_DASHES = str.maketrans("\u2013\u2014", "--")
_AROUND = " .:;|()-\n"
_CLAUSE_END = re.compile(rf"[.:;|\n-](?![{_LETTERS}])")
_ASIDE = re.compile(r"\([^()]*\)")
_FIRST_MARK = 0xF0000
"""Marks stand for labels within an answer; none is a letter, so no answer has one of its own."""
_MARK = re.compile(f"[{chr(_FIRST_MARK)}-{chr(_FIRST_MARK + 0xFFFD)}]")
_NEGATION = re.compile(
    r"\b(?:nicht\w*|kein\w*|weder|noch|nie|niemals|kaum|ohne|nein|gegenteil|alles andere als|"
    r"not|non|no|none|nothing|neither|nor|never|cannot|without|hardly|barely|scarcely|rarely|unlikely|opposite|"
    r"far from|anything but|(?:is|are|was|were|do|does|did|has|have|had|ca|could|wo|would|should|must|need|ai)n ?t)\b"
)


def plain(text: str) -> str:
    """Return `text` as lower-case words with single spaces between: the form in which labels are compared."""
    return _NOT_IN_WORDS.sub(" ", normalized("NFKC", text).casefold()).strip()


def find(answer: str, labels: Iterable[str]) -> str | None:
    """Return the one label that `answer` means, spelt as in `labels`, or None where that is none or several.

    A label that stands alone between punctuation wins ("Die Antwort ist: BULLISH"); otherwise the only label
    among the words, unless a negation stands there too. The points and brackets of a label are its own, as long as
    the answer has them as the label does. Never raises.
    """
    by_plain = {plain(label): label for label in labels}
    if whole := by_plain.get(plain(answer)):
        return whole
    forms = sorted(filter(None, by_plain), key=len, reverse=True)
    if not forms:
        return None
    marked = _marked(answer, [by_plain[form] for form in forms])
    meant = _meant(marked)
    if meant is None:
        return None
    form = forms[ord(meant) - _FIRST_MARK]
    said = {forms[ord(mark) - _FIRST_MARK] for mark in _MARK.findall(marked)}
    respelt = set(_among_words(forms).findall(plain(answer))) - said
    return None if any(f" {form} " in f" {other} " for other in respelt) else by_plain[form]


def stands_alone(label: str, answer: str) -> bool:
    """Return whether an answer says a label and then why, or leads up to it: "Positiv. Das Lob überwiegt.".

    Of numbers that is never said: their points are no ends of sentences. Never raises.
    """
    if not any(map(str.isalpha, plain(label))):
        return False
    clauses = _clauses(_marked(answer, [label]))
    return chr(_FIRST_MARK) in clauses[:1] + clauses[-1:]


def may_go_on(label: str, answer: str, labels: Iterable[str]) -> bool:
    """Return whether an answer ends with a label that begins another one. Never raises."""
    form = plain(label)
    return plain(answer).endswith(form) and any(
        plain(one) != form and plain(one).startswith(form) for one in labels
    )


def _meant(marked: str) -> str | None:
    """Return the mark that an answer means, None where it is none or several."""
    clauses = _clauses(marked)
    alone = {clause for clause in clauses if _MARK.fullmatch(clause)}
    if not alone:
        found = set(_MARK.findall(marked))
        return found.pop() if len(found) == 1 and not _negates(marked) else None
    mark = alone.pop()
    return None if alone or _contradicted(mark, clauses) else mark


def _contradicted(mark: str, clauses: Sequence[str]) -> bool:
    """Whether what leads up to a label says another ("It is bullish. Bearish."), or that it is not that one."""
    before = list(takewhile(lambda clause: clause != mark, clauses))
    others = [
        clause for clause in before if not _negates(clause) and len(set(_MARK.findall(clause)) - {mark}) == 1
    ]
    denied = (_NEGATION.fullmatch(plain(one)) for one, after in pairwise(clauses) if after == mark)
    return bool(others) or any(denied)


def _negates(text: str) -> bool:
    return _NEGATION.search(plain(text)) is not None


def _clauses(marked: str) -> list[str]:
    parts = (part.strip(_AROUND) for part in _CLAUSE_END.split(_ASIDE.sub(" ", marked)))
    return [part for part in parts if part]


def _marked(answer: str, labels: Iterable[str]) -> str:
    """Return an answer with a mark for each label said in it; of labels within one another the first one given."""
    patterns = "|".join(f"({_pattern(label)})" for label in labels)
    whole = rf"(?<![{_LETTERS}])(?<![{_LETTERS}][.,:])(?:{patterns})(?![{_LETTERS}]|[.,:][{_LETTERS}])"
    return re.sub(whole, lambda found: chr(_FIRST_MARK - 1 + (found.lastindex or 1)), _spelt(answer))


def _pattern(label: str) -> str:
    """A label's words, and between them its own borders or none: "risk on" is said for "risk-on"."""
    parts = re.split(f"([^{_LETTERS}]+)", _spelt(label).strip(_AROUND))
    own = (
        re.escape(part) if n % 2 == 0 or part == " " else f"(?:{re.escape(part)}| )"
        for n, part in enumerate(parts)
    )
    return "".join(own)


def _spelt(text: str) -> str:
    """Return `text` as lower-case words, and after each what ends a clause there, and a space."""
    return _BETWEEN.sub(
        lambda found: "".join(_BORDERS.findall(found[0])).translate(_DASHES) + " ",
        normalized("NFKC", text).casefold(),
    )


def _among_words(forms: Sequence[str]) -> re.Pattern[str]:
    """Longer labels come first, so that "high risk" is not also "risk"."""
    return re.compile(r"(?<!\S)(?:" + "|".join(map(re.escape, forms)) + r")(?!\S)")
