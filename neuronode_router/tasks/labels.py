"""Find the label that an answer means.

It must not know tasks or JSON. Every step is linear in the length of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from neuronode_router.domain.normal_form import normalized

MAX_ANSWER_CHARACTERS = 65_536

_NOT_IN_WORDS = re.compile(r"[^\w+#&%/$€]+|_+")
"""Between words. The signs kept tell labels such as C, C++ and C# apart."""
_CLAUSE_END = re.compile("[.:;\n|]|\\s[-\u2013\u2014]\\s")
_ASIDE = re.compile(r"\([^()]*\)")
_NEGATION = re.compile(r"\b(?:nicht|kein\w*|weder|noch|not|no|neither|nor|never|isn|aren|doesn)\b")


def plain(text: str) -> str:
    """Return `text` as lower-case words with single spaces between: the form in which labels are compared."""
    return _NOT_IN_WORDS.sub(" ", normalized("NFKC", text).casefold()).strip()


def find(answer: str, labels: Iterable[str]) -> str | None:
    """Return the one label that `answer` means, spelt as in `labels`, or None where that is none or several.

    A label that stands alone between punctuation wins ("Die Antwort ist: BULLISH"); otherwise the only label
    among the words, unless a negation stands there too. Never raises.
    """
    by_plain = {plain(label): label for label in labels}
    if whole := by_plain.get(plain(answer)):
        return whole
    alone = by_plain.keys() & _clauses(answer)
    if not alone:
        text, pattern = plain(answer), _among_words(by_plain)
        alone = set(pattern.findall(text))
        if _NEGATION.search(pattern.sub("", text)):
            return None
    return by_plain[alone.pop()] if len(alone) == 1 else None


def stands_alone(label: str, answer: str) -> bool:
    """Return whether an answer says a label and then why, or leads up to it: "Positiv. Das Lob überwiegt.".

    Of numbers that is never said: their points are no ends of sentences. Never raises.
    """
    form = plain(label)
    if not any(map(str.isalpha, form)):
        return False
    clauses = [found for found in _clauses(answer) if found]
    return form in (clauses[:1] + clauses[-1:])


def _clauses(answer: str) -> list[str]:
    return [plain(clause) for clause in _CLAUSE_END.split(_ASIDE.sub(" ", answer))]


def _among_words(forms: Iterable[str]) -> re.Pattern[str]:
    """Longer labels first, so that "high risk" is not also "risk"."""
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile(r"(?<!\S)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\S)")
