"""What a form or a check digit tells of personal data: in any spelling that people use, and not by accident."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iban, luhn

from neuronode_router.routing.personal_data import PersonalDataKind as Kind
from neuronode_router.routing.personal_data import kinds, kinds_in

WRITTEN = [
    (Kind.EMAIL, "Bitte an anna.meyer+rechnung@firma-nord.de schicken."),
    (Kind.EMAIL, "<jörg@münchen.example>"),
    (Kind.EMAIL, "mailto:o'neil@mail.example.co.uk"),
    (Kind.PHONE, "Tel.: 030 901820"),
    (Kind.PHONE, "Ruf mich an: 0170/1234567"),
    (Kind.PHONE, "mobil 0176 1234 5678, danke"),
    (Kind.PHONE, "+49 (0)30 / 90 18 20"),
    (Kind.PHONE, "+49-89-636-48018"),
    (Kind.PHONE, "0049 89 63648018"),
    (Kind.PHONE, "(089) 636-48018"),
    (Kind.PHONE, "call (212) 555-2368 please"),
    (Kind.PHONE, "call +1 212-555-2368"),
    (Kind.PHONE, "phone: 020 7946 0018"),
    (Kind.PHONE, "+43 1 4000 4001"),
    (Kind.IBAN, "IBAN: DE89 3704 0044 0532 0130 00"),
    (Kind.IBAN, "DE89370400440532013000"),
    (Kind.IBAN, "de89 3704 0044 0532 0130 00 BIC COBADEFFXXX"),
    (Kind.IBAN, "GB29 NWBK 6016 1331 9268 19"),
    (Kind.IBAN, "AT61-1904-3002-3457-3201."),
    (Kind.CARD, "4111 1111 1111 1111"),
    (Kind.CARD, "card 5500-0000-0000-0004, exp 12/29"),
    (Kind.CARD, "378282246310005"),
    (Kind.CARD, "3782 822463 10005"),
    (Kind.TAX_NUMBER, "Steuer-ID 36 574 261 809"),
    (Kind.TAX_NUMBER, "IdNr. 36574261809"),
    (Kind.TAX_NUMBER, "Steuernummer 181/815/08155"),
    (Kind.SOCIAL_SECURITY_NUMBER, "SV-Nummer 15 070649 C 10 3"),
    (Kind.SOCIAL_SECURITY_NUMBER, "15070649C103"),
]
"""Numbers that their owners, or the makers of examples, have published."""

NOTHING = [
    "Am 24.12.2026 um 18:30 Uhr, Raum 4711, Rechnung 2026-00012345",
    "ISBN 978-3-16-148410-0, DOI 10.1000/182",
    "Latitude 52.520008, longitude 13.404954; 1,234,567.89 EUR; 3.14159265358979",
    "192.168.100.200 2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "550e8400-e29b-41d4-a716-446655440000 d41d8cd98f00b204e9800998ecf8427e",
    "0123456789 and 0x7fffffffffff and 1700000000 and 1700000000000",
    "git@github.com:org/repo.git, @app.get('/x'), a @ b, foo@localhost",
    "DE88 3704 0044 0532 0130 00",
    "4111 1111 1111 1112",
    "0000 0000 0000 0000",
    "Steuer-ID 36 574 261 808",
    "15 070649 C 10 4",
    "15 990649 C 10 3",
    "Der Umsatz stieg von 1 200 000 auf 3 400 000 Euro.",
]


@pytest.mark.parametrize(("kind", "text"), WRITTEN, ids=lambda said: str(said)[:40])
def test_it_is_recognised_as_people_write_it(kind: Kind, text: str) -> None:
    """Alone, in a sentence and in a document; of one kind, and of no other."""
    assert kinds([text]) == {kind}
    assert kinds([f"Sehr geehrte Damen und Herren,\n{text}\nMit freundlichen Grüßen"]) == {kind}
    assert kinds(["nothing here", f'{{"note": "{text}"}}']) == {kind}


@pytest.mark.parametrize("text", NOTHING)
def test_what_looks_alike_is_none(text: str) -> None:
    """Dates, amounts, addresses of machines, identifiers, and numbers whose check digit is wrong."""
    assert kinds([text]) == frozenset()


DIGITS = st.text("0123456789", min_size=10, max_size=10)
PROSE = st.text(st.characters(codec="utf-8", exclude_categories=("Nd", "Lu", "Ll")), max_size=40)


def grouped(number: str, by: int, separator: str) -> str:
    """Return a number in groups."""
    return separator.join(number[at : at + by] for at in range(0, len(number), by))


@given(DIGITS, DIGITS, st.sampled_from(["", " ", "-", "\u00a0"]))
def test_any_german_account_is_found(first: str, second: str, separator: str) -> None:
    """Every bank and account, in any grouping; one wrong digit, and it is no account."""
    account = (first + second)[:18]
    checked = f"DE{98 - int(account + '131400') % 97:02}{account}"
    assert iban.is_valid(checked)
    wrong = checked[:-1] + str((int(checked[-1]) + 1) % 10)

    assert Kind.IBAN in kinds([f"Bitte überweisen: {grouped(checked, 4, separator)}, danke"])
    assert Kind.IBAN not in kinds([f"Bitte überweisen: {grouped(wrong, 4, separator)}, danke"])


@given(st.text("0123456789", min_size=14, max_size=14), st.sampled_from(["", " ", "-"]))
def test_any_visa_card_is_found(digits: str, separator: str) -> None:
    """By its check digit."""
    number = "4" + digits
    number += luhn.calc_check_digit(number)
    found = kinds([f"Karte {grouped(number, 4, separator)} bis 12/29"])

    assert (Kind.CARD in found) is (len(set(number)) > 1)


@given(PROSE, PROSE, st.sampled_from(WRITTEN))
def test_what_stands_around_hides_nothing(before: str, after: str, written: tuple[Kind, str]) -> None:
    """Any signs on the lines before and after."""
    kind, text = written

    assert kind in kinds([f"{before}\n{text}\n{after}"])


@given(st.lists(st.text(max_size=200), max_size=5))
def test_any_text_is_read(texts: list[str]) -> None:
    """Nothing makes it fail, and the order of texts means nothing."""
    assert kinds(texts) == kinds(reversed(texts))


MAIL = "anna.meyer@firma.de"


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": MAIL}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": MAIL}]}]},
        {"system": [{"type": "text", "text": MAIL}], "messages": []},
        {"instructions": MAIL, "input": "hi"},
        {"input": [{"type": "function_call_output", "call_id": "1", "output": MAIL}]},
        {"input": ["hi", MAIL]},
        {"prompt": ["hi", MAIL]},
        {"contents": [{"parts": [{"functionResponse": {"name": "x", "response": {"to": MAIL}}}]}]},
        {"query": MAIL, "documents": ["a", "b"]},
        {"query": "who", "documents": ["a", {"text": MAIL}]},
        {"query": "who", "documents": ["a", MAIL]},
        {"messages": [], "tools": [{"type": "function", "function": {"name": "a", "description": MAIL}}]},
        {"messages": [], "extra_body": {"documents": [MAIL]}},
        {"messages": [], "user": MAIL},
        {"messages": [], "safety_identifier": MAIL},
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": f'{{"to": "{MAIL}"}}'}}]}]},
    ],
    ids=lambda body: ",".join(body),
)  # fmt: skip
def test_every_wire_is_read(body: dict[str, object]) -> None:
    """Wherever a body of any format holds text that is sent."""
    assert kinds_in(body) == {Kind.EMAIL}


def test_what_litellm_adds_is_no_part_of_it() -> None:
    """The caller's own address, in LiteLLM's notes, goes to no provider."""
    noted = {"metadata": {"user_api_key_user_email": MAIL}, "proxy_server_request": {"body": {"x": MAIL}}}

    assert kinds_in({"messages": [{"role": "user", "content": "hi"}], **noted}) == frozenset()
