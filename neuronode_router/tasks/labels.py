"""Find the label that an answer means.

It must not know tasks or JSON. Every step is linear in the length of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, takewhile

from neuronode_router.domain.normal_form import normalized

MAX_ANSWER_CHARACTERS = 65_536

_LETTERS = r"\w+#&%/$€"
"""What words are of. The signs kept tell labels such as C, C++ and C# apart."""
_NOT_IN_WORDS = re.compile(f"[^{_LETTERS}]+|_+")
_BETWEEN = re.compile(rf"(?:[^{_LETTERS}.,:]|_|\.(?!\w)|(?<!\w)\.|[,:](?!\d)|(?<!\d)[,:])+")
"""Between words, but for the points and colons within "Node.js", "1.5" and "10:30"."""
_BORDERS = re.compile("[.:;|()\n]|(?<=\\s)[-\u2013\u2014](?=\\s)")
_WORD = re.compile(rf"([{_LETTERS}]+)([^{_LETTERS}]*)")
"""And what stands between it and the next."""
_PAUSE = re.compile('[.,:;!?|()\n]|(?<=\\s)[-\u2013\u2014](?=\\s)|^[*"`\u201c\u201d\u00ab\u00bb]')
"""Stands somewhere between a word and the next where the first is more than a word of the sentence."""
_SHORT = 2
"""Letters of labels that may be words of any sentence: "a", "I", "no", "in", "ab"."""
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


@dataclass(frozen=True, slots=True)
class LabelPlace:
    """Where an answer says a label, in what all ways of writing it have in common: letters, digits and signs."""

    letters: str
    """Those of the label, as `letters_of` gives them."""
    after: int
    """How many follow in the answer."""


@dataclass(frozen=True, slots=True)
class SaidLabel:
    """The label that an answer means."""

    label: str
    place: LabelPlace


def letters_of(text: str) -> str:
    """Return the letters, digits and signs of a text, in the form in which labels are compared. Never raises."""
    return plain(text).replace(" ", "")


def find(answer: str, labels: Iterable[str]) -> SaidLabel | None:
    """Return the one label that `answer` means, spelt as in `labels`, or None where that is none or several.

    A label that stands alone between punctuation wins ("Die Antwort ist: BULLISH"); otherwise the only label
    among the words, unless a negation stands there too. One or two letters are a label only before a pause: in "a word"
    A is none. The points and brackets of a label are its own, as long as the answer has them as the label does. Never
    raises.
    """
    by_plain = {plain(label): label for label in labels}
    if whole := by_plain.get(plain(answer)):
        return SaidLabel(whole, LabelPlace(letters_of(answer), 0))
    forms = sorted(filter(None, by_plain), key=len, reverse=True)
    if not forms:
        return None
    marked = _marked(answer, [by_plain[form] for form in forms])
    meant = _meant(marked.text)
    if meant is None:
        return None
    said = {forms[ord(mark) - _FIRST_MARK] for mark in _MARK.findall(marked.text)}
    respelt = set(_among_words(forms).findall(plain(answer))) - said
    form = forms[ord(marked.text[meant]) - _FIRST_MARK]
    if any(f" {form} " in f" {other} " for other in respelt):
        return None
    return SaidLabel(by_plain[form], marked.place(meant))


def stands_alone(label: str, answer: str) -> bool:
    """Return whether an answer says a label and then why, or leads up to it: "Positiv. Das Lob überwiegt.".

    Of numbers that is never said: their points are no ends of sentences. Never raises.
    """
    if not any(map(str.isalpha, plain(label))):
        return False
    clauses = [text for _, text in _clauses(_marked(answer, [label]).text)]
    return chr(_FIRST_MARK) in clauses[:1] + clauses[-1:]


def may_go_on(label: str, answer: str, labels: Iterable[str]) -> bool:
    """Return whether an answer ends with a label that begins another one. Never raises."""
    form = plain(label)
    return plain(answer).endswith(form) and any(
        plain(one) != form and plain(one).startswith(form) for one in labels
    )


def _meant(marked: str) -> int | None:
    """Return where the mark stands that an answer means, None where it is none or several."""
    clauses = list(_clauses(marked))
    alone = [(at, clause) for at, clause in clauses if _MARK.fullmatch(clause)]
    if not alone:
        found = {mark[0]: mark.start() for mark in reversed([*_MARK.finditer(marked)])}
        return found.popitem()[1] if len(found) == 1 and not _negates(marked) else None
    at, mark = alone[0]
    one = all(clause == mark for _, clause in alone)
    return at if one and not _contradicted(mark, [clause for _, clause in clauses]) else None


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


def _clauses(marked: str) -> Iterator[tuple[int, str]]:
    """Yield where each clause begins, and the clause; what stands in brackets is none."""
    text = _ASIDE.sub(lambda aside: " " * len(aside[0]), marked)
    begin = 0
    for end in [*(border.span() for border in _CLAUSE_END.finditer(text)), (len(text), len(text))]:
        part = text[begin : end[0]]
        if clause := part.strip(_AROUND):
            yield begin + part.index(clause), clause
        begin = end[1]


@dataclass(frozen=True, slots=True)
class _Marked:
    """An answer with a mark for each label said in it."""

    text: str
    spelt: str
    """Without marks."""
    spans: Sequence[tuple[int, int]]
    """Where in that each mark's label is."""

    def place(self, at: int) -> LabelPlace:
        """Return the place of the mark at `at` of the text."""
        begin, end = self.spans[len(_MARK.findall(self.text, 0, at))]
        return LabelPlace(letters_of(self.spelt[begin:end]), len(letters_of(self.spelt[end:])))


def _marked(answer: str, labels: Sequence[str]) -> _Marked:
    """Return an answer with its labels marked; of labels within one another the first one given."""
    patterns = "|".join(f"({_pattern(label)})" for label in labels)
    whole = rf"(?<![{_LETTERS}])(?<![{_LETTERS}][.,:])(?:{patterns})(?![{_LETTERS}]|[.,:][{_LETTERS}])"
    short = {
        n for n, label in enumerate(labels, start=1) if len(plain(label)) <= _SHORT and plain(label).isalpha()
    }
    spelt = _spelt(answer)
    paused = _paused(answer, spelt) if short else ()
    spans: list[tuple[int, int]] = []

    def mark(found: re.Match[str]) -> str:
        number = found.lastindex or 1
        if number in short and not paused[found.end()]:
            return found[0]
        spans.append(found.span())
        return chr(_FIRST_MARK - 1 + number)

    return _Marked(re.sub(whole, mark, spelt), spelt, spans)


def _paused(answer: str, spelt: str) -> Sequence[bool]:
    """Return for each place in an answer as spelt whether a pause follows what stands before it."""
    before, pauses = 0, set()
    for word, between in _WORD.findall(normalized("NFKC", answer).casefold()):
        before += len(letters_of(word))
        if _PAUSE.search(between):
            pauses.add(before)
    pauses.add(before)  # the end
    counts = accumulate((not _NOT_IN_WORDS.match(char) for char in spelt), initial=0)
    return [count in pauses for count in counts]


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
