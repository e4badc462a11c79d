"""What a form or a check digit tells of personal data: in any spelling that people use, and not by accident."""

from __future__ import annotations

import io
import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import ean, iban, luhn

from neuronode_router.routing import personal_data
from neuronode_router.routing.fields import CHECKED
from neuronode_router.routing.personal_data import MODEL, kinds, kinds_in
from neuronode_router.routing.personal_data import PersonalDataKind as Kind
from tests.support.work import steps

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
    (Kind.EMAIL, "mailto:anna%40firma.de"),
    (Kind.EMAIL, "anna&#64;firma.de"),
    (Kind.EMAIL, "an anna\\u0040firma.de"),
    (Kind.EMAIL, "anna\uff20firma.de"),
    (Kind.EMAIL, "jo\u0308rg@mu\u0308ller.de"),
    (Kind.EMAIL, "anna\u200b@firma.de"),
    (Kind.EMAIL, "anna@firma.xn--p1ai"),
    (Kind.PHONE, "Telefon:0171 1234567"),
    (Kind.PHONE, "tel:+491711234567"),
    (Kind.PHONE, "tel=01711234567&x=1"),
    (Kind.PHONE, "tel=%2B49171%201234567"),
    (Kind.PHONE, "0171 1234567,0172 7654321"),
    (Kind.PHONE, "4711,01711234567,Berlin"),
    (Kind.PHONE, "Meyer,0171 1234567,5"),
    (Kind.PHONE, "\u202d+49 171 1234567\u202c"),
    (Kind.PHONE, "\uff10\uff11\uff17\uff11 \uff11\uff12\uff13\uff14\uff15\uff16\uff17"),
    (Kind.PHONE, "Telefon\n0171 1234567"),
    (Kind.IBAN, "IBAN: DE89 3704 0044 0532 0130 00"),
    (Kind.IBAN, "IBAN=DE89.3704.0044.0532.0130.00"),
    (Kind.IBAN, "DE89\t3704\t0044\t0532\t0130\t00"),
    (Kind.IBAN, "DE89  3704  0044  0532  0130  00"),
    (Kind.CARD, "card:4111.1111.1111.1111"),
    (Kind.CARD, "Visa,4111111111111111,12/29"),
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
    (Kind.EMAIL, "mail: anna@firma.de-"),
    (Kind.EMAIL, "anna@firma.de_alt"),
    (Kind.PHONE, "Tel.01701234567"),
    (Kind.PHONE, "Nr.0170 1234567"),
    (Kind.CARD, "4111  1111  1111  1111"),
    (Kind.CARD, "Kartennr.4111111111111111"),
    (Kind.IBAN, "IBANDE89370400440532013000"),
    (Kind.TAX_NUMBER, "Steuer-ID.36574261809"),
    (Kind.CARD, "nr_4111111111111111"),
    (Kind.CARD, "scan_4111111111111111_front.jpg"),
    (Kind.CARD, "https://shop.example/v1/cards/4111111111111111/12?x=1"),
    (Kind.CARD, "GET /cards/4111-1111-1111-1111 HTTP/1.1"),
    (Kind.CARD, "4111111111111111/12/29"),
    (Kind.IBAN, "KontoDE89370400440532013000bitte"),
    (Kind.IBAN, "Ref AB12 auf DE89 3704 0044 0532 0130 00"),
    (Kind.PHONE, "#0171 1234567"),
    (Kind.PHONE, "Kunden_Nr_01711234567"),
    (Kind.PHONE, "telefon_030 901820"),
    (Kind.TAX_NUMBER, "steuernr_36574261809"),
    (Kind.EMAIL, "die info@firma.de-Adresse"),
    (Kind.EMAIL, "an anna@firma.com-mail"),
    (Kind.IBAN, "IBAN: DE89\n3704 0044 0532 0130 00"),
    (Kind.IBAN, "DE89 3704 0044 0532 \r\n 0130 00"),
    (Kind.IBAN, "DE89\n3704\n0044\n0532\n0130\n00"),
    (Kind.IBAN, "NL91 ABNA 0417\n1643 00"),
    (Kind.CARD, "4222222222222"),
    (Kind.CARD, "id,card,name\n1001,4111111111111111,Anna"),
    (Kind.CARD, "[1,4111111111111111]"),
    (Kind.CARD, "17,4111-1111-1111-1111,x"),
    (Kind.TAX_NUMBER, "17,36574261809,Anna"),
    (Kind.TAX_NUMBER, "1,181/815/08155"),
    (Kind.SOCIAL_SECURITY_NUMBER, "7,15070649C103"),
    (Kind.PHONE, "7,+491711234567"),
    (Kind.PHONE, "7,0171 1234567"),
    (Kind.PHONE, "7,01711234567"),
    (Kind.PHONE, "7,030901820,Anna"),
    (Kind.PHONE, "Anna,12,030901820"),
    (Kind.PHONE, "12,(212) 555-2368"),
    (Kind.PHONE, "1 (212) 555-2368"),
    (Kind.PHONE, "1-212-555-2368"),
    (Kind.PHONE, "0171&ndash;1234567"),
    (Kind.PHONE, "0171&thinsp;1234567"),
    (Kind.EMAIL, "anna&shy;@firma&period;de"),
    (Kind.EMAIL, "anna@firma.de\u00b9"),
    (Kind.CARD, "4111 1111 1111 1111\u00b2"),
    (Kind.PHONE, "Zimmer 3 **0171 1234567**"),
    (Kind.EMAIL, "anna@_firma_.de"),
    (Kind.EMAIL, "an ~~anna~~@firma.de"),
    (Kind.IBAN, "GB29 **NWBK** 6016 1331 9268 19"),
    (Kind.IBAN, "DE**89** 3704 0044 0532 0130 00"),
    (Kind.CARD, "4111111111111111.0"),
    (Kind.TAX_NUMBER, "Anna;36574261809.00;Berlin"),
    (Kind.PHONE, "+491711234567.0"),
    (Kind.EMAIL, "anna@firma.de.pdf und anna@firma.de.min.js"),
    (Kind.EMAIL, "anna@firma.de_alt.png"),
    (Kind.EMAIL, "anna@firma.de_12.1.json"),
    (Kind.EMAIL, "anna@firma.de(neu)"),
    (Kind.IBAN, "DE 89 3704 0044 0532 0130 00"),
    (Kind.IBAN, "Konto BE68 5390 0754 7034"),
    (Kind.TAX_NUMBER, "Steuernummer: 93815/08152"),
    (Kind.TAX_NUMBER, "St.-Nr. 93815 / 08152"),
    (Kind.TAX_NUMBER, "181 / 815 / 08155"),
    (Kind.TAX_NUMBER, "IdNr36574261809"),
    (Kind.SOCIAL_SECURITY_NUMBER, "SVNR15070649C103"),
    (Kind.IBAN, "NO9386011117947"),
    (Kind.TAX_NUMBER, "StNr.:181/815/08155"),
    (Kind.PHONE, "TelNr: 030 901820"),
    (Kind.PHONE, "Kundentelefon 030901820"),
    (Kind.PHONE, "Rufnummer: 030901820"),
    (Kind.PHONE, "Notfallnummer 030901820"),
    (Kind.PHONE, "meine Nummer: 030 901820"),
    (Kind.PHONE, "Bestellung: 030 901820"),
    (Kind.PHONE, "Kunde 030901820"),
    (Kind.PHONE, "David 030901820"),
    (Kind.PHONE, "Madrid: 030 901820"),
    (Kind.PHONE, "Kundennummer +49 30 901820"),
    (Kind.PHONE, "Kunden-Nr. 01711234567"),
    (Kind.PHONE, "Tel. 08912345"),
    (Kind.PHONE, "telefon=030901820"),
    (Kind.PHONE, "phone: 08912345"),
    (Kind.TAX_NUMBER, "Finanzamt 181/815/08155"),
    (Kind.PHONE, "Musterstr. 5 0170 1234567"),
    (Kind.PHONE, "Musterstr. 5 0176 1234 5678"),
    (Kind.PHONE, "10115 Berlin, Hauptstr. 12 030 90182000"),
    (Kind.PHONE, "Zimmer 12 089 12345678"),
    (Kind.PHONE, "Zimmer 12 (089) 123456"),
    (Kind.PHONE, "Kunde 4711 030/901820"),
    (Kind.PHONE, "2024-01-02 0170 1234567"),
    (Kind.PHONE, "02.01.24 030 901820"),
    (Kind.PHONE, "2.1.2024 030 901820"),
    (Kind.PHONE, "14:30 +49 170 1234567"),
    (Kind.PHONE, "2024-11-30 18:05:43 030901820"),
    (Kind.PHONE, "1 01711234567"),
    (Kind.PHONE, "(+49) 30 901820"),
    (Kind.PHONE, "Tel(+49)1701234567"),
    (Kind.PHONE, "(0049) 89/123456"),
    (Kind.PHONE, "[+49] 170 1234567"),
    (Kind.PHONE, "(+49) (0)89 12345678"),
    (Kind.PHONE, "(+1) 212 555 2368"),
    (Kind.PHONE, "Telefon089 1234567"),
    (Kind.PHONE, "Tel089/1234567"),
    (Kind.PHONE, "Telefonnummer_030 901820"),
    (Kind.CARD, "Visa4111111111111111"),
    (Kind.CARD, "Kreditkarte4111111111111111"),
    (Kind.EMAIL, "anna@firma.com(privat)"),
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
    "Kurs 1,0301234567 und 13,0404954123; um 12:0171234567; 100%20 von 50 % & mehr",
    "Am 01.02.\u201305.03.2026, S. 171\u2013173, 2019\u20132020; '@scope/name@1.2.3'; \\usepackage; \"Berlin\"@de",
    "order=01234567 id:012345678, 05717284-8a3c-4e55-b716-446655440000 05717284-abcd-4e55-b716-446655440000",
    "01712345678abc9c1e0f",
    '{"note": "@app.get v1.2.1", "decorator": "@app.get", "a": "b "@app.get}',
    "Der Umsatz stieg von 1 200 000 auf 3 400 000 Euro.",
    "x = .01701234567 + 0.4111111111111111, v1.01701234567; id_01701234567_x, root@web.prod-1",
    "Ticket #0301234567 und #00012345, nr_0301234567, order_12345678901, wer_0171 1234567",
    "/posts/4111111111111112/1, scan_4111111111111112.jpg, AB4111111111111111, 4111111111111111a",
    "KontoDE88370400440532013000bitte und xDE8937040044053201300",
    "https://shop.example.de/p/4039621723216 img_4039621723216_front.jpg",
    "Rechnung #01575/2024, Fall #0158-2024-0001, Issue #0172 / 2024-05-06, Case #016-2024-00123, Ticket #01612024",
    "Artikel EAN 4039621723216, Menge 3",
    "Rechnungsnummer_0152024001 border: #015577 10px; box-shadow: #017055 0 0 10px",
    "0,4111111111111111 und 0,36574261809; Wert;0,4111111111111111;0,0301234567;5",
    "0301 * 2345678, 2*0301*2345678, x = 4111*1111*1111*1111 und a ** 0301 ** 2345678",
    "4111\t1111\t1111\t1111\n03044\t1234567\t12",
    '<img srcset="logo@2x.png 2x, icon@3x.svg 3x, LOGO@2X.JPG, style@latest.min.css, app@2x.min.js.map">',
    "package@latest.tgz, foo@bar.js, pkg:npm/a@b.js-Datei",
    "loss = a@b.sum() + W@x.reshape(2,3) - a@b.grad.data.mean(0)",
    "Postleitzahlen 10115/10117, Teil 93815/08152, Sofa 93815/08152, DE 88 3704 0044 0532 0130 00",
    "Umsatz 12 030 901 820 EUR, Lotto 03 12 23 34 42 49, Teil 5 0301 234 567, Gutschein 4539 1488 0343 6468",
    "4111111111111111.5 und 36574261809.01, Version 36574261809.0.1",
    "**01067**: 1234567 *0301* 12 | `npm i`@latest, *@scope/name.js*, `@app.get`",
]


@pytest.mark.parametrize(("kind", "text"), WRITTEN, ids=lambda said: str(said)[:40])
def test_it_is_recognised_as_people_write_it(kind: Kind, text: str) -> None:
    """Alone, in a sentence and in a document; of one kind, and of no other."""
    assert kinds([text]) == {kind}
    assert kinds([f"Sehr geehrte Damen und Herren,\n{text}\nMit freundlichen Grüßen"]) == {kind}
    assert kinds(["nothing here", json.dumps({"note": text})]) == {kind}


@pytest.mark.parametrize("mark", ["_", "__", "*", "**", "`", "~~", "***"])
@pytest.mark.parametrize(("kind", "text"), WRITTEN, ids=lambda said: str(said)[:40])
def test_emphasis_hides_nothing(kind: Kind, text: str, mark: str) -> None:
    """As Markdown writes it, around the whole and around each line."""
    assert kinds([f"{mark}{text}{mark}"]) == {kind}
    assert kinds([f"- {mark}{text}{mark}, {mark}danke{mark}"]) == {kind}


SPACES = [sign for sign in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(sign) == "Zs"]
DASHES = [sign for sign in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(sign) == "Pd"]
GROUPS = [
    (Kind.PHONE, "0171 1234567"),
    (Kind.IBAN, "DE89 3704 0044 0532 0130 00"),
    (Kind.CARD, "4111 1111 1111 1111"),
]


@pytest.mark.parametrize("separator", ["/", ".", "\u2043", "\u2212", *SPACES, *DASHES], ids=ascii)
@pytest.mark.parametrize(("kind", "groups"), GROUPS)
def test_all_kinds_of_spaces_and_dashes_separate_alike(kind: Kind, groups: str, separator: str) -> None:
    """As word processors, copied contacts and statements of account write them: all that Unicode has."""
    if separator != "/" or kind is Kind.PHONE:
        assert kinds([f"bitte {groups.replace(' ', separator)} notieren"]) == {kind}


@pytest.mark.parametrize("mark", ["_", "__", "*", "**", "`", "~~", "***"])
@pytest.mark.parametrize(("kind", "groups"), GROUPS)
def test_emphasis_within_a_number_hides_nothing(kind: Kind, groups: str, mark: str) -> None:
    """Of any of its groups."""
    parts = groups.split()
    for at in range(len(parts)):
        written = [f"{mark}{part}{mark}" if place == at else part for place, part in enumerate(parts)]
        assert kind in kinds([f"bitte {' '.join(written)} notieren"])


def test_a_quoted_name_is_an_address_too() -> None:
    """As mail programs write names with spaces."""
    assert kinds(['an "anna schmidt"@firma.de']) == {Kind.EMAIL}


@pytest.mark.parametrize("text", NOTHING)
def test_what_looks_alike_is_none(text: str) -> None:
    """Dates, amounts, addresses of machines, identifiers, and numbers whose check digit is wrong."""
    assert kinds([text]) == frozenset()


OTHERWISE = [
    "ISBN 0306406152",
    "ISBN-10: 0306406152",
    "PZN 02239412, PZN - 02239412, PZN: 02239412",
    "GTIN 04006381333931",
    "ISSN 0374-9873",
    "Bestellnummer 0301234567",
    "Artikel-Nr.: 0301234567",
    "Ersatzteilnummer 0301 234567",
    "Kontonummer **0532013000**",
    "Konto 0532013000, Kto. 0532013000",
    "Kunden-Nr. 030/1234567",
    "S/N 0301234567",
    "AZ 030/1234567",
    "customer no. 0301234567, order_number=0301234567",
    '{"order_id": "0301234567", "invoiceId": "0301234567", "id": "0301234567", "orderNo": "0301234567"}',
    '{"arguments": "{\\"sku\\": \\"0301234567\\"}"}',
    "<sku>0301234567</sku>",
    "Teil-Nr. 555-123-4567",
    "Artikel;Menge\n01936506;3\n00081194;3\n05448440;3",
    "Aktenzeichen 227/113/28977, Az.: 123/456/78901, Unser Zeichen 201/123/12340",
    "Vertrag 83/165/03543, Vertragsnummer 21/815/08150, Projekt 12/345/67890",
]


@pytest.mark.parametrize("text", OTHERWISE)
def test_what_is_called_otherwise_is_no_telephone_number_and_no_tax_number(text: str) -> None:
    """Numbers without digits of check, whatever they begin with."""
    assert kinds([text]) == frozenset()
    assert kinds([f"Guten Tag,\n{text}\ndanke"]) == frozenset()


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


@given(st.text("0123456789", min_size=11, max_size=11))
def test_no_article_is_a_card(digits: str) -> None:
    """German articles have as many digits as cards of the past, and begin with the same one."""
    number = "4" + digits
    number += ean.calc_check_digit(number)

    assert kinds([f"Artikel EAN {number}, Menge 3"]) == frozenset()


def test_no_number_goes_on_in_another_text() -> None:
    """A line may end within an account, but texts that are none together make none."""
    assert kinds(["DE89 3704 0044 0532", "0130 00"]) == frozenset()
    assert kinds(["DE89 3704 0044 0532\n\n0130 00"]) == frozenset()


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
NAME = st.text("abcdefghij_", min_size=1, max_size=12).filter(lambda name: name != MODEL)


def nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Return what JSON may put around something."""
    among = st.lists(st.none() | st.booleans() | st.floats() | NAME, max_size=2)
    return (
        st.tuples(among, inner, among).map(lambda parts: [*parts[0], parts[1], *parts[2]])
        | st.dictionaries(NAME, inner, min_size=1, max_size=2)
        | st.tuples(NAME, inner).map(lambda pair: {"type": pair[0], "value": pair[1]})
    )


HIDDEN = st.recursive(st.sampled_from([MAIL, {MAIL: 1}, f"see {MAIL}."]), nested, max_leaves=4)


@given(st.sampled_from([*CHECKED - {MODEL}, "anything"]), HIDDEN)
def test_every_string_of_a_body_is_read(field: str, value: object) -> None:
    """Whatever the field, however deep, keys of objects included: there is no list that could forget one."""
    assert kinds_in({"model": "far", "messages": [{"role": "user", "content": "hi"}], field: value}) >= {
        Kind.EMAIL
    }


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [], "fallbacks": [{"model": "far", "messages": [{"role": "user", "content": MAIL}]}]},
        {"messages": [], "fallbacks": [{"model": [{"model": "far", "messages": [{"content": MAIL}]}]}]},
        {"messages": [{"role": "tool", "tool_call_id": MAIL, "content": "x"}]},
        {"messages": [{"content": [{"type": "file", "file": {"filename": MAIL, "file_data": "data:;base64,AA"}}]}]},
        {"messages": [{"content": [{"type": "image_url", "image_url": {"url": f"https://x.example/{MAIL}.png"}}]}]},
        {"messages": [{"content": [{"type": "image_url", "image_url": {"url": f"data:text/plain,{MAIL}"}}]}]},
        {"messages": [{"content": [{"type": "text", "text": "hi", "status": MAIL}]}]},
        {"messages": [{"tool_calls": [{"function": {"arguments": json.dumps({"to": MAIL})}}]}]},
        {"file": ("anna.meyer@firma.de.pdf", b"", "application/pdf")},
    ],
    ids=str,
)  # fmt: skip
def test_what_no_model_reads_is_sent_as_well(body: dict[str, object]) -> None:
    """Names, ids and addresses that a provider is sent, and bodies of fallbacks."""
    assert kinds_in(body) == {Kind.EMAIL}


def upload(name: str) -> io.BytesIO:
    """Return a file as LiteLLM hands it on."""
    file = io.BytesIO(b"RIFF")
    file.name = name
    return file


@pytest.mark.parametrize(
    "body", [{"file": upload(f"{MAIL}.wav")}, {"image": [upload(f"/home/us/{MAIL}.png")]}]
)
def test_the_names_of_uploads_are_read(body: dict[str, object]) -> None:
    """Of files to transcribe, and of images to edit."""
    assert kinds_in(body) == {Kind.EMAIL}


def test_the_folder_of_an_upload_stays_here() -> None:
    """So does what its name says."""
    assert kinds_in({"file": upload(f"/home/{MAIL}/speech.wav")}) == frozenset()


BYTES = "QUJD" * 400


@pytest.mark.parametrize(
    "text",
    [
        f"data:image/png;base64,iVBORw0KGgo=\nBitte an {MAIL}",
        f"data:image/png;base64,iVBORw0KGgo {MAIL}",
        f"data:image/png;base64,{BYTES}\n{BYTES}\n{MAIL}",
        f"data:;base64,{MAIL}",
        "data:;base64,anna\\u0040firma.de",
        "data:;base64,anna%40firma.de",
        f"{BYTES}\n{MAIL}",
        f"{BYTES}@firma.de",
        f"{MAIL} {BYTES}",
        f"![](data:image/png;base64,{BYTES}) {MAIL}",
    ],
    ids=lambda text: text.replace(BYTES, "BYTES"),
)
def test_what_stands_beside_a_file_is_read(text: str) -> None:
    """On the same line or the next one, and what begins like bytes and is an address."""
    assert kinds_in({"messages": [{"role": "user", "content": text}]}) == {Kind.EMAIL}


@pytest.mark.parametrize("end", ["\n", " ", ","])
def test_a_column_of_numbers_is_no_file(end: str) -> None:
    """However long it is: it has ends."""
    assert kinds_in({"input": end.join(["DE89370400440532013000"] * 100)}) == {Kind.IBAN}


@pytest.mark.parametrize("card", [4111111111111111, 4111111111111111.0])
def test_numbers_are_read_as_text(card: float) -> None:
    """As arguments of calls may hold them."""
    assert kinds_in({"messages": [], "tools": [{"card": card}]}) == {Kind.CARD}


@pytest.mark.parametrize("number", [0.5, 1e308, float("nan"), float("inf")])
def test_numbers_that_are_not_whole_are_none(number: float) -> None:
    """Nor do the largest hold anything."""
    assert kinds_in({"tools": [{"value": number}]}) == frozenset()


CARDS = "4111111111111111/" * 100
"""Bytes that look as if they held what they do not."""


@pytest.mark.parametrize(
    "body",
    [
        {"model": "far@0171.1234567", "messages": [{"role": "user", "content": "hi"}]},
        {"model": "a", "messages": [], "fallbacks": [{"model": MAIL}]},
        {"model": "a", "messages": [], "fallbacks": [{"a": [{"model": MAIL}]}]},
        {"messages": [{"content": [{"file": {"file_data": "data:application/pdf;base64,4111111111111111"}}]}]},
        {"messages": [{"content": "see ![](data:image/png;base64,4111111111111111) there"}]},
        {"messages": [{"content": [{"source": {"type": "base64", "media_type": "image/png", "data": CARDS}}]}]},
        {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": f"{CARDS}=="}}]}]},
        {"messages": [{"content": [{"input_audio": {"format": "wav", "data": f"{CARDS}\n{CARDS}"}}]}]},
        {"messages": [{"content": [{"file": {"file_data": CARDS}}]}]},
    ],
    ids=lambda body: str(body).replace(CARDS, "CARDS"),
)  # fmt: skip
def test_names_of_models_and_what_is_in_files_are_not(body: dict[str, object]) -> None:
    """The one is the operator's, the other is out of scope."""
    assert kinds_in(body) == frozenset()


@pytest.mark.parametrize(
    ("body", "unreadable"),
    [
        ({"input": [9906, 1917]}, True),
        ({"input": [[9906, 1917]]}, True),
        ({"input": ["hi", [9906]]}, True),
        ({"prompt": [1, 2, 3]}, True),
        ({"messages": [], "extra_body": {"prompt": [1]}}, True),
        ({"messages": [], "fallbacks": [{"model": "far", "prompt": [[1]]}]}, True),
        ({"messages": [], "fallbacks": [{"near": [{"model": "far", "prompt_token_ids": [1]}]}]}, True),
        ({"messages": [], "context_window_fallbacks": [{"a": ["b"]}, {"*": ["b", {"prompt": [1]}]}]}, True),
        ({"messages": [], "fallbacks": [{"model": [{"model": "far", "prompt": [1]}]}]}, True),
        ({"messages": [], "fallbacks": [{"a": [{"fallbacks": [{"b": [{"prompt": [1]}]}]}]}]}, True),
        ({"messages": [], "router_settings_override": {"fallbacks": [{"a": [{"prompt": [1]}]}]}}, True),
        ({"prompt": "", "prompt_token_ids": [1, 2]}, True),
        ({"prompt": None, "extra_body": {"prompt_embeds": "AAAA"}}, True),
        ({"input": ["hi", "ho"]}, False),
        ({"messages": [], "fallbacks": [{"model": "far", "messages": [{"input": [1]}]}]}, False),
        ({"input": []}, False),
        ({"messages": [{"content": [{"type": "tool_use", "input": {"input": [1, 2]}}]}]}, False),
        ({"input": [{"role": "user", "content": "hi"}], "tools": [{"enum": [1, 2]}]}, False),
    ],
    ids=str,
)
def test_tokens_in_the_place_of_text_count_as_personal(body: dict[str, object], unreadable: bool) -> None:
    """Nobody can read them, so nobody can say that they hold nothing."""
    assert (kinds_in(body) == {Kind.UNREADABLE}) is unreadable


ORDINARY = {
    "prose": "Der Ausschuss hat am 12. Mai 2026 über 1.250 Anträge beraten, von denen 37 % angenommen wurden. ",
    "Markdown": "## Punkt **fett**, `code_name`: *kursiv*, a_b = 12 * 3\n- Am 12.03.2024 waren es 1.250 €.\n",
    "a log": "2026-11-30T12:01:07.123456Z INFO [worker-3] id=550e8400e29b41d4 took 1250 ms from 10.0.17.4\n",
    "numbers of medicines": "PZN 01936506, ",
    "a number again and again": "Fax +49 1111111111; ",
}


@pytest.mark.parametrize("text", ORDINARY.values(), ids=ORDINARY)
def test_a_large_prompt_is_read_to_its_end(text: str) -> None:
    """A few hundred kilobytes are not too much."""
    long = text * (400_000 // len(text))

    assert kinds_in({"input": long}) == frozenset()
    assert kinds_in({"input": [long, MAIL]}) == {Kind.EMAIL}


TOO_MUCH: dict[str, object] = {
    "characters": "word " * 20_000,
    "values": [None] * 20_000,
    "numbers": "1 " * 10_000,
    "marks among numbers": "1** " * 5_000,
    "no telephone numbers": " ".join(f"0999 {number:07};" for number in range(1_000)),
    "no accounts": " ".join(f"DE00 {97 * number:018}" for number in range(1_000)),
    "no addresses": " -@b.de" * 5_000,
    "fallbacks": {"fallbacks": [{"a": [{"model": "b"}]}] * 5_000},
}


@pytest.mark.parametrize("given", TOO_MUCH.values(), ids=TOO_MUCH)
def test_more_than_is_read_counts_as_personal(given: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has read it; and twice as much is no more work."""
    body = given if isinstance(given, dict) else {"input": given}
    assert kinds_in(body) == frozenset()
    monkeypatch.setattr(personal_data, "MOST", 50_000)
    doubled = {name: [value, value] for name, value in body.items()}

    assert kinds_in(body) == {Kind.UNREADABLE}
    assert steps(lambda: kinds_in(doubled)) < 1.1 * steps(lambda: kinds_in(body)) + 100
