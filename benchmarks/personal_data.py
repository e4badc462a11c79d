"""How well and how fast personal data is recognised: on texts with generated numbers, on your own texts, and in time.

    python -m benchmarks.personal_data [FILE ...]

Recall is of German and English sentences, each with one valid number or address in one of the spellings people use;
precision is of the same sentences with numbers that only look alike (wrong check digits, dates, amounts, identifiers),
and by kind of those that are called something else and begin, as telephone numbers do, with 0.
Each FILE has a JSON object a line, with `text`, `prompt` or `messages`; printed is how many of them hold what kinds:
look at those to judge. Time is CPU for bodies of 400 to 100,000 characters, in turns with the canonical reading of the
same body, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from stdnum import ean, iban, luhn
from stdnum.de import idnr

from benchmarks.load import machine
from neuronode_router.routing.conversation import read
from neuronode_router.routing.personal_data import PersonalDataKind as Kind
from neuronode_router.routing.personal_data import kinds, kinds_in

EACH, ROUNDS = 2000, 200

FRAMES = (
    "Bitte {} in die Akte übernehmen und kurz bestätigen.",
    "Laut Schreiben vom 03.11.2026 gilt {}; Aktenzeichen 23-558/24.",
    "Fasse zusammen: Der Kunde nennt {} und möchte bis Freitag Antwort.",
    "Please extract the fields from this note: {}",
    "Customer wrote on 2026-11-03 ({}), order 100-2231, total 1,299.00 EUR.",
    '{{"id": 7, "note": "{}"}}',
)
PROSE = (
    "Der Ausschuss hat am 12. Mai 2026 über 1.250 Anträge beraten, von denen 37 % angenommen wurden. "
    "The committee met on 12 May 2026 and discussed 1,250 proposals, 37 % of which were accepted. "
)

Make = Callable[[random.Random], str]


def digits(rng: random.Random, count: int) -> str:
    """Return random digits, the first of which is no zero."""
    return str(rng.randrange(10 ** (count - 1), 10**count))


def in_groups(number: str, by: int, separator: str) -> str:
    """Return a number in groups."""
    return separator.join(number[at : at + by] for at in range(0, len(number), by))


def account(rng: random.Random) -> str:
    """Return a German IBAN."""
    bank = digits(rng, 18)
    checked = f"DE{98 - int(bank + '131400') % 97:02}{bank}"
    assert iban.is_valid(checked)
    return in_groups(checked, 4, rng.choice(("", " ", "-")))


def card(rng: random.Random) -> str:
    """Return a card number."""
    number = rng.choice(("4", "51", "55", "2221")) + digits(rng, 15)
    number = number[:15]
    return in_groups(number + luhn.calc_check_digit(number), 4, rng.choice(("", " ", "-")))


def tax_number(rng: random.Random) -> str:
    """Return an identification number for taxes."""
    while not idnr.is_valid(number := digits(rng, 11)):
        pass
    return rng.choice((number, f"{number[:2]} {number[2:5]} {number[5:8]} {number[8:]}"))


def email(rng: random.Random) -> str:
    """Return an address."""
    name = rng.choice(("anna.meyer", "j.o_connor", "bjoern+werk", "info2", "KARL"))
    return (
        f"{name}@{rng.choice(('firma-nord', 'mail', 'uni'))}.{rng.choice(('de', 'com', 'co.uk', 'example'))}"
    )


def phone(rng: random.Random) -> str:
    """Return a telephone number."""
    mobile, rest = rng.choice(("151", "160", "170", "176")), digits(rng, 8)
    return rng.choice(
        (
            f"0{mobile}{rest}",
            f"0{mobile}/{rest}",
            f"0{mobile} {rest[:4]} {rest[4:]}",
            f"+49 {mobile} {rest}",
            f"+49 (0){mobile} {rest[:3]} {rest[3:]}",
            f"0049 {mobile}-{rest}",
            f"+49-89-{digits(rng, 3)}-{digits(rng, 4)}",
            f"(212) {rng.randrange(220, 999)}-{digits(rng, 4)}",
            f"+44 20 7{digits(rng, 3)} {digits(rng, 4)}",
        )
    )


def part_of_a_name(rng: random.Random) -> str:
    """Return a card as a part of a name or of a path."""
    return rng.choice(("nr_{}", "scan_{}_front.jpg", "https://shop.example/v1/cards/{}/pay?x=1")).format(
        card(rng)
    )


def marked(rng: random.Random) -> str:
    """Return a mobile number behind a mark or a name."""
    return f"{rng.choice(('#', 'nr_', 'kunden_nr_', 'tel_'))}0{rng.choice(('151', '160', '176'))}{digits(rng, 8)}"


def glued(rng: random.Random) -> str:
    """Return an account with words around it and no space between."""
    return f"{rng.choice(('Konto', 'an', 'IBAN', 'auf'))}{account(rng)}{rng.choice(('', 'bitte', 'BIC'))}"


def over_lines(rng: random.Random) -> str:
    """Return an account that is broken into two lines between its groups."""
    groups = re.findall(".{1,4}", re.sub("[ -]", "", account(rng)))
    at = rng.randrange(1, len(groups))
    return " ".join(groups[:at]) + rng.choice(("\n", " \n", "\r\n")) + " ".join(groups[at:])


def hung_on(rng: random.Random) -> str:
    """Return an address with a word hanging on it."""
    return f"{email(rng)}-{rng.choice(('Adresse', 'Konto', 'mail', 'account'))}"


def behind_digits(rng: random.Random) -> str:
    """Return a telephone number behind a number of something else."""
    front = rng.choice(
        ("Musterstr. 5", "Zimmer 12", "Kunde 4711", "2026-01-02", "02.01.2026", "14:30", "18:05:43")
    )
    return f"{front} {rng.choice((f'0170 {digits(rng, 7)}', f'+49 176 {digits(rng, 8)}', f'089 {digits(rng, 6)}'))}"


def bracketed(rng: random.Random) -> str:
    """Return a telephone number with brackets around the country's code."""
    return f"{rng.choice(('(+49)', '(0049)', '[+49]'))} {rng.choice((f'170 {digits(rng, 7)}', '30 901820'))}"


def as_float(rng: random.Random) -> str:
    """Return a card as a table with gaps writes it."""
    return re.sub("[ -]", "", card(rng)) + rng.choice((".0", ".00"))


def no_blank(rng: random.Random) -> str:
    """Return a telephone number right behind its label."""
    return f"{rng.choice(('Telefon', 'Tel', 'Fax'))}{rng.choice(('089', '030'))}{rng.choice(' /')}{digits(rng, 7)}"


def article(rng: random.Random) -> str:
    """Return the number of a German article."""
    number = f"4{digits(rng, 11)}"
    return number + ean.calc_check_digit(number)


MAKERS: tuple[tuple[Kind, str, Make], ...] = (
    (Kind.EMAIL, "", email),
    (Kind.PHONE, "", phone),
    (Kind.IBAN, "", account),
    (Kind.CARD, "", card),
    (Kind.TAX_NUMBER, "", tax_number),
    (Kind.CARD, " in a name", part_of_a_name),
    (Kind.PHONE, " marked", marked),
    (Kind.IBAN, " glued", glued),
    (Kind.IBAN, " over lines", over_lines),
    (Kind.EMAIL, " with a word", hung_on),
    (Kind.PHONE, " behind digits", behind_digits),
    (Kind.PHONE, " in brackets", bracketed),
    (Kind.PHONE, " glued", no_blank),
    (Kind.CARD, " as a float", as_float),
)
ALIKE: tuple[Make, ...] = (
    lambda rng: account(rng)[:-1] + rng.choice("XYZ"),
    lambda rng: f"Nr. {digits(rng, 6)}-{digits(rng, 4)}",
    lambda rng: f"{rng.randrange(1, 29):02}.{rng.randrange(1, 13):02}.2026 {rng.randrange(24):02}:15:00",
    lambda rng: f"{rng.uniform(-90, 90):.6f}, {rng.uniform(-180, 180):.6f}",
    lambda rng: f"{rng.randrange(10**6, 10**7):,} EUR",
    lambda rng: f"ISBN 978-3-{digits(rng, 2)}-{digits(rng, 6)}-{rng.randrange(10)}",
    lambda rng: f"{rng.getrandbits(128):032x}",
    lambda rng: f"{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}",
    lambda rng: f"order {digits(rng, 10)}",
    lambda rng: f"ticket {digits(rng, 16)}",
    lambda rng: f"@{rng.choice(('team', 'app.get', 'dataclass'))} v{rng.randrange(9)}.{rng.randrange(90)}.1",
    lambda rng: f"ticket #{digits(rng, rng.randrange(5, 12))}, order_{digits(rng, 11)}",
    lambda rng: f"ticket #0{digits(rng, rng.randrange(5, 12))}",
    lambda rng: f"https://x.example/posts/{digits(rng, 16)}/likes",
    lambda rng: f"EAN {article(rng)}",
    lambda rng: f"Artikel{account(rng)[:-1]}X, {rng.getrandbits(256):064X}",
)  # fmt: skip


def some(rng: random.Random, count: int) -> str:
    """Return random digits behind a 0."""
    return f"0{rng.randrange(10**count):0{count}}"


CALLED: tuple[tuple[str, Make], ...] = (
    ("ISBN", lambda rng: f"ISBN {some(rng, 9)}"),
    ("PZN", lambda rng: f"PZN {rng.choice(('', '- '))}{some(rng, 7)}"),
    ("GTIN", lambda rng: f"GTIN {some(rng, 13)}"),
    ("ISSN", lambda rng: f"ISSN {some(rng, 3)}-{some(rng, 3)}"),
    ("order", lambda rng: f"{rng.choice(('Bestellnummer', 'order no.', 'order_id:', 'Auftrag'))} {some(rng, 9)}"),
    ("account", lambda rng: f"{rng.choice(('Kontonummer', 'Konto', 'Kto.'))} {some(rng, 9)}"),
    ("customer", lambda rng: f"{rng.choice(('Kundennr.', 'Kunden-Nr.', 'customer number'))} {some(rng, 9)}"),
    ("column of articles", lambda rng: "Artikel;Menge\n" + "\n".join(f"{some(rng, 7)};3" for _ in range(20))),
    ("file", lambda rng: f"{rng.choice(('Az.', 'Vertrag'))} {digits(rng, 3)}/{digits(rng, 3)}/{digits(rng, 5)}"),
    ("picture", lambda rng: f"logo@{digits(rng, 1)}x.{rng.choice(('png', 'svg', 'min.css'))}, f@a.sum()"),
    ("brand", lambda rng: f"Bosch {some(rng, 9)}"),
    ("no word", lambda rng: f"{some(rng, 9)}"),
)  # fmt: skip
"""What is called something else, of what nothing but that tells; the last two have no word that we know."""


def quality() -> None:
    """Print recall by kind, and how many of the texts without any are taken for such."""
    rng = random.Random(7)
    for kind, how, make in MAKERS:
        found = sum(kind in kinds([rng.choice(FRAMES).format(make(rng))]) for _ in range(EACH))
        print(f"{kind + how:>24}: found {found / EACH:7.2%} of {EACH}")
    wrong = Counter[str]()
    for number in range(EACH * 5):
        wrong.update(kinds([rng.choice(FRAMES).format(ALIKE[number % len(ALIKE)](rng))]))
    print(f"{'none of them':>24}: {sum(wrong.values())} of {EACH * 5} taken for {dict(wrong)}")
    for name, make in CALLED:
        taken = sum(bool(kinds([rng.choice(FRAMES).format(make(rng))])) for _ in range(EACH))
        print(f"{name:>24}: {taken / EACH:7.2%} of {EACH} taken for personal data")


def texts_of(path: Path) -> Iterator[str]:
    """Yield the texts of a file."""
    with path.open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if "messages" in row:
                yield json.dumps(row["messages"], ensure_ascii=False)
            else:
                yield row.get("text") or row["prompt"]


def yours(paths: list[Path]) -> None:
    """Print what is found in the files."""
    for path in paths:
        texts = list(texts_of(path))
        found = Counter(kind for text in texts for kind in kinds([text]))
        print(f"{path.name:>24}: {dict(found)} in {len(texts)} texts")


def speed() -> None:
    """Print the time for bodies of several lengths beside the canonical reading."""
    for size in (400, 2_000, 10_000, 100_000):
        text = (PROSE * (size // len(PROSE) + 1))[:size]
        body = {"messages": [{"role": "user", "content": text}]}
        times: dict[str, list[float]] = {"personal data": [], "reading": []}
        for _ in range(ROUNDS):
            for name, look in (("personal data", kinds_in), ("reading", read)):
                before = time.process_time()
                look(body)
                times[name].append(time.process_time() - before)
        ours, theirs = (median(found) * 1e3 for found in times.values())
        print(f"{size:>24}: {ours:.3f} ms, reading {theirs:.3f} ms, ratio {ours / theirs:.2f}")


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path)
    files = parser.parse_args().files
    print(machine())
    quality()
    yours(files)
    speed()


if __name__ == "__main__":
    main()
