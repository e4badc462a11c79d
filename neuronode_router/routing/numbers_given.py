"""Whether a number may be somebody's: by its check digits, its country's form, or its numbering plan.

It must not know texts: a candidate comes as it is written, in the form that the pattern for its kind finds. Nothing is
kept of it.
"""

from __future__ import annotations

import re
from functools import cache

_DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{2,4}")

_BRACKETS = re.compile(r"\A[(\[]((?:\+|00)\d+)[)\]]")
"""Around the code of a country."""

_REGIONS = ("DE", "AT", "CH", "GB")
"""Where a number without the code of a country may be at home, if it begins with 0."""


def is_iban(candidate: str) -> bool:
    """Return whether a country has such accounts, and the check digits are right. What follows one does not matter."""
    from stdnum import iban
    from stdnum.iso7064 import mod_97_10

    written = re.sub(r"[\s.-]", "", candidate).upper()
    # Words in capitals may follow: the country says how long it is. The check digits alone rule nearly everything out.
    length = _iban_length(written[:2])
    written = written[:length]
    return (
        0 < length == len(written)
        and mod_97_10.checksum(written[4:] + written[:4]) == 1
        and iban.is_valid(written, check_country=False)  # lists of banks leave out some that have accounts
    )


@cache
def _iban_length(country: str) -> int:
    """Return how long a country's IBANs are, 0 where it has none, as with most of what begins alike."""
    from stdnum import numdb

    form = numdb.get("iban").info(country)[0][1].get("bban")
    return 4 + sum(map(int, re.findall(r"\d+", form))) if form else 0


def is_card(candidate: str) -> bool:
    """Return whether a payment network gives out such numbers, and the check digit is right."""
    from stdnum import ean, luhn

    digits = re.sub(r"\D", "", candidate)
    if len(digits) == 13 and ean.is_valid(digits):
        return False  # an article: German ones begin with 4 as well, and cards of this length are of the past
    return _is_issued(digits) and len(set(digits)) > 1 and luhn.is_valid(digits)


def _is_issued(digits: str) -> bool:
    """Return whether a payment network gives out such numbers: by their first digits and length (ISO/IEC 7812)."""
    size, four = len(digits), int(digits[:4])
    return (
        (digits[0] == "4" and size in (13, 16, 19))
        or (size == 16 and (5100 <= four <= 5599 or 2221 <= four <= 2720 or 3528 <= four <= 3589))
        or (size == 15 and four // 100 in (34, 37))
        or (size == 14 and (four // 100 in (36, 38) or 3000 <= four <= 3059))
        or (16 <= size <= 19 and (four == 6011 or 6440 <= four <= 6599))
    )


def is_tax_number(candidate: str) -> bool:
    """Return whether it is an identification number for taxes of Germany's."""
    from stdnum.de import idnr

    return bool(idnr.is_valid(candidate.replace(" ", "")))


def is_tax_office_number(candidate: str) -> bool:
    """Return whether a tax office of Germany's writes its numbers so."""
    from stdnum.de import stnr

    return bool(stnr.is_valid(candidate))


def is_social_security_number(candidate: str) -> bool:
    """Return whether date and check digit are right (VKVV, § 2 and § 4).

    The letter counts as two digits, its place in the alphabet; each digit is weighted, and the digits of the products
    are added up.
    """
    written = re.sub(r"[ -]", "", candidate).upper()
    day, month = int(written[2:4]), int(written[4:6])
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return False
    digits = written[:8] + f"{ord(written[8]) - 64:02}" + written[9:11]
    weighted = (int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True))
    return sum(sum(map(int, str(product))) for product in weighted) % 10 == int(written[11])


_WEIGHTS = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)


def is_phone(candidate: str) -> bool:
    """Return whether the numbering plan of its country, or of one of ours, has such a number."""
    import phonenumbers

    if _DATE.match(candidate) or re.sub(r"\D", "", candidate) in "0123456789":
        return False
    candidate = _BRACKETS.sub(r"\1 ", candidate)
    first = candidate.lstrip("(")[0]
    regions = (None,) if first == "+" else _REGIONS if first == "0" else ("US",)
    if candidate.startswith("00"):
        candidate, regions = "+" + candidate[2:], (None,)
    for region in regions:
        try:
            number = phonenumbers.parse(candidate, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return True
    return False
