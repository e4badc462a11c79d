"""What programs ask about a conversation in passing is light, however hard the conversation is that they quote."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronode_router.classifier import shipped
from neuronode_router.classifier.errand import errand_of
from neuronode_router.classifier.excerpt import fold, read
from neuronode_router.domain.names import Tier

HARD = (
    "USER: Entwickle eine Handelsstrategie für DAX-Futures mit drei Szenarien, Risiken und einer Empfehlung.\n"
    "ASSISTANT: Zuerst betrachten wir die Volatilität, dann den Trend und die Korrelation mit Anleihen.\n"
    "USER: Prove that the estimator is consistent and derive its asymptotic variance step by step.\n"
    "ASSISTANT: We begin with the moment conditions and expand around the true value.\n"
)
QUOTED = f"<chat_history>\n{HARD}</chat_history>"
ERRANDS = [
    ("title", "Create a short title of three to five words for the chat history, with an emoji.\n", QUOTED),
    ("title", "Erzeuge einen kurzen Titel für dieses Gespräch. Antworte nur mit dem Titel.\n", QUOTED),
    ("tags", "Generate one to three broad tags for the main themes of the chat.\n", QUOTED),
    ("follow-ups", "Suggest follow-up questions that the user might ask next.\n", QUOTED),
    ("follow-ups", "Nenne drei Anschlussfragen, die der Nutzer stellen könnte.\n", QUOTED),
    ("queries", "Decide whether search queries are needed and list them as JSON.\n", QUOTED),
    (
        "topic",
        "Tell whether this message begins a new conversation topic. Answer as JSON.\n",
        f"User: {HARD}",
    ),
    ("standalone", "Rewrite the last question as a standalone question.\n", QUOTED),
    ("one line", "Sum up this coding conversation in under 50 characters.\n", HARD),
    ("label", "Classify the message: question, complaint or request. Answer with the label only.\n", HARD),
    ("label", "Ordne die Nachricht ein. Antworte nur mit der Kategorie.\n", HARD),
    ("verdict", "Is the conversation below safe or unsafe?\n", QUOTED),
]


@pytest.mark.parametrize(("kind", "instruction", "quoted"), ERRANDS)
@pytest.mark.parametrize("times", [1, 40])
def test_errands_are_light_however_long_the_conversation_is(
    kind: str, instruction: str, quoted: str, times: int
) -> None:
    """The instruction stands before what is quoted, or behind it, or in the system prompt."""
    said = quoted * times

    for excerpt in (
        read(instruction + said),
        read(said + instruction),
        read([{"role": "user", "content": said}], system=instruction),
    ):
        found = shipped().classify_excerpt(excerpt)

        assert excerpt.errand == kind
        assert found.confident
        assert found.tier_at(too_cheap=1.5, too_dear=1.0) is Tier.FAST


@pytest.mark.parametrize(
    "text",
    [
        HARD,
        "Write a title page and a detailed thesis about monetary policy, step by step.",
        "Suggest a follow-up strategy for the merger, with options, risks and a recommendation.",
        "Explain which search queries a database planner rewrites, and prove that it is sound.",
        "Answer with a label for each axis and derive the formula.",
        "Schreib mir einen Aufsatz in 900 Wörtern über dieses Gespräch.",
        "Write a class only once.",
    ],
)
def test_what_people_ask_is_no_errand(text: str) -> None:
    """A word of an errand without a conversation that it is about, or a conversation without such a word."""
    assert read(text).errand is None


@settings(deadline=None)
@given(st.text('user: <chat>title generate only label\n"rolefowup0 ', max_size=1500))
def test_no_text_is_too_strange(text: str) -> None:
    """Anything is an errand of one kind, or none."""
    assert errand_of(fold(text), fold(text), fold(text)) in {kind for kind, _, _ in ERRANDS} | {None, "emoji"}


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["user", "chat", "title", "generate a", "only the label", " ", ":", "\n", "-", "<chat>"]
        )
    )
)
def test_a_short_text_is_the_same_errand_once_and_twice(words: list[str]) -> None:
    """Of a text that both ends hold, the second look finds nothing that the first has not."""
    text = "".join(words)[:400]

    assert errand_of(text, "") == errand_of(text, text)
