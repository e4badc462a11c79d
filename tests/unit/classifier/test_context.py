"""What carries the instruction: the turn, the system prompt where the turn is material, or the turn before."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronode_router.classifier import Carrier, Classification, Task, classify, excerpt, lexicon, shipped
from neuronode_router.classifier.decisions import Decisions, Logistic, PartNumbers, of_system, of_turn
from neuronode_router.classifier.observed import observe
from neuronode_router.domain.names import TIERS, Tier

FAST, MEDIUM, COMPLEX = TIERS


def say(*turns: str, system: str | None = None) -> list[dict[str, str]]:
    """Return a conversation: user and assistant take turns, perhaps below a system prompt."""
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": text} for number, text in enumerate(turns)]
    return [{"role": "system", "content": system}, *messages] if system is not None else messages


def used(said: Classification) -> Tier:
    """Return the tier that a profile without wishes of its own would use."""
    return said.tier if said.confident else MEDIUM


@pytest.mark.parametrize(
    ("system", "turn", "task", "tiers"),
    [
        (
            "Ordne jede Zuschrift einer Kategorie zu: Lob, Tadel, Frage. Antworte nur mit der Kategorie.",
            "Die Lieferung kam zwei Wochen zu spät und der Karton war offen.",
            Task.CLASSIFICATION,
            {FAST},
        ),
        (
            "Extract sender, amount and due date from the letter and return JSON only.",
            "Waterworks Ltd, reading of 4 May, please transfer 88.10 by 1 June.",
            Task.EXTRACTION,
            {FAST},
        ),
        (
            "Übersetze alles, was der Nutzer schreibt, ins Spanische. Nur die Übersetzung.",
            "Die Sitzung beginnt um neun und dauert den ganzen Vormittag.",
            Task.OTHER,
            {FAST, MEDIUM},
        ),
        (
            "Summarise every transcript you receive in three bullet points.",
            "Paul: the demo slipped again. Ines: then we move the launch to June. Paul: agreed.",
            Task.SUMMARY,
            {FAST, MEDIUM},
        ),
        (
            "You are a growth strategist. From the figures, develop a plan with options and a recommendation.",
            "12 people, revenue flat at 3M, two clients leave in spring",
            Task.STRATEGY,
            {COMPLEX},
        ),
    ],
)
def test_a_system_prompt_with_a_task_decides_where_the_turn_is_material(
    system: str, turn: str, task: Task, tiers: set[Tier]
) -> None:
    """Templates and workflow tools put the task above and the material below."""
    said = classify(say(turn, system=system))

    assert (said.task, said.carrier) == (task, Carrier.SYSTEM)
    assert used(said) in tiers


@pytest.mark.parametrize(
    ("system", "turn", "task"),
    [
        (
            "Translate whatever is written to you into Dutch. Return the translation only.",
            "Develop a pricing strategy for our ferry line, with risks.",
            Task.OTHER,
        ),
        (
            "Ordne jede Nachricht einer Abteilung zu: Einkauf, Verkauf, Lager. Antworte nur mit dem Namen.",
            "Schreibe einen Parser für Lieferscheine in Rust, mit Tests für alle Sonderfälle.",
            Task.CLASSIFICATION,
        ),
    ],
)
def test_a_request_is_material_to_a_system_prompt_that_only_handles_texts(
    system: str, turn: str, task: Task
) -> None:
    """Who has texts translated or sorted does not want hard ones among them worked on."""
    said = classify(say(turn, system=system))

    assert (said.task, said.carrier) == (task, Carrier.SYSTEM)
    assert used(said) is not COMPLEX


GENERIC = (
    "You are a helpful assistant.",
    "Du bist ein hilfreicher Assistent. Antworte auf Deutsch und sei höflich.",
    "You are Nova, an assistant by Contoso. Use markdown. Knowledge ends in 2024.",
    "Du unterstützt die Rechtsabteilung. Frag nach, wenn etwas unklar ist.",
)
REQUESTS = (
    ("Fasse den folgenden Bericht bitte zusammen.", Task.SUMMARY),
    ("Which category does this ticket belong to: billing, technical or other?", Task.CLASSIFICATION),
    ("Entwickle eine Strategie für den Markteintritt in Ungarn.", Task.STRATEGY),
    ("Hallo, wie geht es dir?", Task.CHAT),
    ("Write a Python function that merges two sorted lists.", Task.OTHER),
    ("Extrahiere alle Termine und Beträge als JSON.", Task.EXTRACTION),
)


@pytest.mark.parametrize("system", GENERIC)
@pytest.mark.parametrize(("turn", "task"), REQUESTS)
def test_a_generic_system_prompt_changes_nothing(system: str, turn: str, task: Task) -> None:
    """A prompt that fits every request says nothing about this one."""
    alone, below = classify(turn), classify(say(turn, system=system))

    assert (below.task, below.carrier) == (task, Carrier.TURN)
    assert used(below) is used(alone)


@pytest.mark.parametrize(
    ("request_", "turn", "task"),
    [
        ("Entwickle eine Preisstrategie für unser Café.", "mach weiter", Task.STRATEGY),
        ("Develop a market entry strategy for our bike brand.", "yes, do it", Task.STRATEGY),
        ("Was ist eine Hypothek?", "und in der Schweiz?", Task.RAG_QUERY),
        ("Why do leaves turn red in autumn?", "are you sure?", Task.RAG_QUERY),
        (
            "Write a Java class that parses log files.",
            "it still fails with an exception, try again",
            Task.OTHER,
        ),
    ],
)
def test_a_follow_up_goes_on_with_the_request_before_it(request_: str, turn: str, task: Task) -> None:
    """What means nothing by itself has the task of what it follows."""
    said = classify(say(request_, "Gern: ...", turn))

    assert (said.task, said.carrier) == (task, Carrier.EARLIER)
    assert said.confidence > 0


def test_a_follow_up_may_follow_a_follow_up() -> None:
    """Two short turns later the request still counts."""
    said = classify(
        say("Entwickle eine Strategie gegen den Mitbewerb.", "1. ...", "mach weiter", "2. ...", "weiter")
    )

    assert (said.task, used(said)) == (Task.STRATEGY, COMPLEX)


@pytest.mark.parametrize(
    ("turn", "task"),
    [
        ("danke, das hilft mir sehr!", Task.CHAT),
        ("Übersetze den folgenden Satz ins Englische: Die Tür ist offen.", Task.OTHER),
        ("Extract all names and dates from the text.", Task.EXTRACTION),
    ],
)
def test_a_turn_that_stands_alone_decides_itself(turn: str, task: Task) -> None:
    """Thanks and new requests do not inherit the weight of what was asked before."""
    said = classify(say("Entwickle eine Preisstrategie für unser Café.", "Gern: ...", turn))

    assert (said.task, said.carrier) == (task, Carrier.TURN)
    assert used(said) is not COMPLEX


@pytest.mark.parametrize(
    "quoted",
    [
        "USER: Develop a hedging strategy for my NVDA calls\nASSISTANT: First, the upside cap ...",
        "USER: Beweise, dass es unendlich viele Primzahlen gibt\nASSISTANT: Angenommen, es gäbe ...",
        "USER: refactor the scheduler and add tests\nASSISTANT: ```...```",
    ],
)
def test_a_front_ends_background_prompt_is_light_whatever_it_quotes(quoted: str) -> None:
    """A title for a chat about strategies is no strategy."""
    text = (
        f"Write a title of at most five words for the conversation below.\n<chat>\n{quoted}\n</chat>\nTitle:"
    )

    said = classify(text)

    assert used(said) is FAST
    assert said.task not in (Task.STRATEGY, Task.TRADING_ANALYSIS)


@pytest.mark.parametrize(
    "reminder",
    [
        "<reminder>The task list is empty. Do not mention this reminder to the user.</reminder>",
        "<environment>Current directory: src. Files: a.py, b.py. Time: 10:04.</environment>",
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_reminder_beside_the_question_does_not_drown_it(reminder: str, *, first: bool) -> None:
    """Tools put texts of their own before or after what a person wrote."""
    question = {"type": "text", "text": "Fasse den Bericht bitte zusammen."}
    parts = [{"type": "text", "text": reminder}, question]
    content = parts if first else parts[::-1]

    assert classify([{"role": "user", "content": content}]).task == Task.SUMMARY


def test_a_question_between_two_reminders_is_read() -> None:
    """Of several parts each is looked at, also one in the middle."""
    texts = ["reminder " * 400, "Fasse den Bericht bitte zusammen.", "note " * 400]
    turn = {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}

    assert any("fasse den bericht" in piece for piece in excerpt.read([turn]).pieces)


@pytest.mark.parametrize(
    "text",
    [
        "Opracuj plan ekspansji naszej piekarni na rynek słowacki.",
        "Rédige une stratégie commerciale pour notre cave à vin.",
        "Elabora una estrategia de precios para la tienda.",
        "Sestav strategii pro vstup na německý trh.",
        "Разработай стратегию продаж для магазина.",
    ],
)
def test_other_languages_are_uncertain_not_confidently_cheap(text: str) -> None:
    """A strategy in a language that was never learned goes to the `uncertain` tier."""
    assert not classify(text).confident


@pytest.mark.parametrize(
    ("hard", "easy"),
    [
        (
            "Find the deadlock in our job queue, prove the fix and add stress tests.",
            "Rename the variable x in this line.",
        ),
        (
            "Zerlege den Monolithen in Module, ohne das Verhalten zu ändern, mit Tests.",
            "Wie heißt der git-Befehl für den letzten Commit?",
        ),
        ("Prove that every bounded monotone sequence converges.", "What is 17 + 25?"),
        ("Beweise kurz, dass die Wurzel aus 2 irrational ist.", "Wie viel sind 12 Prozent von 80?"),
        (
            "Plan the shifts of 14 nurses so that rest times hold, and explain each trade-off.",
            "Which day comes after Friday?",
        ),
        (
            "Verfasse einen vollständigen Forschungsantrag mit Methoden, Budget und Risiken.",
            "Ein kurzer Geburtstagsgruß für Anna",
        ),
    ],
)
def test_hard_work_is_not_sent_where_everyday_work_goes(hard: str, easy: str) -> None:
    """The tier rests on how much work is asked for, not on the topic or on "briefly"."""
    heavy, light = classify(hard), classify(easy)

    assert used(heavy) is not FAST
    assert used(light) is not COMPLEX
    assert heavy.difficulty > light.difficulty


@pytest.mark.parametrize(
    "text", ["Wie schaffe ich es, mehr Wasser zu trinken?", "How can I stop procrastinating in the evening?"]
)
def test_a_question_about_daily_life_is_no_strategy(text: str) -> None:
    """ "How do I manage to" asks for advice, not for a plan of a company."""
    said = classify(text)

    assert said.task not in (Task.STRATEGY, Task.TRADING_ANALYSIS)
    assert used(said) is not COMPLEX


def test_a_column_named_like_a_task_is_data() -> None:
    """Words inside code and data are no instruction, and no reason to be sure."""
    said = classify(
        "Schreib eine SQL-Abfrage auf diese Tabelle:\ntickets(id, sentiment, summary, category, created_at)"
    )

    assert (said.task, said.detail) == (Task.OTHER, "code")


@settings(max_examples=settings().max_examples * 2, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
                "content": st.text(max_size=300),
            }
        ),
        max_size=6,
    )
)
def test_any_conversation_is_classified(messages: Sequence[dict[str, str]]) -> None:
    """Whatever roles and texts come, the answer is complete, its chances add up, and its carrier exists."""
    said, read = classify(messages), excerpt.read(messages)

    assert 0 <= said.confidence <= 1
    assert -1 <= said.gain <= 1
    assert said.chances is None or sum(said.chances) == pytest.approx(1)
    assert said.carrier is not Carrier.SYSTEM or read.system
    assert said.carrier is not Carrier.EARLIER or read.earlier


@settings(max_examples=settings().max_examples * 2, deadline=None)
@given(st.text(min_size=1, max_size=200).filter(str.strip), st.text(max_size=2000))
def test_what_a_carrier_points_to_is_what_is_learned_from(turn: str, system: str) -> None:
    """The features that are kept of a decision are those of the part that carried its instruction."""
    read = excerpt.read(say(turn, system=system))

    for carrier in Carrier:
        rows = observe(read, lexicon.shipped(), carrier)
        assert rows.count.size == len(read.carrying(carrier))


numbers = st.floats(-20, 20)


@given(numbers, numbers, st.floats(0, 1), st.floats(0, 1), st.integers(0, 10**6))
def test_decisions_are_chances_and_bounded_by_their_clip(
    standing: float, follows: float, share: float, asks: float, length: int
) -> None:
    """No single loud score drives a decision beyond what the loudest allowed one does."""
    part = PartNumbers(share, share, 1 - asks, asks, standing, follows, length)
    by: Decisions = shipped()._weights.decisions  # type: ignore[union-attr]

    assert 0 <= by.system(of_system(part, part)) <= 1
    assert 0 <= by.follows(of_turn(part)) <= 1


def test_a_decision_of_another_size_is_an_error() -> None:
    """Weights and numbers that do not fit are a mistake, never silently cut."""
    with pytest.raises(ValueError, match="goes by 2 numbers, not by 1"):
        Logistic((1.0, 2.0), 0.0)((1.0,))
