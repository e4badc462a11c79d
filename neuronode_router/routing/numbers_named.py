"""What the words in front of a number say that it is: one to call, one of a tax office, or one of another kind.

It must not know the number's own form, nor whose text it is. What comes is the end of what stands in front, as it is
written; nothing is kept of it. Words are German and English, and a word that is cut off is read as it stands.
"""

from __future__ import annotations

import re

_JOINTS = " \t\"'`:=#*.\\([>-"
"""Between a word, or a field's name, and its number: on one line."""
_WORD = re.compile(r"[^\W_]+")

_NUMBER = r"[ ._-]{0,2}(?:nr|nummern?|numbers?|no|num|ids?|codes?|key)"
_STANDARDS = r"(?:isbn|issn|pzn|ean|gtin|gln|upc|sku|asin|imei|wkn|s/n|sn)(?:[ -]?1?\d)?"
_GERMAN = (
    r"[^\W\d_]{0,14}(?:konto|kto|bestell(?:ungs)?|auftrags?|artikel|art|kunden|rechnungs?|liefer(?:schein|anten)?"
    r"|sendungs?|paket|ticket|chargen|serien|material|teile?|produkt|mandats?|mandanten|vorgangs?|vertrags?|policen?"
    r"|versicherungs?|schein|beleg|dokument(?:en)?|debitor(?:en)?|kreditor(?:en)?|mitglieds?|matrikel|patienten|zähler"
    r"|inventar|geräte|flug|transaktions?|buchungs?|projekt|referenz)"
)
"""Also at the end of a longer word ("Ersatzteilnummer"). No number to call is called by one of them."""
_ENGLISH = (
    r"(?:account|order|invoice|customer|client|item|part|product|article|serial|batch|lot|tracking|shipment|parcel"
    r"|ticket|case|contract|policy|member(?:ship)?|patient|employee|document|catalog|model|flight|transaction|booking"
    r"|project|reference|ref)"
)
_FILES = r"(?:akten|geschäfts)?zeichen|az|gz"
_OTHERWISE = re.compile(
    rf"{_STANDARDS}|(?:{_GERMAN}|{_ENGLISH}){_NUMBER}|{_FILES}|ids?|[^\W_]*(?-i:[a-z]I[Dd]s?)",
    re.IGNORECASE,
)
_ALONE = re.compile(
    r"bestellung|auftrag|artikel|rechnung|lieferschein|sendung|paket|ticket|charge|(?:sach|giro)?konto|kto"
    r"|(?:ersatz)?teil|material|mandat|(?:mandats)?referenz|vertrag|vorgang|projekt|beleg|debitor|kreditor|order"
    r"|invoice|item|part|batch|lot|tracking|case|project|ref",
    re.IGNORECASE,
)
_TO_CALL = re.compile(r"fon|phone|fax|mobil|handy|hotline|wahl|ruf|call|whatsapp|\btel\b", re.IGNORECASE)
_TAXES = re.compile(r"[^\W\d_]{0,10}st(?:euer)?[. -]{0,2}(?:nr|nummer)|finanzamt|fa", re.IGNORECASE)


def is_otherwise(front: str, *, alone: bool) -> bool:
    """Return whether the last word is a name of other numbers, or says only what they are of, where that is enough."""
    return _ends_in(front, _OTHERWISE, _ALONE) if alone else _ends_in(front, _OTHERWISE)


def is_to_call(front: str) -> bool:
    """Return whether any word is one of calling."""
    return _TO_CALL.search(front) is not None


def is_of_a_tax_office(front: str) -> bool:
    """Return whether the last word is the name of a number for taxes, or an office's."""
    return _ends_in(front, _TAXES)


def _ends_in(front: str, *names: re.Pattern[str]) -> bool:
    named = front.rstrip(_JOINTS)
    if not named[-1:].isalnum():
        return False
    begins = [word.start() for word in _WORD.finditer(named)]
    return any(name.fullmatch(named, begin) for name in names for begin in begins)
