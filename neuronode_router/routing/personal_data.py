"""Personal data in texts, of kinds that a form or a check digit tells: which kinds there are, and nothing else.

E-mail addresses, telephone numbers, IBANs, payment cards, German tax and social security numbers. Names, addresses,
images and files are out of its scope. It must not know who asks, keeps nothing of what it read, and reads no more of
one request than `MOST` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from neuronode_router.routing import numbers_given, numbers_named
from neuronode_router.routing.fields import EXTRA
from neuronode_router.routing.one_keyboard import MARK, typed
from neuronode_router.routing.targets import FALLBACK_FIELDS, OVERRIDE


class PersonalDataKind(StrEnum):
    """What a text holds."""

    EMAIL = "email"
    PHONE = "phone"
    IBAN = "iban"
    CARD = "card"
    TAX_NUMBER = "tax_number"
    """Germany's identification number for taxes, and the number of a tax office."""
    SOCIAL_SECURITY_NUMBER = "social_security_number"
    """Germany's."""
    UNREADABLE = "unreadable"
    """Tokens in the place of text, or more than is read: whatever they say, nobody has read it."""


MOST = 5_000_000
"""Effort for one request, in parts of 40 ns or so. Counted, not timed: a request is read as far whenever it comes."""
VALUE, CHARACTER, NUMERIC = 10, 1, 8
"""Effort for what stands in a list or an object, for each of its characters, and once more for one near numbers."""
NAMED, LOOK, CALL = 40, 400, 2500
"""Effort for reading what a number is called, for judging what looks like personal data, and like a telephone number,
where four countries' plans count.
"""


class Effort:
    """How much more is read of one request."""

    def __init__(self) -> None:
        self.left = MOST

    def spend(self, amount: int) -> bool:
        """Take an amount, and return whether as much was left."""
        self.left -= amount
        return self.left >= 0


def kinds_in(body: Mapping[str, object]) -> frozenset[PersonalDataKind]:
    """Return the kinds of personal data in a body of any wire: in every string and key of it, and every whole number
    (4111.0 is one), but the name of the model, and the bytes of files. Never raises.
    """
    effort = Effort()
    texts = _texts(body, effort)
    if effort.left < 0:
        return frozenset({PersonalDataKind.UNREADABLE})
    found = kinds(texts, effort)
    return found | {PersonalDataKind.UNREADABLE} if _has_tokens(body) else found


def kinds(texts: Iterable[str], effort: Effort | None = None) -> frozenset[PersonalDataKind]:
    """Return the kinds of personal data in the texts, `UNREADABLE` where looking for more is too much. Never raises."""
    effort = effort or Effort()
    text = typed(APART.join(texts))
    found: set[PersonalDataKind] = set()
    if _has_email(text, effort):
        found.add(PersonalDataKind.EMAIL)
    if len(text) >= SHORTEST and (around := _around_numbers(text, effort)):
        found.update(_numbered(around, found, effort))
    return frozenset(found if effort.left >= 0 else found | {PersonalDataKind.UNREADABLE})


MODEL = "model"
"""What a body, and a fallback in it, names the operator's choices by: no text of a client's."""

PROMPTS = ("prompt", "input")
"""Where tokens may stand in the place of text."""
TOKENS = ("prompt_token_ids", "prompt_embeds", "input_ids", "input_embeds", "token_ids")
"""Where some servers take nothing else."""
NESTED = (EXTRA, OVERRIDE, *FALLBACK_FIELDS)
"""Where further bodies may stand in a body."""
_NESTED = frozenset(NESTED)
_TOKEN_FIELDS = frozenset({*TOKENS, *PROMPTS})

APART = "\n\n"
"""Between texts that are none together: no number goes on beyond an empty line."""

LONG = 1000
"""Characters from which on a string of nothing but base64's is a file: nobody writes so long without a space."""

SHORTEST = 7
"""Digits of the shortest number that tells anything."""

_BROKEN = r"[ \t]?\r?\n[ \t]{0,2}"
_RUN = re.compile(rf"\d(?:(?:[ \t()/._{MARK}-]{{0,5}}+\d){{6,}}+|(?<=[\s.-]\d)\d{{3}}{_BROKEN}\d{{4}}(?!\d))")
"""What every number of ours has, if only where a line ends within an IBAN. Little else has it, and only around it the
others are looked for.
"""

_EMPHASIS = re.compile(r"(?<!\w)_++|(?<!_)_++(?!\w)")
"""Underscores that join nothing, such as Markdown's: those within a name are part of it."""
_WITHIN = re.compile(
    rf"[\d+][ ()/.-]{{0,3}}{MARK}[{MARK} ()/.-]{{0,5}}[^\W_]|(?<![^\W_])[A-Za-z]{{2}}{MARK}++\d"
)
"""Where a mark may stand within a number."""
_TIMES = re.compile(rf"(?<=\d){MARK}(?=\d)|(?<!\S){MARK}++(?!\S)")
"""No emphasis: a single star between digits, and any between spaces."""
_LABEL = re.compile(
    r"(?<![^\W_])((?:[^\W\d_]{0,4}(?:fon|phone)|tel|mobile?|cell|handy|fax|ruf)(?:nr|nummer|number)?)_*+(?=[+(\[]{0,2}\d)"
    r"|(?<![^\W_])([^\W\d_]{0,8}(?:nr|nummer|number|karte|card)|no(?=_)|num|visa|amex|cc|kk)_*+(?=[+(\[]{0,2}\d)",
    re.IGNORECASE,
)
"""A word that says that one to call follows, or another number: what joins it to the number is part of neither. "NO93"
begins an account.
"""

_AS_FLOAT = re.compile(r"(?<=\d{7})\.0{1,6}(?![^\W_]|[./-]\w)")
"""Behind a whole number that a table keeps as another: one of a column with gaps, say."""

BEFORE, AFTER = 20, 30
"""Characters around a run that may belong to the number, or tell that it is none."""

_LOCAL = re.compile(r"[^\W_][\w.+-]{0,63}\Z|(?<![^\s<(,;=])\"[^\W_][^\"\n]{0,60}[^\W_]\"\Z")
_TOP = r"(?:xn--[\w-]{2,59}|[^\W\d_]{2,24})(?![^\W_]|-\d)"
_AT = re.compile(rf"(?<=[\w.+\"-])@_{{0,3}}(?:[^\W_](?:[\w-]{{0,61}}\w)?\.)+{_TOP}")
"""What makes an address of what is in front of it. A word may hang on it ("anna@firma.de-Adresse"), but "web.prod-1" is
a machine's name.
"""
_FILE_ENDING = re.compile(
    r"png|jpe?g|gif|svg|webp|avif|bmp|ico|css|scss|less|[cm]?jsx?|tsx?|json|html?|xml|t?gz|whl|jar|min|map|woff|ttf|exe"
    r"|dll",
    re.IGNORECASE,
)
"""None of them is a domain's: "logo@2x.min.png", "package@latest.tgz"."""
_TOP_LEVEL = re.compile(_TOP)
_USUAL = frozenset({"com", "org", "net", "info"})
_SEPARATOR = r"[ /.-]"

_IBAN = re.compile(
    rf"(?<!\d)(?=((?:[A-Za-z]{{2}}|[A-Z]{{2}} )[0-9]{{2}}(?:(?:[ \t.-]{{0,2}}|{_BROKEN})[0-9A-Za-z]){{11,30}}))"
)
"""Looked ahead for: in front of one may stand, without a space, a word or what looks like the beginning of one. Lines
may end within it, as in what was taken out of a PDF.
"""
_DOT = r"(?<!(?<![^\W\d_])\.)"
"""In front of a number a dot ends a word ("Tel.0170"), or it is part of a longer number."""
_NO_FRACTION = r"(?<![^\d,]0,)(?<!\A0,)"
"""Behind a comma is a column, or a fraction. Check digits tell them apart, but not well enough behind a nought."""
_START = r"(?<![\w/+-])" + _DOT + _NO_FRACTION
_END = r"(?!\w|[./-]\d)"
_CARD = re.compile(
    r"(?<![^\W_]|-)"
    + _DOT
    + _NO_FRACTION
    + r"(?:\d{15,16}|(?<![\w/-])\d{13,19}(?!\w|[./-]\d)|\d{4}( {1,3}|[.-])\d{4}\1\d{4}\1\d{1,7}"
    r"|\d{4}( {1,3}|[.-])\d{6}\2\d{4,5})(?![^\W_]|[.-]\d)"
)
"""Also as a part of a path or a name, where nearly all cards have 15 or 16 digits, and articles have 13."""
_TAX = re.compile(_START + r"[1-9]\d(?: ?\d{3}){3}" + _END)
_TAX_OFFICE = re.compile(_START + r"\d{2,3} ?/ ?\d{3,4} ?/ ?\d{4,5}" + _END)
_TAX_OFFICE_SHORT = re.compile(_START + r"\d{5} ?/ ?\d{5}" + _END)
"""Baden-Württemberg's form, which nothing tells from two postal codes but a word for taxes."""
_SOCIAL = re.compile(_START + r"\d\d[ -]?\d{6}[ -]?[A-Za-z][ -]?\d\d[ -]?\d" + _END)
_COUNTRY = r"(?:\+|00)[1-9]\d{0,2}"
_MOBILE = r"\+|01[5-7]\d{1,2}[ /-]?\d{7,8}(?![\d/.-])"
_NO_DECIMAL = (
    r"(?:(?<!\d,)|(?<=\d{4},)|(?<=,\d,)|(?<=,\d\d,)|(?<=,\d\d\d,)"
    rf"|(?=\(|\d{{1,6}}[ /()-]{{1,3}}\d|\d+,\S|{_MOBILE}))"
)
"""Without a check digit it is none where it has groups, where commas stand on both sides, or as a mobile number."""
_WORD_BEFORE = "|".join(rf"(?<=[^\d\s] \d{{{count}}} )" for count in (1, 2, 3, 4))
_BEGINS_ANEW = (
    rf"(?:(?<!\d[ :])|(?=\(|{_MOBILE})|(?<=\d-\d\d )|(?<=\d\.\d\d )|(?<=\d\.\d{{4}} )|(?<=\d:\d\d )"
    rf"|(?:{_WORD_BEFORE})(?=0[1-9]\d{{1,4}}[ /-]{{1,3}}\d{{5}}|01[5-7]\d{{1,2}}[ /-]))"
)
"""Behind digits and a blank stands more of their number, or an amount: but not behind a date or a time, where a mobile
number begins, or with groups that no amount has, behind a number of a house, a room or a customer ("Weg 5 030 901820").
"""
_PHONE = re.compile(
    rf"(?<![\w/-])(?:(?<!#)|(?={_MOBILE}))" + _DOT + rf"{_BEGINS_ANEW}{_NO_DECIMAL}"
    rf"(?:(?:{_COUNTRY}|\({_COUNTRY}\)|\[{_COUNTRY}\])(?:{_SEPARATOR}{{0,3}}(?:\(0?\)|\(\d{{2,5}}\)))?"
    rf"(?:{_SEPARATOR}{{0,3}}\d){{5,13}}"
    rf"|\(?0[1-9]\d{{1,4}}\)?{_SEPARATOR}{{0,3}}\d(?:{_SEPARATOR}?\d){{4,9}}"
    r"|(?:1[ .-])?(?:\([2-9]\d\d\) ?\d{3}[ .-]\d{4}|[2-9]\d\d([.-])\d{3}\1\d{4}))"
    r"(?![0-9a-fA-F_]|[./:-]\d|-[0-9a-f]{4}-|%)"
)


_TELLING = re.compile(rf"[(\[]?{_COUNTRY}|\(?{_MOBILE}")
"""Telephone numbers that hardly anything looks like."""
_SHORT = re.compile(r"\D?0\d{6,7}|[:=]0\d{8}", re.DOTALL)
"""Without groups, and with the sign in front: only behind a word of calling is it a telephone number."""

_BASE64 = r"[A-Za-z0-9+/_-]++(?:\r?\n[A-Za-z0-9+/_-]{60,}+)*+={0,2}+(?![@%&]|\.\w|\\u)"
"""In one line, or in as long ones as programs break it into. What goes on like an address is none."""
_FILE = re.compile(_BASE64)
_IN_URL = re.compile(rf"(?<=;base64,){_BASE64}")


def _texts(body: Mapping[str, object], effort: Effort) -> list[str]:
    """Return every string of a body but the names of models, and spend its effort; nothing where that is too much.

    A list of what is read would forget something.
    """
    texts: list[str] = []
    names: list[tuple[int, str]] = []
    stack: list[object] = [body]
    while stack and effort.left >= 0:
        item = stack.pop()
        if isinstance(item, Mapping):
            if effort.spend(2 * VALUE * len(item)):
                stack += (each for pair in item.items() if pair[0] != MODEL for each in pair)
                if isinstance(name := item.get(MODEL), str):
                    names.append((id(item), name))
                else:
                    stack.append(name)
        elif isinstance(item, list | tuple):
            if effort.spend(VALUE * len(item)):
                stack += item
        elif (text := _text_of(item)) is not None:
            texts.append(text)
            effort.spend(CHARACTER * len(text))
    if effort.left < 0:
        return []
    known = {id(each) for each in bodies(body)}
    return texts + [_legible(name) for owner, name in names if owner not in known]


def _text_of(item: object) -> str | None:
    """Return what stands in one place of a body, None where that is no text."""
    if isinstance(item, str):
        return _legible(item)
    if isinstance(item, int):
        return str(item)
    if isinstance(item, float):
        return str(int(item)) if item.is_integer() else None
    return None if item is None else _name_of(item)


def _name_of(upload: object) -> str | None:
    """Return the name of a file, as a form has it or as LiteLLM hands it on; None for what has none."""
    if isinstance(name := getattr(upload, "filename", None), str):
        return name
    name = getattr(upload, "name", None)
    return PurePath(name).name if isinstance(name, str) else None  # clients send no folders


def _legible(text: str) -> str:
    """Return a text without the bytes of files, which are out of our scope: those of data URLs, and those with which
    it begins, as all of `data` does in the formats of Anthropic and Gemini.
    """
    if len(text) >= LONG and (raw := _FILE.match(text)) and raw.end() >= LONG:
        text = text[raw.end() :]
    return _IN_URL.sub("", text) if ";base64," in text else text


def bodies(body: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """Yield a body and those in it."""
    stack: list[object] = [body]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            yield item
            if not _NESTED.isdisjoint(item):
                stack += (item[name] for name in NESTED if name in item)
                stack += _by_group(item)
        elif isinstance(item, list | tuple):
            stack += item


def _by_group(body: Mapping[str, object]) -> Iterator[object]:
    """Yield the fallbacks of a body that are written by the group that failed: `[{"group": [{"model": ...}]}]`."""
    for field in FALLBACK_FIELDS:
        entries = body.get(field)
        for entry in entries if isinstance(entries, list | tuple) else ():
            if isinstance(entry, Mapping) and not isinstance(entry.get(MODEL), str):
                # What is nested in it by its own name is found by that: twice, and each level would double the work.
                yield from (targets for group, targets in entry.items() if group not in NESTED)


def _has_tokens(body: Mapping[str, object]) -> bool:
    return any(
        any(each.get(name) for name in TOKENS) or any(_is_tokens(each.get(name)) for name in PROMPTS)
        for each in bodies(body)
        if not _TOKEN_FIELDS.isdisjoint(each)
    )


def _is_tokens(given: object) -> bool:
    """Return whether a prompt is, or one of several is, a list of numbers."""
    if not isinstance(given, list | tuple):
        return False
    firsts = (each[0] if isinstance(each, list | tuple) and each else each for each in given)
    return any(isinstance(first, int | float) for first in firsts)


def _has_email(text: str, effort: Effort) -> bool:
    text = text.replace(MARK, "")
    for found in _AT.finditer(text) if "@" in text else ():
        local = _LOCAL.search(text, max(0, found.start() - 64), found.start())
        is_name = local is not None and local[0] != "git"  # git@host is nobody
        if is_name and _is_domain(found[0], called=text.startswith("(", found.end())):
            return True
        if not effort.spend(LOOK):
            break
    return False


def _is_domain(name: str, *, called: bool) -> bool:
    """Return whether a name is a domain's, with endings of files behind it or not; and where a bracket follows, which
    calls a function in "a@b.sum()", whether it is one of a country or of the usual others.
    """
    _, *labels = name.rsplit(".", 8)
    count = len(labels)
    while labels and _FILE_ENDING.fullmatch(labels[-1]):
        labels.pop()
    if len(labels) < count and not any(map(_TOP_LEVEL.match, labels)):
        return False
    return not called or len(labels[-1]) == 2 or labels[-1].lower() in _USUAL


def _around_numbers(text: str, effort: Effort) -> str:
    """Return what stands around the runs, `APART` wherever something was left out; nothing where it is too much."""
    windows: list[str] = []
    end = 0
    for run in _RUN.finditer(text):
        start = max(run.start() - BEFORE, 0)
        window = text[max(start, end) : run.end() + AFTER]
        if not effort.spend(NUMERIC * len(window)):
            return ""
        windows += (window,) if start <= end else (APART, window)
        end = min(run.end() + AFTER, len(text))
    around = _AS_FLOAT.sub("", "".join(windows))
    return _both_ways(_EMPHASIS.sub(MARK, _LABEL.sub(_labelled, around)), effort)


def _both_ways(text: str, effort: Effort) -> str:
    """Return a text with its marks as ends of numbers, and what has some within a number once more without."""
    if MARK not in text:
        return text
    within = APART.join(part for part in text.split(APART) if _WITHIN.search(part))
    if not effort.spend(NUMERIC * len(within)):
        return ""
    return f"{text.replace(MARK, '*')}{APART}{_TIMES.sub('*', within).replace(MARK, '')}"


def _labelled(found: re.Match[str]) -> str:
    return f"{found[1]} " if found[1] else f"{found[2]}#"


def _numbered(text: str, known: set[PersonalDataKind], effort: Effort) -> Iterator[PersonalDataKind]:
    for form in _FORMS:
        seen: set[str] = set()
        for match in form.candidates.finditer(text) if form.kind not in known else ():
            candidate = match[0] or match[1]
            if candidate in seen:
                continue
            if form.may_be is not None and not (effort.spend(NAMED) and form.may_be(match)):
                continue
            if not effort.spend(form.cost):
                return
            if form.is_one(candidate):
                yield form.kind
                break
            seen.add(candidate)


def _in_front(match: re.Match[str]) -> str:
    return match.string[max(0, match.start() - BEFORE) : match.start()]


def _is_a_tax_offices(match: re.Match[str]) -> bool:
    return numbers_named.is_of_a_tax_office(_in_front(match))


def _is_no_files(match: re.Match[str]) -> bool:
    return not numbers_named.is_otherwise(_in_front(match), alone=True)


def _may_be_called(match: re.Match[str]) -> bool:
    """Return whether nothing in front says that it is no telephone number: of those without a country's code, which are
    no German mobile ones, some of the numbers of nearly all things look so.
    """
    number, front = match[0], _in_front(match)
    if _TELLING.match(number):
        return True
    if _SHORT.fullmatch(front[-1:] + number):
        return numbers_named.is_to_call(front)
    return not numbers_named.is_otherwise(front, alone=number.isdigit())


@dataclass(frozen=True, slots=True)
class _Form:
    """How the numbers of a kind are written, who judges them, and what that takes of the effort."""

    kind: PersonalDataKind
    candidates: re.Pattern[str]
    is_one: Callable[[str], bool]
    cost: int = LOOK
    may_be: Callable[[re.Match[str]], bool] | None = None
    """Whether what stands in front allows it; None where it does not matter."""


_FORMS = (
    _Form(PersonalDataKind.IBAN, _IBAN, numbers_given.is_iban),
    _Form(PersonalDataKind.CARD, _CARD, numbers_given.is_card),
    _Form(PersonalDataKind.TAX_NUMBER, _TAX, numbers_given.is_tax_number),
    _Form(PersonalDataKind.TAX_NUMBER, _TAX_OFFICE, numbers_given.is_tax_office_number, may_be=_is_no_files),
    _Form(
        PersonalDataKind.TAX_NUMBER,
        _TAX_OFFICE_SHORT,
        numbers_given.is_tax_office_number,
        may_be=_is_a_tax_offices,
    ),
    _Form(PersonalDataKind.SOCIAL_SECURITY_NUMBER, _SOCIAL, numbers_given.is_social_security_number),
    _Form(PersonalDataKind.PHONE, _PHONE, numbers_given.is_phone, CALL, _may_be_called),
)
