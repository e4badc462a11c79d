"""Cues: whole words, stems, compounds, separable verbs, sentence starts and negations; no accidents inside words."""

from __future__ import annotations

import pytest

from neuronode_router.classifier import excerpt, lexicon
from tests.support.work import least_seconds


@pytest.fixture(scope="module")
def cues() -> lexicon.Lexicon:
    return lexicon.shipped()


def found(cues: lexicon.Lexicon, text: str) -> set[str]:
    return {rule.task for rule in cues.find(excerpt.fold(text)) if rule.weight >= 1}


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("Wie ist die Marktstimmung?", "sentiment"),
        ("Is it bullish or bearish?", "sentiment"),
        ("Klassifiziere das Ticket", "classification"),
        ("Ordne die Mail einer Abteilung zu", "classification"),
        ("Extrahiere alle Namen", "extraction"),
        ("Zieh mir bitte die drei Beträge aus dem Text heraus", "extraction"),
        ("Fasse den folgenden Artikel bitte in drei Sätzen zusammen", "summary"),
        ("Gib mir eine Textzusammenfassung", "summary"),
        ("tl;dr please", "summary"),
        ("Was ist ein ETF?", "rag_query"),
        ("Wie funktioniert ein Motor?", "rag_query"),
        ("Wo liegt das Kursziel?", "trading_analysis"),
        ("Ist die Aktie überbewertet?", "trading_analysis"),
        ("Wir brauchen eine Handelsstrategie", "strategy"),
        ("Design a trading system", "strategy"),
        ("Hallo, wie geht es dir?", "chat"),
        ("Refactor this Python code", "code"),
        ("Übersetze das ins Englische", "translation"),
        ("uebersetze das ins englische", "translation"),
        ("Schreib den Absatz bitte höflicher um", "rewriting"),
    ],
)
def test_a_cue_speaks_for_its_task(cues: lexicon.Lexicon, text: str, task: str) -> None:
    """German and English cues are found in inflected, compound and separated form."""
    assert task in found(cues, text)


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("Der Chart von Quartal zwei", "classification"),  # the plan's "art"
        ("Starte den Dienst", "classification"),
        ("Das ist typisch", "classification"),  # "typ"
        ("Der Planet Mars", "strategy"),  # "plan"
        ("Die Erkältung klingt ab", "lexicon"),
        ("kurzfristige Anleihen", "easier"),  # "kurz"
        ("Die Zusammenarbeit war gut", "summary"),
        ("Der Brief kam gestern", "easier"),  # false friend
        ("Ich habe die Antwort; was ist egal", "lexicon"),
    ],
)
def test_no_accident_inside_other_words(cues: lexicon.Lexicon, text: str, absent: str) -> None:
    """The substring accidents of the plan's lists do not happen."""
    assert absent not in found(cues, text)


@pytest.mark.parametrize(
    "text",
    ["Bitte nicht zusammenfassen", "Do not translate this", "ohne Zusammenfassung", "Don't summarize it"],
)
def test_a_negated_cue_does_not_count(cues: lexicon.Lexicon, text: str) -> None:
    """What is not wanted is no evidence that it is wanted."""
    assert not found(cues, text) & {"summary", "translation"}


@pytest.mark.parametrize("text", ["Explain photosynthesis", "Nice. Explain photosynthesis"])
def test_a_cue_bound_to_a_sentence_start_holds_there(cues: lexicon.Lexicon, text: str) -> None:
    """Imperatives open a sentence."""
    assert "rag_query" in found(cues, text)


def test_a_cue_bound_to_a_sentence_start_holds_nowhere_else(cues: lexicon.Lexicon) -> None:
    """In the middle of a sentence the same word is a report, not a request."""
    assert "rag_query" not in found(cues, "he tried to explain photosynthesis")


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        *(
            (text, lexicon.HARDER)
            for text in ("detailliert", "ausführlich", "step-by-step", "begründe", "vergleiche")
        ),
        *(
            (text, lexicon.HARDER)
            for text in ("Trade-offs", "Risiken", "Szenarien", "in detail", "pros and cons")
        ),
        *(
            (text, lexicon.EASIER)
            for text in ("kurz", "schnell", "einfach", "Nur ja", "ja/nein", "one-liner", "briefly")
        ),
    ],
)
def test_the_plans_complexity_indicators(cues: lexicon.Lexicon, text: str, direction: str) -> None:
    """Every indicator of the plan is a cue, and has an English counterpart."""
    assert direction in found(cues, text)


def test_all_matches_are_found_once(cues: lexicon.Lexicon) -> None:
    """Scoring sees every cue, and repetition adds nothing."""
    rules = cues.find(excerpt.fold("Extrahiere die Namen, extrahiere die Orte, und fasse es zusammen."))

    names = [rule.cue for rule in rules]
    assert len(names) == len(set(names))
    assert {"extraction", "summary"} <= {rule.task for rule in rules}


@pytest.mark.parametrize(
    "text", ["first " * 20_000, "fasse " * 20_000, "nicht " * 20_000, "a-" * 50_000, "." * 100_000]
)
def test_repetition_cannot_slow_the_lexicon(cues: lexicon.Lexicon, text: str) -> None:
    """No rule looks further than a few words, and no more than a few hundred words are looked at."""
    assert least_seconds(lambda: cues.find(text)) < 3, "a rule ran over all of it"


@pytest.mark.parametrize(
    "text", ["die Abstimmung", "mit Zustimmung", "die Bestimmung des Orts", "call options", "a news article"]
)
def test_longer_words_with_the_same_end_are_no_cues(cues: lexicon.Lexicon, text: str) -> None:
    """A vote is no mood, and neither an option nor an article is a task."""
    assert not {"sentiment", "summary", "classification"} & set(found(cues, text))


def test_one_word_is_not_two_cues_for_the_same_task(cues: lexicon.Lexicon) -> None:
    """A stem and an ending that meet in one word would otherwise settle the task alone."""
    weight = sum(rule.weight for rule in cues.find("die zusammenfassung") if rule.task == "summary")

    assert weight == 2
